//! The lease: renewed with a majority of voters, ended by clocks, enforced on the holder's node.
//!
//! Time is modelled by order alone: a voter's promise ends after the holder's deadline that rests on it, and only after
//! whoever is able to has restrained the engine (the margin between the two is chosen so).
//!
//! **Invariant:** an engine that was stopped goes on only if its lease runs and a server has confirmed the epoch since.

use crate::fault::{Fault, Restraint, Storage};
use crate::protocol::{Protocol, only_if};
use crate::set::Set;
use crate::state::{Engine, MAJORITY, Mount, NODES, Node, State, Write};

impl Protocol {
    /// The voters that would promise `node` a lease now, if they are a majority.
    fn willing(&self, state: &State, node: u8) -> Option<Set> {
        state.nodes[usize::from(node)].mount?;
        let willing = (0..NODES as u8).filter(|voter| state.reaches(node, *voter)).fold(Set::default(), Set::with);
        (willing.len() >= MAJORITY).then_some(willing)
    }

    pub(crate) fn renew(&self, state: &mut State, node: u8) -> Option<()> {
        only_if(self.leases())?;
        let willing = self.willing(state, node)?;
        let mount = state.nodes[usize::from(node)].mount.as_mut()?;
        only_if(!mount.over)?;
        mount.lease = Some(willing);
        let epoch = mount.epoch;
        for voter in willing.iter() {
            let voter = &mut state.nodes[usize::from(voter)];
            voter.promised = voter.promised.with(epoch);
        }
        Some(())
    }

    /// A lease that can be renewed is: it lapses only where it cannot.
    pub(crate) fn lapse(&self, state: &mut State, node: u8) -> Option<()> {
        only_if(self.leases() && self.willing(state, node).is_none())?;
        let mount = state.nodes[usize::from(node)].mount.as_mut()?;
        mount.lease = None;
        if !self.breaks(Fault::ConfirmedEarlier) {
            mount.confirmed = false;
        }
        Some(())
    }

    pub(crate) fn expire(&self, state: &mut State, voter: u8, epoch: u8) -> Option<()> {
        only_if(state.nodes[usize::from(voter)].promised.has(epoch))?;
        if let Some(node) = state.mount_of(epoch) {
            let mount = node.mount.as_ref()?;
            let stands_still = node.paused && self.breaks(Fault::StandingClock);
            let runs = mount.lease.is_some_and(|rests_on| rests_on.has(voter)) && !stands_still;
            only_if(!runs && !self.about_to_restrain(node, mount))?;
            let under_way = state.wire.iter().flatten().any(|(of, _)| *of == epoch);
            only_if(self.storage != Storage::Timed || !under_way)?;
        }
        let voter = &mut state.nodes[usize::from(voter)];
        voter.promised = voter.promised.without(epoch);
        voter.forgotten = voter.forgotten.without(epoch);
        Some(())
    }

    /// Whether somebody is there who will restrain the engine within the margin, and has not yet. Where answers are gated
    /// nobody is relied on.
    fn about_to_restrain(&self, node: &Node, mount: &Mount) -> bool {
        if self.restraint == Restraint::Gate {
            return false;
        }
        let restrained = match self.storage {
            Storage::Timed => mount.frozen || mount.shut,
            Storage::AtOnce | Storage::AfterLease => mount.engine != Engine::Running || mount.frozen,
        };
        let first_process = !node.paused && !mount.paused && mount.engine == Engine::Running;
        let agent = node.agent && !node.paused && self.agent_can(mount);
        mount.lease.is_none() && !restrained && (first_process && self.storage != Storage::Timed || agent)
    }

    /// Whether the agent's part at the deadline can be done at once: a freeze waits for the storage.
    fn agent_can(&self, mount: &Mount) -> bool {
        match self.restraint {
            Restraint::FirstProcess => false,
            Restraint::AgentFreezes => !matches!(mount.write, Write::Sent(_)),
            Restraint::AgentStops | Restraint::Gate => true,
        }
    }

    pub(crate) fn term_passes(&self, state: &mut State, voter: u8) -> Option<()> {
        let voter = &mut state.nodes[usize::from(voter)];
        only_if(voter.power && voter.forgotten.is_empty())?;
        voter.fresh = false;
        Some(())
    }

    pub(crate) fn first_process_stops(&self, state: &mut State, node: u8) -> Option<()> {
        only_if(self.leases() && !state.nodes[usize::from(node)].paused)?;
        let mount = state.nodes[usize::from(node)].mount.as_mut()?;
        only_if(!mount.paused && mount.engine == Engine::Running && !(mount.lease.is_some() && mount.confirmed))?;
        mount.engine = Engine::Stopped;
        Some(())
    }

    pub(crate) fn agent_restrains(&self, state: &mut State, node: u8) -> Option<()> {
        only_if(self.leases() && state.awake(node))?;
        let mount = state.nodes[usize::from(node)].mount.as_mut()?;
        only_if(!(mount.lease.is_some() && mount.confirmed) && self.agent_can(mount))?;
        match self.restraint {
            Restraint::FirstProcess => return None,
            Restraint::AgentFreezes => mount.frozen = true,
            Restraint::AgentStops | Restraint::Gate => {
                only_if(mount.engine == Engine::Running)?;
                mount.engine = Engine::Stopped;
            }
        }
        Some(())
    }

    pub(crate) fn confirm(&self, state: &mut State, node: u8) -> Option<()> {
        only_if(self.leases() && state.online(node))?;
        let life = state.life(node);
        let mount = state.nodes[usize::from(node)].mount.as_mut()?;
        only_if(mount.lease.is_some() || self.breaks(Fault::ConfirmedEarlier))?;
        only_if(state.record.epoch == mount.epoch && state.record.holder == Some(life))?;
        mount.confirmed = true;
        Some(())
    }

    pub(crate) fn go_on(&self, state: &mut State, node: u8) -> Option<()> {
        only_if(self.leases() && !state.nodes[usize::from(node)].paused)?;
        let mount = state.nodes[usize::from(node)].mount.as_mut()?;
        only_if(mount.lease.is_some() && !mount.over)?;
        only_if(mount.confirmed || self.breaks(Fault::ContinueUnconfirmed))?;
        if mount.engine == Engine::Stopped {
            mount.engine = Engine::Running;
        }
        mount.thaw();
        Some(())
    }
}

impl Mount {
    /// Thaws the file system: a write that waited in it is performed, whatever became of the process.
    pub(crate) fn thaw(&mut self) {
        self.frozen = false;
        if let Write::Blocked(write) = self.write {
            self.write = if self.shut { Write::Idle } else { Write::Dirty(write) };
        }
    }
}
