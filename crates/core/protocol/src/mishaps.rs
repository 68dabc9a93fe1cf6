//! What goes wrong, and how it comes right again.
//!
//! **Invariant:** what is on the wire, and what a voter's promise still means to its holder, outlive everything here.

use crate::event::Event;
use crate::fault::{Fault, Mishap};
use crate::protocol::{Protocol, only_if};
use crate::set::Set;
use crate::state::{Engine, Node, State, Write};

/// How many lives a node has at most.
const LIVES: u8 = 2;

impl Protocol {
    pub(crate) fn go_wrong(&self, state: &mut State, mishap: Mishap, node: u8) -> Option<()> {
        state.mishaps_left = state.mishaps_left.checked_sub(1)?;
        if mishap == Mishap::ServersDown {
            only_if(state.servers && node == 0)?;
            state.servers = false;
            return Some(());
        }
        let here = &mut state.nodes[usize::from(node)];
        only_if(here.power)?;
        match mishap {
            Mishap::PowerOff => {
                let mounted = here.mount.map_or(0, |mount| mount.epoch);
                *here = Node { promised: here.promised, power: false, ..Node::started(here.life) };
                state.forget_promises(mounted);
            }
            Mishap::Cut => {
                only_if(here.linked)?;
                here.linked = false;
            }
            Mishap::Exit => {
                let mount = here.mount.as_mut()?;
                only_if(mount.engine != Engine::Gone && !mount.paused)?;
                mount.engine = Engine::Gone;
                if matches!(mount.write, Write::Durable(_)) {
                    mount.write = Write::Idle;
                }
            }
            Mishap::ContainerPaused => {
                let mount = here.mount.as_mut()?;
                only_if(mount.engine != Engine::Gone && !mount.paused)?;
                mount.paused = true;
            }
            Mishap::MachinePaused => {
                only_if(!here.paused)?;
                here.paused = true;
            }
            Mishap::AgentDown => {
                only_if(here.agent)?;
                here.agent = false;
            }
            Mishap::ServersDown => {}
        }
        Some(())
    }

    pub(crate) fn recover(&self, state: &mut State, event: Event) -> Option<()> {
        match event {
            Event::ServersUp => state.servers = true,
            Event::PowerOn(node) => {
                let here = &mut state.nodes[usize::from(node)];
                only_if(!here.power && here.life < LIVES)?;
                *here = Node { promised: here.promised, ..Node::started(here.life + 1) };
                self.start_voting(here);
            }
            Event::AgentUp(node) => {
                let here = &mut state.nodes[usize::from(node)];
                only_if(here.power && !here.agent && !here.paused)?;
                (here.agent, here.turn, here.left) = (true, None, 0);
                if self.breaks(Fault::RestartForgets) {
                    here.renounced = 0;
                }
                self.start_voting(here);
            }
            Event::Heal(node) => state.nodes[usize::from(node)].linked = true,
            Event::MachineResumes(node) => state.nodes[usize::from(node)].paused = false,
            Event::ContainerResumes(node) => state.nodes[usize::from(node)].mount.as_mut()?.paused = false,
            _ => return None,
        }
        Some(())
    }

    /// A voter that starts has forgotten what it promised; it may promise anew soon, long before a term has passed.
    fn start_voting(&self, voter: &mut Node) {
        voter.forgotten = voter.promised;
        voter.fresh = self.leases() && !self.breaks(Fault::VoterForgets);
        if self.breaks(Fault::VoterForgets) {
            (voter.promised, voter.forgotten) = (Set::default(), Set::default());
        }
    }
}
