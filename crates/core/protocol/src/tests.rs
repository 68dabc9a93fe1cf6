//! The model handed to a model checker: every state within the bounds is visited.
//!
//! Main pieces: [`Explored`], [`explore`], [`hunt`]. Modules: `sound` (the protocol as it is), `planted` (each rule broken).

mod planted;
mod sound;

use std::collections::BTreeSet;

use stateright::{Checker, HasDiscoveries, Model, Property};

use crate::{
    Event, Fault, Mishap, Protocol, Restraint, State, Storage, acknowledged_kept, name_follows_holder,
    no_stray_eviction, one_writer,
};

const ONE_WRITER: &str = "one writer";
const ACKNOWLEDGED_KEPT: &str = "no acknowledged write is lost";
const NAME_FOLLOWS_HOLDER: &str = "the name follows the holder";
const NO_STRAY_EVICTION: &str = "no stray Mount evicts a healthy holder";
const MOVES: &str = "a member moves";
const MOVES_TWICE: &str = "A is cut off, B takes over and dies, C takes over";
const MOVES_ON: &str = "A is lost, B takes over and is lost, C takes over once one of them is back";
const RETURNS: &str = "a node that lost the member holds it again, in the same life";
const GOES_ON: &str = "a node in a new life holds the member again";

/// A protocol with every event that may happen in it.
struct Explored {
    protocol: Protocol,
    events: Vec<Event>,
    /// Whether all is to be visited and what can be reached is of interest.
    whole: bool,
}

impl Model for Explored {
    type State = State;
    type Action = Event;

    fn init_states(&self) -> Vec<State> {
        vec![self.protocol.start()]
    }

    fn actions(&self, _state: &State, actions: &mut Vec<Event>) {
        actions.extend_from_slice(&self.events);
    }

    fn next_state(&self, state: &State, event: Event) -> Option<State> {
        self.protocol.next(state, event)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always(ONE_WRITER, |_: &Self, state| one_writer(state)),
            Property::always(ACKNOWLEDGED_KEPT, |_: &Self, state| acknowledged_kept(state)),
            Property::always(NAME_FOLLOWS_HOLDER, |_: &Self, state| name_follows_holder(state)),
            Property::always(NO_STRAY_EVICTION, |_: &Self, state| no_stray_eviction(state)),
        ];
        let reachable = [
            Property::sometimes(MOVES, |_: &Self, state: &State| serves(state, 1) && state.record.epoch == 2),
            Property::sometimes(MOVES_TWICE, |_: &Self, state: &State| {
                serves(state, 2) && state.record.epoch == 3 && !state.nodes[0].linked && !state.nodes[1].power
            }),
            Property::sometimes(MOVES_ON, |_: &Self, state: &State| {
                let chain = [Some(0), Some(1), Some(2)]
                    == [1, 2, 3].map(|epoch: usize| state.holders[epoch].map(|life| life.node));
                serves(state, 2) && state.record.epoch == 3 && chain
            }),
            Property::sometimes(RETURNS, |_: &Self, state: &State| {
                let cut_off = state.store.revoked.has(1) || state.store.objects[2].is_some();
                serves(state, 0) && state.record.epoch == 3 && state.nodes[0].life == 1 && cut_off
            }),
            Property::sometimes(GOES_ON, |_: &Self, state: &State| {
                serves(state, 0) && state.record.epoch == 2 && state.nodes[0].life == 2
            }),
        ];
        properties.extend(reachable.into_iter().filter(|_| self.whole));
        properties
    }
}

/// Whether `node` holds the member, its name points there, and its engine works.
fn serves(state: &State, node: u8) -> bool {
    let mount = state.nodes[usize::from(node)].mount;
    let works = mount.is_some_and(|mount| mount.epoch == state.record.epoch && mount.engine == crate::Engine::Running);
    works && state.record.published && state.record.holder == Some(state.life(node))
}

fn protocol(storage: Storage, mishaps: &[Mishap], at_most: u8) -> Protocol {
    Protocol {
        storage,
        restraint: Restraint::Gate,
        fault: None,
        mishaps: mishaps.to_vec(),
        mishaps_at_most: at_most,
        epochs: 3,
        writes: 1,
    }
}

fn explored(protocol: Protocol, whole: bool) -> Explored {
    let events = Event::all(&protocol.mishaps);
    Explored { protocol, events, whole }
}

/// Visits every state of a protocol that violates nothing: `reached` and nothing else of what is of interest can be reached,
/// and there are at least `floor` states.
fn explore(protocol: Protocol, reached: &[&'static str], floor: usize) {
    let checker = explored(protocol, true).checker().finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    println!("{} states, {} deep", checker.unique_state_count(), checker.max_depth());
    for property in [ONE_WRITER, ACKNOWLEDGED_KEPT, NAME_FOLLOWS_HOLDER, NO_STRAY_EVICTION] {
        checker.assert_no_discovery(property);
    }
    assert!(checker.is_done(), "not every state was visited");
    let found: BTreeSet<_> = checker.discoveries().into_keys().collect();
    assert_eq!(found, reached.iter().copied().collect(), "what can be reached");
    assert!(checker.unique_state_count() >= floor, "only {} states were visited", checker.unique_state_count());
}

/// Looks for the shortest way by which a broken protocol violates `property`.
fn hunt(protocol: Protocol, property: &'static str) -> Vec<Event> {
    let until = HasDiscoveries::AnyOf(BTreeSet::from([property]));
    let checker = explored(protocol, false).checker().finish_when(until).spawn_bfs().join();
    println!("{} states", checker.unique_state_count());
    let path = checker.discovery(property).unwrap_or_else(|| panic!("not found: {property}"));
    let events = path.into_actions();
    println!("{property}: {events:?}");
    events
}

fn broken(fault: Fault, of: Protocol) -> Protocol {
    Protocol { fault: Some(fault), ..of }
}
