//! Tasks and virtual time.
//!
//! One thread. Which ready task runs next is drawn from the seed; when none is ready, time jumps to the next sleeper.
//! A process is a set of tasks: ending it drops them all, wherever they are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;
use om_backend::{Clock, Runtime, Tasks};
use om_model::Timestamp;

use crate::chance::Chance;

/// Where the virtual wall clock begins, in milliseconds since the Unix epoch.
const EPOCH_MS: u64 = 1_700_000_000_000;

/// The executor. Clones share it.
#[derive(Clone)]
pub struct Executor {
    shared: Arc<Shared>,
    chance: Arc<Chance>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    tasks: BTreeMap<u64, Option<BoxFuture<'static, ()>>>,
    ready: BTreeSet<u64>,
    next_task: u64,
    now: Duration,
    sleepers: BTreeMap<(Duration, u64), Waker>,
    next_sleeper: u64,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The condition held.
    Reached,
    /// Virtual time ran out first.
    OutOfTime,
    /// Nothing was left that could ever run.
    Idle,
}

struct WakeTask {
    id: u64,
    shared: Arc<Shared>,
}

impl Wake for WakeTask {
    fn wake(self: Arc<Self>) {
        lock(&self.shared).ready.insert(self.id);
    }
}

fn lock(shared: &Shared) -> MutexGuard<'_, State> {
    shared.state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Executor {
    /// An executor whose choices come from `seed`.
    pub fn new(seed: u64) -> Self {
        Self { shared: Arc::default(), chance: Arc::new(Chance::new(seed)) }
    }

    /// Time, tasks and chance of this executor.
    pub fn runtime(&self) -> Runtime {
        Runtime { clock: Arc::new(self.clone()), tasks: Arc::new(self.clone()), entropy: self.chance.clone() }
    }

    /// The seed's chance.
    pub fn chance(&self) -> &Chance {
        &self.chance
    }

    /// Adds a task.
    pub fn add(&self, task: BoxFuture<'static, ()>) {
        let mut state = lock(&self.shared);
        let id = state.next_task;
        state.next_task += 1;
        state.tasks.insert(id, Some(task));
        state.ready.insert(id);
    }

    /// Ends the process: drops every task where it is.
    pub fn crash(&self) {
        let dropped = {
            let mut state = lock(&self.shared);
            state.ready.clear();
            state.sleepers.clear();
            std::mem::take(&mut state.tasks)
        };
        drop(dropped);
    }

    /// Runs until `done`, at most `limit` of virtual time from now.
    pub fn run_until(&self, limit: Duration, mut done: impl FnMut() -> bool) -> Ended {
        let end = lock(&self.shared).now + limit;
        loop {
            if done() {
                return Ended::Reached;
            }
            if !self.step() && !self.advance() {
                return Ended::Idle;
            }
            if lock(&self.shared).now > end {
                return Ended::OutOfTime;
            }
        }
    }

    /// Polls one ready task, drawn from the seed; false if none is ready.
    fn step(&self) -> bool {
        let (id, mut task) = {
            let mut state = lock(&self.shared);
            if state.ready.is_empty() {
                return false;
            }
            let nth = self.chance.below(state.ready.len());
            let Some(id) = state.ready.iter().nth(nth).copied() else { return false };
            state.ready.remove(&id);
            match state.tasks.get_mut(&id).and_then(Option::take) {
                Some(task) => (id, task),
                None => return true,
            }
        };
        let waker = Waker::from(Arc::new(WakeTask { id, shared: self.shared.clone() }));
        let poll = task.as_mut().poll(&mut Context::from_waker(&waker));
        let mut state = lock(&self.shared);
        match poll {
            Poll::Ready(()) => drop(state.tasks.remove(&id)),
            // A task that crashed its own process while it ran is not put back.
            Poll::Pending => {
                if let Some(slot) = state.tasks.get_mut(&id) {
                    *slot = Some(task);
                }
            }
        }
        true
    }

    /// Lets time jump to the next sleeper; false if there is none.
    fn advance(&self) -> bool {
        let mut state = lock(&self.shared);
        let Some(((at, _), waker)) = state.sleepers.pop_first() else { return false };
        state.now = state.now.max(at);
        drop(state);
        waker.wake();
        true
    }
}

#[async_trait]
impl Clock for Executor {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(EPOCH_MS).plus(lock(&self.shared).now)
    }

    fn monotonic(&self) -> Duration {
        lock(&self.shared).now
    }

    async fn sleep(&self, length: Duration) {
        let key = {
            let mut state = lock(&self.shared);
            state.next_sleeper += 1;
            (state.now + length, state.next_sleeper)
        };
        Sleep { shared: self.shared.clone(), key }.await;
    }
}

/// One sleeper: at most one entry, gone when it is dropped, so that nothing wakes for a sleep nobody waits for.
struct Sleep {
    shared: Arc<Shared>,
    key: (Duration, u64),
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: std::pin::Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = lock(&self.shared);
        if state.now >= self.key.0 {
            return Poll::Ready(());
        }
        state.sleepers.insert(self.key, context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        lock(&self.shared).sleepers.remove(&self.key);
    }
}

impl Tasks for Executor {
    fn spawn(&self, _name: &'static str, task: BoxFuture<'static, ()>) {
        self.add(task);
    }
}
