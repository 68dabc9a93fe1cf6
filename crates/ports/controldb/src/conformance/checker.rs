//! Is a history linearizable? The search of Wing and Gong, with Lowe's memory of visited states, key by key.
//!
//! A history is linearizable if every operation can be given one moment between its call and its answer so that, taken
//! in the order of these moments, all answers are right for a single copy. That holds for the whole exactly if it holds
//! for each key by itself, which keeps the search small. A write of unknown outcome may have its moment at any time after
//! its call, or never.
//!
//! Main pieces: [`check`], [`Violation`].

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use super::history::{Action, History, Operation, Outcome, ValueId};
use crate::{Key, Revision};

/// A history that no single copy could have produced.
#[derive(Clone, Debug, thiserror::Error)]
pub struct Violation {
    /// On which key.
    pub key: Key,
    /// In which way.
    pub reason: String,
    /// The operations on this key, by the time of their calls.
    pub operations: Vec<Operation>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "not linearizable: key {}: {}", self.key, self.reason)?;
        for op in &self.operations {
            writeln!(f, "  {}..{} client {}: {:?} -> {:?}", op.invoked, op.returned, op.client, op.action, op.outcome)?;
        }
        Ok(())
    }
}

/// Checks every key's part of the history.
///
/// # Errors
/// The first [`Violation`] found.
pub fn check(history: &History) -> Result<(), Violation> {
    let mut by_key: BTreeMap<&Key, Vec<&Operation>> = BTreeMap::new();
    for operation in &history.operations {
        by_key.entry(&operation.key).or_default().push(operation);
    }
    for (key, mut operations) in by_key {
        operations.sort_by_key(|operation| operation.invoked);
        check_key(&operations).map_err(|reason| Violation {
            key: key.clone(),
            reason,
            operations: operations.iter().map(|operation| (*operation).clone()).collect(),
        })?;
    }
    Ok(())
}

fn check_key(operations: &[&Operation]) -> Result<(), String> {
    let values = values_by_revision(operations)?;
    let steps: Vec<Step> = operations.iter().map(|operation| Step::new(operation, &values)).collect();
    let mut events: Vec<(u64, Event)> = Vec::new();
    for (number, operation) in operations.iter().enumerate() {
        let returned = if steps[number].unknown { u64::MAX } else { operation.returned };
        events.push((operation.invoked, Event::Call(number)));
        events.push((returned, Event::Return(number)));
    }
    events.sort_by_key(|(time, _)| *time);
    let events: Vec<Event> = events.into_iter().map(|(_, event)| event).collect();
    Search::new(&events, &steps).run().map_err(|stuck| {
        let op = operations[stuck];
        format!("no order of the operations explains client {}'s {:?} -> {:?}", op.client, op.action, op.outcome)
    })
}

/// Which value each revision stands for. One revision never stands for two values, nor one value for two revisions, as
/// every write of a workload writes another value.
fn values_by_revision(operations: &[&Operation]) -> Result<HashMap<Revision, ValueId>, String> {
    let mut values: HashMap<Revision, ValueId> = HashMap::new();
    let mut revisions: HashMap<ValueId, Revision> = HashMap::new();
    for operation in operations {
        let (value, revision) = match (&operation.action, &operation.outcome) {
            (Action::Create(value) | Action::Update(_, value), Outcome::Written(revision)) => (value, revision),
            (_, Outcome::Found(value, revision)) => (value, revision),
            _ => continue,
        };
        let former_value = *values.entry(revision.clone()).or_insert(*value);
        let former_revision = revisions.entry(*value).or_insert_with(|| revision.clone());
        if former_value != *value || former_revision != revision {
            return Err(format!(
                "revision {revision:?} with value {value:#x} contradicts revision {former_revision:?} with value \
                 {former_value:#x}"
            ));
        }
    }
    Ok(values)
}

/// The single copy: absent, or a value (which says its revision too).
type State = Option<ValueId>;

/// An operation with its revisions resolved: which states it can meet, and what it leaves.
struct Step {
    expected: State,
    /// True if it met the expected state; false if it met another.
    met: bool,
    /// What it leaves if it met the expected state and is a write.
    leaves: Option<State>,
    unknown: bool,
}

impl Step {
    fn new(operation: &Operation, values: &HashMap<Revision, ValueId>) -> Self {
        // A revision nobody was ever given stands for no value: 0 is never written.
        let value_of = |revision: &Revision| Some(values.get(revision).copied().unwrap_or(0));
        let (expected, leaves) = match (&operation.action, &operation.outcome) {
            (Action::Read, Outcome::Found(value, _)) => (Some(*value), None),
            (Action::Read, _) => (None, None),
            (Action::Create(value), _) => (None, Some(Some(*value))),
            (Action::Update(revision, value), _) => (value_of(revision), Some(Some(*value))),
            (Action::Delete(revision), _) => (value_of(revision), Some(None)),
        };
        let (met, unknown) = (operation.outcome != Outcome::Conflict, operation.outcome == Outcome::Unknown);
        Self { expected, met, leaves, unknown }
    }

    /// The state after this operation, if it can have met `state`. A write of unknown outcome that meets another state
    /// than it expects changes nothing, which is the same as never having happened.
    fn apply(&self, state: State) -> Option<State> {
        match (self.met, state == self.expected) {
            (true, true) => Some(self.leaves.unwrap_or(state)),
            (false, false) => Some(state),
            _ => None,
        }
    }
}

#[derive(Clone, Copy)]
enum Event {
    Call(usize),
    Return(usize),
}

/// The events as a doubly linked list, from which an operation is lifted when it is given its moment. Node `i + 1` is
/// event `i`, node 0 the head.
struct Search<'a> {
    events: &'a [Event],
    steps: &'a [Step],
    next: Vec<usize>,
    previous: Vec<usize>,
    return_of: Vec<usize>,
    done: Vec<u64>,
    visited: HashSet<(Vec<u64>, State)>,
}

impl<'a> Search<'a> {
    fn new(events: &'a [Event], steps: &'a [Step]) -> Self {
        let nodes = events.len() + 1;
        let mut return_of = vec![0; steps.len()];
        for (index, event) in events.iter().enumerate() {
            if let Event::Return(number) = event {
                return_of[*number] = index + 1;
            }
        }
        Self {
            events,
            steps,
            next: (1..=nodes).collect(),
            previous: (0..=nodes).map(|node| node.saturating_sub(1)).collect(),
            return_of,
            done: vec![0; steps.len().div_ceil(64)],
            visited: HashSet::new(),
        }
    }

    /// Gives every operation its moment, or the operation at which the longest attempt was stuck.
    fn run(mut self) -> Result<(), usize> {
        let end = self.events.len() + 1;
        let mut state: State = None;
        let mut given: Vec<(usize, State)> = Vec::new();
        let mut deepest = (0, 0);
        let mut node = self.next[0];
        while node != end {
            match self.events[node - 1] {
                Event::Call(number) => match self.steps[number].apply(state) {
                    Some(after) if self.is_new(number, after) => {
                        given.push((node, state));
                        state = after;
                        self.lift(node, self.return_of[number]);
                        node = self.next[0];
                    }
                    _ => node = self.next[node],
                },
                // Only writes of unknown outcome are left, and these need not have happened.
                Event::Return(number) if self.steps[number].unknown => return Ok(()),
                Event::Return(number) => {
                    deepest = deepest.max((given.len(), number));
                    let Some((call, before)) = given.pop() else {
                        return Err(deepest.1);
                    };
                    state = before;
                    self.put_back(call);
                    node = self.next[call];
                }
            }
        }
        Ok(())
    }

    /// Marks the operation as done, unless the same set of operations has led to the same state before.
    fn is_new(&mut self, number: usize, after: State) -> bool {
        self.done[number / 64] |= 1 << (number % 64);
        let new = self.visited.insert((self.done.clone(), after));
        if !new {
            self.done[number / 64] &= !(1 << (number % 64));
        }
        new
    }

    fn lift(&mut self, call: usize, answer: usize) {
        for node in [call, answer] {
            let (before, after) = (self.previous[node], self.next[node]);
            self.next[before] = after;
            self.previous[after] = before;
        }
    }

    fn put_back(&mut self, call: usize) {
        let Event::Call(number) = self.events[call - 1] else { unreachable!("only calls are lifted") };
        self.done[number / 64] &= !(1 << (number % 64));
        for node in [self.return_of[number], call] {
            let (before, after) = (self.previous[node], self.next[node]);
            self.next[before] = node;
            self.previous[after] = node;
        }
    }
}

#[cfg(test)]
mod tests;
