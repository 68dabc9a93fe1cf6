//! Step 3, and how a mount ends in good order: restart on the same mount, release.
//!
//! **Invariant:** attaching under an epoch shuts the storage to every lower one, and is itself refused once a higher epoch
//! has attached.

use om_model::Epoch;

use crate::fault::{Fault, Storage};
use crate::protocol::{Protocol, only_if};
use crate::state::{Engine, Mount, State, Write};

impl Protocol {
    pub(crate) fn mount(&self, state: &mut State, node: u8) -> Option<()> {
        let here = state.nodes[usize::from(node)];
        let turn = here.turn?;
        only_if(state.awake(node) && here.mount.is_none() && turn.unfenced.is_empty())?;
        only_if(turn.epoch > here.renounced || self.breaks(Fault::MountAfterRelease))?;
        let attached = self.attach(state, turn.epoch);
        let node = &mut state.nodes[usize::from(node)];
        node.turn = None;
        let Some(object) = attached else { return Some(()) };
        node.left = 0;
        node.mount = Some(Mount {
            epoch: turn.epoch,
            object,
            engine: if self.leases() { Engine::Stopped } else { Engine::Running },
            paused: false,
            frozen: false,
            shut: false,
            over: false,
            lease: None,
            confirmed: false,
            write: Write::Idle,
        });
        let seen = &mut state.seen;
        if turn.epoch >= seen.mounted {
            (seen.mounted, seen.present) = (turn.epoch, object);
        } else {
            // Mounting replays the journal: it writes.
            seen.late_write |= object == seen.present;
        }
        Some(())
    }

    /// The object that `epoch` reads and writes; none if the storage refuses it.
    fn attach(&self, state: &mut State, epoch: u8) -> Option<u8> {
        let store = &mut state.store;
        if self.storage != Storage::AfterLease {
            only_if(!store.revoked.has(epoch))?;
            if self.storage == Storage::AtOnce && !self.breaks(Fault::AttachCutsNothing) {
                store.revoked = (1..epoch).fold(store.revoked, |revoked, lower| revoked.with(lower));
            }
            return Some(0);
        }
        only_if(store.newest() <= epoch || self.breaks(Fault::AttachNewest))?;
        if !self.breaks(Fault::AttachCutsNothing) && !self.breaks(Fault::AttachNewest) {
            store.reflink(epoch);
        }
        Some(store.newest())
    }

    /// The mount is a kernel fact and says under which epoch: no server is asked. Where a lease is needed, it has to run.
    pub(crate) fn restart(&self, state: &mut State, node: u8) -> Option<()> {
        let here = &mut state.nodes[usize::from(node)];
        only_if(here.power && here.agent && !here.paused)?;
        let mount = here.mount.as_mut()?;
        only_if(mount.engine == Engine::Gone && !mount.over && !mount.shut && !mount.frozen)?;
        only_if(!self.leases() || mount.lease.is_some() && mount.confirmed)?;
        mount.engine = Engine::Running;
        Some(())
    }

    pub(crate) fn leave(&self, state: &mut State, node: u8) -> Option<()> {
        only_if(state.awake(node))?;
        let here = &mut state.nodes[usize::from(node)];
        let mount = here.mount?;
        only_if(mount.engine == Engine::Gone && !mount.over && !mount.frozen && mount.write == Write::Idle)?;
        here.mount = None;
        here.left = mount.epoch;
        state.forget_promises(mount.epoch);
        Some(())
    }

    pub(crate) fn release(&self, state: &mut State, node: u8) -> Option<()> {
        only_if(state.awake(node) && state.nodes[usize::from(node)].linked && state.releasing.is_none())?;
        let here = &mut state.nodes[usize::from(node)];
        only_if(here.left > 0 && here.turn.is_none())?;
        state.releasing = Some(here.left);
        here.renounced = here.renounced.max(here.left);
        here.left = 0;
        Some(())
    }

    /// A message may be read long after it was sent, and after its sender has died.
    pub(crate) fn read_release(&self, state: &mut State) -> Option<()> {
        only_if(state.servers)?;
        let epoch = state.releasing.take()?;
        state.record.decide(|binding| binding.release(Epoch::new(epoch.into())));
        Some(())
    }
}
