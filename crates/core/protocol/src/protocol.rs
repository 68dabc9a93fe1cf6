//! Which protocol is explored, and how one event leads from one state to the next.
//!
//! Main pieces: [`Protocol`], [`Protocol::start`], [`Protocol::next`]. **Invariant:** an event that is not possible in a
//! state, or changes nothing, leads nowhere.

use crate::event::Event;
use crate::fault::{Fault, Mishap, Restraint, Storage};
use crate::record::{EPOCHS, Record};
use crate::set::Set;
use crate::state::{NODES, Node, Seen, State, Store, WRITES};

/// A protocol over a storage, with or without a planted fault, and the bounds of the exploration.
#[derive(Clone, Debug)]
pub struct Protocol {
    /// The storage.
    pub storage: Storage,
    /// What the holder's side does once its lease has lapsed.
    pub restraint: Restraint,
    /// The rule that is broken, if any.
    pub fault: Option<Fault>,
    /// What may go wrong.
    pub mishaps: Vec<Mishap>,
    /// How much of it.
    pub mishaps_at_most: u8,
    /// The highest epoch.
    pub epochs: u8,
    /// How many writes clients ask for.
    pub writes: u8,
}

impl Protocol {
    /// The first state: node 0 has claimed and mounted the member and serves it; all is well.
    pub fn start(&self) -> State {
        let mut nodes = [Node::started(1); NODES];
        for node in &mut nodes {
            node.fresh = false;
        }
        let mut objects = [None; EPOCHS];
        objects[0] = Some(Set::default());
        let state = State {
            record: Record::default(),
            holders: [None; EPOCHS],
            servers: true,
            nodes,
            store: Store { objects, revoked: Set::default() },
            wire: [None; WRITES],
            releasing: None,
            asked: 0,
            acknowledged: Set::default(),
            mishaps_left: self.mishaps_at_most,
            seen: Seen::default(),
        };
        let first = [
            Event::Claim(0),
            Event::Mount(0),
            Event::Publish(0),
            Event::Renew(0),
            Event::Confirm(0),
            Event::Continue(0),
        ];
        first.into_iter().fold(state, |state, event| self.next(&state, event).unwrap_or(state))
    }

    /// What `event` makes of `state`, if it is possible there and changes something.
    pub fn next(&self, state: &State, event: Event) -> Option<State> {
        let mut next = *state;
        let possible = self.happen(&mut next, event);
        (possible == Some(()) && next != *state).then_some(next)
    }

    /// Whether the rule that `fault` breaks is broken.
    pub(crate) fn breaks(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// Whether holders need a lease.
    pub(crate) fn leases(&self) -> bool {
        self.storage != Storage::AtOnce
    }

    fn happen(&self, state: &mut State, event: Event) -> Option<()> {
        match event {
            Event::Assign(node) => self.assign(state, node),
            Event::Claim(node) => self.claim(state, node),
            Event::Publish(node) => self.publish(state, node),
            Event::Fence(node) => self.fence(state, node),
            Event::ReportFenced(node) => self.report_fenced(state, node),
            Event::ProveFenced(epoch) => self.prove_fenced(state, epoch),
            Event::Mount(node) => self.mount(state, node),
            Event::Restart(node) => self.restart(state, node),
            Event::Leave(node) => self.leave(state, node),
            Event::Release(node) => self.release(state, node),
            Event::ReadRelease => self.read_release(state),
            Event::Renew(node) => self.renew(state, node),
            Event::Lapse(node) => self.lapse(state, node),
            Event::Expire(voter, epoch) => self.expire(state, voter, epoch),
            Event::TermPasses(voter) => self.term_passes(state, voter),
            Event::FirstProcessStops(node) => self.first_process_stops(state, node),
            Event::AgentRestrains(node) => self.agent_restrains(state, node),
            Event::Confirm(node) => self.confirm(state, node),
            Event::Continue(node) => self.go_on(state, node),
            Event::Learn(node) => self.learn(state, node),
            Event::Shutdown(node) => self.shut_down(state, node),
            Event::Kill(node) => self.kill(state, node),
            Event::Thaw(node) => self.thaw(state, node),
            Event::Unmount(node) => self.unmount(state, node),
            Event::Write(node) => self.write(state, node),
            Event::WriteBack(node) => self.write_back(state, node),
            Event::Deliver(write) => self.deliver(state, write),
            Event::Acknowledge(node) => self.acknowledge(state, node),
            Event::Happens(mishap, node) => self.go_wrong(state, mishap, node),
            Event::PowerOn(_)
            | Event::Heal(_)
            | Event::ServersUp
            | Event::ContainerResumes(_)
            | Event::MachineResumes(_)
            | Event::AgentUp(_) => self.recover(state, event),
        }
    }
}

/// Goes on only if `condition` holds: the guard of an event.
pub(crate) fn only_if(condition: bool) -> Option<()> {
    condition.then_some(())
}
