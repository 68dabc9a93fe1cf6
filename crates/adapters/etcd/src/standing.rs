//! In which order the members of the cluster are asked.
//!
//! **Invariant:** the order is a permutation of all members: none is ever left out, it only comes last.

use std::time::Duration;

use tokio::time::Instant;

/// For so long an answer through the leader counts as the sign that a write sent the same way will be answered too.
const FRESH: Duration = Duration::from_millis(200);

/// What the answers so far tell of the members.
pub(crate) struct Standing {
    order: Vec<usize>,
    /// When the first in the order last gave an answer that needed the leader.
    answered: Option<Instant>,
}

impl Standing {
    /// First those of `members` that are on this machine.
    pub(crate) fn new(local: &[bool]) -> Self {
        let mut order: Vec<usize> = (0..local.len()).collect();
        order.sort_by_key(|index| !local[*index]);
        Self { order, answered: None }
    }

    /// All members, the best first.
    pub(crate) fn order(&self) -> Vec<usize> {
        self.order.clone()
    }

    /// It answered: it is asked first from now on.
    pub(crate) fn reached(&mut self, index: usize) {
        if self.order.first() != Some(&index) {
            self.order.retain(|other| *other != index);
            self.order.insert(0, index);
            self.answered = None;
        }
    }

    /// It answered what only the leader can answer for.
    pub(crate) fn answered(&mut self, index: usize, at: Instant) {
        self.reached(index);
        self.answered = Some(at);
    }

    /// It failed or was overtaken by another: it is asked last from now on.
    pub(crate) fn failed(&mut self, index: usize) {
        if self.order.first() == Some(&index) {
            self.answered = None;
        }
        self.order.retain(|other| *other != index);
        self.order.push(index);
    }

    /// The member that a write can be sent to without asking it first.
    pub(crate) fn fresh(&self, now: Instant) -> Option<usize> {
        let answered = self.answered?;
        (now.saturating_duration_since(answered) < FRESH).then(|| self.order.first().copied())?
    }
}

#[cfg(test)]
mod tests;
