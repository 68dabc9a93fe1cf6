//! What concurrent clients did and saw: the material of the [checker](super::checker).
//!
//! Main pieces: [`Operation`] (one call on one key, with when it was made and answered), [`History`], [`Recorder`].
//!
//! **Invariant:** the recorder's clock ticks before the call is made and again after it was answered, so that if one
//! operation was answered before another was made, their ticks say so.

use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;

use crate::{Key, Revision};

/// A value, of which every write of a workload writes another.
pub type ValueId = u64;

/// What was asked of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A get, or this key's part of a list.
    Read,
    /// Create with this value.
    Create(ValueId),
    /// Update at this revision with this value.
    Update(Revision, ValueId),
    /// Delete at this revision.
    Delete(Revision),
}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A read found this value at this revision.
    Found(ValueId, Revision),
    /// A read found nothing.
    Absent,
    /// A create or update succeeded and gave this revision.
    Written(Revision),
    /// A delete succeeded.
    Deleted,
    /// The condition did not hold.
    Conflict,
    /// No answer, or one that leaves open whether the write was applied.
    Unknown,
}

/// One call on one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Who.
    pub client: usize,
    /// On which key.
    pub key: Key,
    /// What was asked.
    pub action: Action,
    /// What was answered.
    pub outcome: Outcome,
    /// The clock before the call.
    pub invoked: u64,
    /// The clock after the answer; without meaning if the outcome is [`Outcome::Unknown`].
    pub returned: u64,
}

/// The operations of all clients, in any order.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The operations.
    pub operations: Vec<Operation>,
}

impl History {
    /// # Panics
    /// If so few calls succeeded, failed or overlapped that a check of this history proves nothing.
    pub fn assert_meaningful(&self) {
        let count = |wanted: fn(&Outcome) -> bool| self.operations.iter().filter(|op| wanted(&op.outcome)).count();
        let total = self.operations.len();
        let written = count(|outcome| matches!(outcome, Outcome::Written(_)));
        let deleted = count(|outcome| matches!(outcome, Outcome::Deleted));
        let refused = count(|outcome| matches!(outcome, Outcome::Conflict));
        let found = count(|outcome| matches!(outcome, Outcome::Found(..)));
        let overlapping = |op: &Operation| {
            let others = self.operations.iter().filter(|other| other.key == op.key && other.client != op.client);
            others.into_iter().any(|other| other.invoked < op.returned && op.invoked < other.returned)
        };
        let concurrent = self.operations.iter().filter(|op| overlapping(op)).count();
        let enough = written * 20 > total && deleted * 200 > total && refused * 50 > total && found * 10 > total;
        assert!(
            enough && concurrent * 4 > total,
            "of {total} operations {written} wrote, {deleted} deleted, {refused} were refused, {found} found a record, \
             {concurrent} overlapped another's: too few to prove anything"
        );
    }
}

/// The logical clock that all clients of a workload share.
#[derive(Debug, Default)]
pub struct Recorder {
    clock: AtomicU64,
}

impl Recorder {
    /// The next tick.
    pub fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }
}

/// Lets the other futures of the task have a turn, so that clients overlap on a backend that never waits.
pub(super) async fn breathe() {
    let mut waited = false;
    poll_fn(|context| {
        if std::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
