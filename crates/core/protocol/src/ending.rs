//! What a node does when it hears that its epoch is over: shut down, kill, thaw, unmount, in this order.
//!
//! **Invariant:** nothing that waited in the frozen file system is ever written.

use crate::fault::Fault;
use crate::protocol::{Protocol, only_if};
use crate::state::{Engine, Mount, State, Write};

impl Protocol {
    pub(crate) fn learn(&self, state: &mut State, node: u8) -> Option<()> {
        only_if(state.online(node))?;
        let life = state.life(node);
        let record = state.record;
        let mount = state.nodes[usize::from(node)].mount.as_mut()?;
        only_if(record.epoch != mount.epoch || record.holder != Some(life))?;
        mount.over = true;
        if !mount.frozen && !self.breaks(Fault::KillBeforeShutdown) {
            // Nothing waits in the file system: what follows is one with this.
            self.shut_down(state, node)?;
            self.kill(state, node)?;
        }
        Some(())
    }

    pub(crate) fn shut_down(&self, state: &mut State, node: u8) -> Option<()> {
        only_if(!self.breaks(Fault::KillBeforeShutdown))?;
        let mount = ending(state, node)?;
        mount.shut = true;
        if matches!(mount.write, Write::Dirty(_) | Write::Blocked(_)) {
            mount.write = Write::Idle;
        }
        Some(())
    }

    pub(crate) fn kill(&self, state: &mut State, node: u8) -> Option<()> {
        let mount = ending(state, node)?;
        only_if(mount.shut || self.breaks(Fault::KillBeforeShutdown))?;
        mount.engine = Engine::Gone;
        mount.paused = false;
        if matches!(mount.write, Write::Durable(_)) {
            mount.write = Write::Idle;
        }
        Some(())
    }

    pub(crate) fn thaw(&self, state: &mut State, node: u8) -> Option<()> {
        let mount = ending(state, node)?;
        only_if(mount.engine == Engine::Gone)?;
        mount.thaw();
        Some(())
    }

    /// An unmount ends only when the storage has answered every write that is under way.
    pub(crate) fn unmount(&self, state: &mut State, node: u8) -> Option<()> {
        let mount = ending(state, node)?;
        only_if(mount.engine == Engine::Gone && !mount.frozen && mount.write == Write::Idle)?;
        let epoch = mount.epoch;
        let node = &mut state.nodes[usize::from(node)];
        node.renounced = node.renounced.max(epoch);
        node.mount = None;
        state.forget_promises(epoch);
        Some(())
    }
}

fn ending(state: &mut State, node: u8) -> Option<&mut Mount> {
    only_if(state.awake(node))?;
    state.nodes[usize::from(node)].mount.as_mut().filter(|mount| mount.over)
}
