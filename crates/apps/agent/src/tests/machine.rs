//! Time and tasks of the tests: one thread, and time passes when nobody has anything else to do.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use futures::executor::block_on;
use futures::future::{BoxFuture, poll_fn};
use om_backend::{Clock, Entropy, Tasks};
use om_model::Timestamp;

/// So often sleepers are asked in vain before time passes, where there are several: everybody else has then had a turn.
const PATIENCE: u32 = 200;

/// A clock that jumps to the next sleeper's end once nothing but sleeping goes on.
#[derive(Default)]
pub(crate) struct VirtualClock(Mutex<Time>);

#[derive(Default)]
struct Time {
    now: Duration,
    sleepers: BTreeMap<u64, Duration>,
    next: u64,
    idle: u32,
    patience: u32,
}

impl VirtualClock {
    pub(crate) fn time(&self) -> Duration {
        self.0.lock().unwrap().now
    }

    /// From now on time passes only when nobody else has anything to do, not as soon as somebody sleeps.
    pub(crate) fn share(&self) {
        self.0.lock().unwrap().patience = PATIENCE;
    }

    /// So much time passes at once.
    pub(crate) fn advance(&self, length: Duration) {
        self.0.lock().unwrap().now += length;
    }

    fn poll(&self, deadline: Duration, context: &Context<'_>) -> Poll<()> {
        let mut time = self.0.lock().unwrap();
        if time.now < deadline {
            time.idle += 1;
            if time.idle > time.patience {
                time.idle = 0;
                let now = time.now;
                time.now = time.sleepers.values().copied().filter(|end| *end > now).min().unwrap_or(deadline);
            }
        }
        if time.now >= deadline {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

struct Sleeper<'a>(&'a VirtualClock, u64);

impl Drop for Sleeper<'_> {
    fn drop(&mut self) {
        self.0.0.lock().unwrap().sleepers.remove(&self.1);
    }
}

#[async_trait]
impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(0)
    }

    fn monotonic(&self) -> Duration {
        self.time()
    }

    async fn sleep(&self, length: Duration) {
        let (sleeper, deadline) = {
            let mut time = self.0.lock().unwrap();
            time.next += 1;
            let (id, deadline) = (time.next, time.now + length);
            time.sleepers.insert(id, deadline);
            (Sleeper(self, id), deadline)
        };
        poll_fn(|context| sleeper.0.poll(deadline, context)).await;
    }
}

/// Tasks that take turns with whatever the test runs.
#[derive(Clone, Default)]
pub(crate) struct Turns(Arc<Mutex<Vec<BoxFuture<'static, ()>>>>);

impl Turns {
    pub(crate) fn run<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        block_on(poll_fn(|context| {
            if let Poll::Ready(value) = work.as_mut().poll(context) {
                return Poll::Ready(value);
            }
            self.turn(context);
            context.waker().wake_by_ref();
            Poll::Pending
        }))
    }

    /// Runs everything spawned to its end.
    pub(crate) fn finish(&self) {
        self.run(poll_fn(|_| if self.0.lock().unwrap().is_empty() { Poll::Ready(()) } else { Poll::Pending }));
    }

    fn turn(&self, context: &mut Context<'_>) {
        let mut tasks = std::mem::take(&mut *self.0.lock().unwrap());
        tasks.retain_mut(|task| task.as_mut().poll(context).is_pending());
        // What the tasks spawned themselves comes after them.
        let mut queue = self.0.lock().unwrap();
        tasks.append(&mut queue);
        *queue = tasks;
    }

    /// The process dies: its tasks with it.
    pub(crate) fn die(&self) {
        let dying = std::mem::take(&mut *self.0.lock().unwrap());
        drop(dying);
    }
}

impl Tasks for Turns {
    fn spawn(&self, _: &'static str, task: BoxFuture<'static, ()>) {
        self.0.lock().unwrap().push(task);
    }
}

pub(crate) struct NoEntropy;

impl Entropy for NoEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(0);
    }
}

/// Gives way once.
pub(crate) async fn give_way() {
    let mut gave = false;
    poll_fn(|context| {
        if std::mem::replace(&mut gave, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
