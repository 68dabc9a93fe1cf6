//! The way of a write: asked for by a client, into the page cache, over the wire, to the storage, and the answer back.
//!
//! **Invariant:** the storage judges a write when it arrives, by the epoch under which it was attached; how long it was under
//! way is nobody's choice.

use crate::fault::{Restraint, Storage};
use crate::protocol::{Protocol, only_if};
use crate::state::{Engine, State, Write};

impl Protocol {
    pub(crate) fn write(&self, state: &mut State, node: u8) -> Option<()> {
        only_if(state.asked < self.writes && !state.nodes[usize::from(node)].paused)?;
        let mount = state.nodes[usize::from(node)].mount.as_mut()?;
        only_if(mount.engine == Engine::Running && !mount.paused && !mount.shut && mount.write == Write::Idle)?;
        let write = state.asked;
        mount.write = if mount.frozen { Write::Blocked(write) } else { Write::Dirty(write) };
        state.asked += 1;
        Some(())
    }

    /// Goes on for as long as the file system is mounted, whatever became of the container.
    pub(crate) fn write_back(&self, state: &mut State, node: u8) -> Option<()> {
        only_if(!state.nodes[usize::from(node)].paused)?;
        let mount = state.nodes[usize::from(node)].mount.as_mut()?;
        let Write::Dirty(write) = mount.write else { return None };
        only_if(!mount.frozen && !mount.shut)?;
        mount.write = Write::Sent(write);
        state.wire[usize::from(write)] = Some((mount.epoch, mount.object));
        Some(())
    }

    pub(crate) fn deliver(&self, state: &mut State, write: u8) -> Option<()> {
        let (epoch, object) = state.wire[usize::from(write)].take()?;
        let accepted = self.storage != Storage::AtOnce || !state.store.revoked.has(epoch);
        if accepted {
            let content = state.store.objects[usize::from(object)].as_mut()?;
            *content = content.with(write);
            state.seen.late_write |= epoch < state.seen.mounted && object == state.seen.present;
        }
        for node in &mut state.nodes {
            if let Some(mount) = node.mount.as_mut().filter(|mount| mount.write == Write::Sent(write)) {
                let told = accepted && !mount.shut && mount.engine != Engine::Gone;
                mount.write = if told { Write::Durable(write) } else { Write::Idle };
            }
        }
        Some(())
    }

    pub(crate) fn acknowledge(&self, state: &mut State, node: u8) -> Option<()> {
        only_if(!state.nodes[usize::from(node)].paused)?;
        let mount = state.nodes[usize::from(node)].mount.as_mut()?;
        let Write::Durable(write) = mount.write else { return None };
        only_if(mount.engine == Engine::Running && !mount.paused)?;
        let gated = self.leases() && self.restraint == Restraint::Gate;
        only_if(!gated || mount.lease.is_some() && mount.confirmed)?;
        mount.write = Write::Idle;
        state.acknowledged = state.acknowledged.with(write);
        Some(())
    }
}
