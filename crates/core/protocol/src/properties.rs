//! What must hold in every state.
//!
//! Main pieces: [`one_writer`], [`acknowledged_kept`], [`name_follows_holder`], [`no_stray_eviction`].
//! **Invariant:** they judge by the storage and by what clients were told, not by what any node believes.

use crate::state::State;

/// The present content is never changed by a holder of a lower epoch after the present holder has mounted.
pub fn one_writer(state: &State) -> bool {
    !state.seen.late_write
}

/// Every write acknowledged to a client is in the content that the last to mount reads.
pub fn acknowledged_kept(state: &State) -> bool {
    let content = state.store.objects[usize::from(state.seen.present)].unwrap_or_default();
    state.acknowledged.within(content)
}

/// The name points to a member only if the holder of the present epoch has mounted it and no former holder is on the list.
pub fn name_follows_holder(state: &State) -> bool {
    let record = &state.record;
    let clear = record.unfenced.iter().all(Option::is_none);
    !record.published || record.holder.is_some() && clear && state.seen.mounted >= record.epoch
}

/// No holder was evicted unless a server told it to give way.
pub fn no_stray_eviction(state: &State) -> bool {
    !state.seen.evicted
}
