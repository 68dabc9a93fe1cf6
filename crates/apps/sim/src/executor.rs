//! Tasks and virtual time.
//!
//! One thread. Which ready task runs next is drawn from the seed; when none is ready, time jumps to the next sleeper.
//! A [`Process`] is a set of tasks: ending it drops them all, wherever they are; stopped, none of them runs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;
use om_backend::{Clock, Runtime, Tasks};
use om_model::Timestamp;

use crate::chance::Chance;

/// The process of tasks that belong to none.
const WORLD: u64 = 0;

/// Where the virtual wall clock begins, in milliseconds since the Unix epoch.
pub(crate) const EPOCH_MS: u64 = 1_700_000_000_000;

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
    tasks: BTreeMap<u64, Task>,
    ready: BTreeSet<u64>,
    /// Ready, but of a process that is stopped.
    held: BTreeSet<u64>,
    stopped: BTreeSet<u64>,
    ended: BTreeSet<u64>,
    next_task: u64,
    next_process: u64,
    polls: u64,
    now: Duration,
    sleepers: BTreeMap<(Duration, u64), Waker>,
    next_sleeper: u64,
}

struct Task {
    process: u64,
    /// What it does, and what wakes it; none while it is polled.
    work: Option<(BoxFuture<'static, ()>, Waker)>,
}

impl State {
    fn wake(&mut self, id: u64) {
        let Some(task) = self.tasks.get(&id) else { return };
        let set = if self.stopped.contains(&task.process) { &mut self.held } else { &mut self.ready };
        set.insert(id);
    }
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

/// Wakes a task. Weak: the executor keeps sleepers' wakers, which would keep it.
struct WakeTask {
    id: u64,
    shared: Weak<Shared>,
}

impl Wake for WakeTask {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if let Some(shared) = self.shared.upgrade() {
            lock(&shared).wake(self.id);
        }
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

    /// Adds a task of no process in particular.
    pub fn add(&self, task: BoxFuture<'static, ()>) {
        self.add_to(WORLD, task);
    }

    /// Adds a task to a process; one that has ended takes none.
    fn add_to(&self, process: u64, task: BoxFuture<'static, ()>) {
        let mut state = lock(&self.shared);
        if state.ended.contains(&process) {
            drop(state);
            return drop(task);
        }
        let id = state.next_task;
        state.next_task += 1;
        let waker = Waker::from(Arc::new(WakeTask { id, shared: Arc::downgrade(&self.shared) }));
        state.tasks.insert(id, Task { process, work: Some((task, waker)) });
        state.wake(id);
    }

    /// Begins a process that has no task yet, by the world's own clock.
    pub fn process(&self) -> Process {
        let mut state = lock(&self.shared);
        state.next_process += 1;
        Process { executor: self.clone(), id: state.next_process }
    }

    /// How often a task was polled: two runs that differ anywhere differ in this.
    pub fn polls(&self) -> u64 {
        lock(&self.shared).polls
    }

    /// Ends the process: drops every task where it is.
    pub fn crash(&self) {
        let dropped = {
            let mut state = lock(&self.shared);
            state.ready.clear();
            state.held.clear();
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
        let (id, mut task, waker) = {
            let mut state = lock(&self.shared);
            if state.ready.is_empty() {
                return false;
            }
            let nth = self.chance.below(state.ready.len());
            let Some(id) = state.ready.iter().nth(nth).copied() else { return false };
            state.ready.remove(&id);
            state.polls += 1;
            match state.tasks.get_mut(&id).and_then(|task| task.work.take()) {
                Some((work, waker)) => (id, work, waker),
                None => return true,
            }
        };
        let poll = task.as_mut().poll(&mut Context::from_waker(&waker));
        let mut state = lock(&self.shared);
        match poll {
            Poll::Ready(()) => {
                state.tasks.remove(&id);
                drop(state);
                drop(task);
            }
            // A task that crashed its own process while it ran is not put back.
            Poll::Pending => {
                if let Some(slot) = state.tasks.get_mut(&id) {
                    slot.work = Some((task, waker));
                    return true;
                }
                // Dropping it may ask for the lock.
                drop(state);
                drop(task);
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

/// A process: tasks that end together. Clones are the same process.
#[derive(Clone)]
pub struct Process {
    executor: Executor,
    id: u64,
}

impl Process {
    /// Ends it where it is: every task of it is dropped, and it takes no more.
    pub fn end(&self) {
        let dropped = {
            let mut state = lock(&self.executor.shared);
            state.ended.insert(self.id);
            state.stopped.remove(&self.id);
            let mine: Vec<u64> =
                state.tasks.iter().filter(|(_, task)| task.process == self.id).map(|(id, _)| *id).collect();
            let take = |id: &u64| {
                state.ready.remove(id);
                state.held.remove(id);
                state.tasks.remove(id)
            };
            mine.iter().filter_map(take).collect::<Vec<_>>()
        };
        drop(dropped);
    }

    /// False once it has ended.
    pub fn is_alive(&self) -> bool {
        !lock(&self.executor.shared).ended.contains(&self.id)
    }

    /// Stops it (SIGSTOP): none of its tasks runs until [`Self::go_on`].
    pub fn stop(&self) {
        let mut state = lock(&self.executor.shared);
        state.stopped.insert(self.id);
        let State { tasks, ready, held, .. } = &mut *state;
        let mine = |id: &u64| tasks.get(id).is_some_and(|task| task.process == self.id);
        held.extend(ready.extract_if(.., |id| mine(id)));
    }

    /// Lets it go on (SIGCONT).
    pub fn go_on(&self) {
        let mut state = lock(&self.executor.shared);
        state.stopped.remove(&self.id);
        let State { tasks, ready, held, .. } = &mut *state;
        let mine = |id: &u64| tasks.get(id).is_some_and(|task| task.process == self.id);
        ready.extend(held.extract_if(.., |id| mine(id)));
    }
}

impl Tasks for Process {
    fn spawn(&self, _name: &'static str, task: BoxFuture<'static, ()>) {
        self.executor.add_to(self.id, task);
    }
}
