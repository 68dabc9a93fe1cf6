//! Step 2: every former holder is proven unable to write, or to acknowledge what the next holder will not have.
//!
//! **Invariant:** only proof takes an epoch off the binding's list, through [`om_model::Binding::fenced`].

use om_model::Epoch;

use crate::fault::{Fault, Storage};
use crate::protocol::{Protocol, only_if};
use crate::set::Set;
use crate::state::{Engine, MAJORITY, NODES, State, Turn};

impl Protocol {
    /// The former holder that a claimant deals with now: the oldest first.
    fn target(&self, turn: &Turn) -> Option<u8> {
        let mut left = turn.unfenced.iter().filter(|epoch| !turn.fenced.has(*epoch));
        if self.breaks(Fault::YoungestFirst) { left.next_back() } else { left.next() }
    }

    pub(crate) fn fence(&self, state: &mut State, node: u8) -> Option<()> {
        let here = state.nodes[usize::from(node)];
        let mut turn = here.turn?;
        let target = self.target(&turn)?;
        only_if(state.awake(node))?;
        let own = state.holders[usize::from(target)].is_some_and(|life| life.node == node);
        if own {
            only_if(here.mount.is_none())?;
        } else {
            self.cut_off(state, node, target)?;
        }
        turn.fenced = turn.fenced.with(target);
        state.nodes[usize::from(node)].turn = Some(turn);
        Some(())
    }

    /// `VolumeProvider::revoke` for exactly this epoch, once it is allowed: where a lease has to end first, when in one round
    /// of answers a majority of voters has no promise to the former holder that still runs. A bar holds still, for the time
    /// of the round, those that have answered: hence it is one event here.
    fn cut_off(&self, state: &mut State, node: u8, target: u8) -> Option<()> {
        if self.storage == Storage::AtOnce {
            state.store.revoked = state.store.revoked.with(target);
            return Some(());
        }
        let none_runs = |voter: &u8| {
            let there = &state.nodes[usize::from(*voter)];
            state.reaches(node, *voter) && !there.fresh && !there.promised.has(target)
        };
        let over = (0..NODES as u8).filter(none_runs).count() >= MAJORITY as usize;
        only_if(over || self.breaks(Fault::ReflinkBeforeLeaseOver))?;
        if self.storage == Storage::AfterLease {
            state.store.reflink(target + 1);
        }
        Some(())
    }

    pub(crate) fn report_fenced(&self, state: &mut State, node: u8) -> Option<()> {
        let mut turn = state.nodes[usize::from(node)].turn?;
        only_if(state.online(node) && !turn.fenced.is_empty())?;
        for epoch in turn.fenced.iter() {
            state.record.decide(|binding| binding.fenced(Epoch::new(epoch.into())));
            turn.unfenced = turn.unfenced.without(epoch);
        }
        turn.fenced = Set::default();
        state.nodes[usize::from(node)].turn = Some(turn);
        Some(())
    }

    /// Proof without the storage, found by a server, that the former holder of `epoch` is no more.
    pub(crate) fn prove_fenced(&self, state: &mut State, epoch: u8) -> Option<()> {
        let former = (*state.record.unfenced.get(usize::from(epoch))?)?;
        only_if(state.online(former.node))?;
        let node = &mut state.nodes[usize::from(former.node)];
        if node.life == former.number {
            let exited = node.mount.is_some_and(|mount| mount.engine == Engine::Gone);
            let nothing_left = node.mount.is_none_or(|mount| mount.epoch > epoch);
            only_if(nothing_left || exited && self.breaks(Fault::ExitIsProof))?;
            // It confirms that it will not mount under that epoch again: a Mount under way is given up.
            node.renounced = node.renounced.max(epoch);
            node.turn = node.turn.filter(|turn| turn.epoch > epoch);
        }
        state.record.decide(|binding| binding.fenced(Epoch::new(epoch.into())));
        // A claimant hears of it when it claims again, or is told when it asks: its own list follows the record.
        for node in &mut state.nodes {
            if let Some(turn) = &mut node.turn {
                turn.unfenced = turn.unfenced.without(epoch);
                turn.fenced = turn.fenced.without(epoch);
            }
        }
        Some(())
    }
}
