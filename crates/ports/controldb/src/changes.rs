//! Change notification within one process: the watches of every backend whose writes all pass through this process.
//!
//! Main piece: [`Changes`], on which the backend records each change and from which it hands out watches.
//!
//! **Invariant:** a watch is one flag, however many changes it has not seen, so it is bounded; and no change recorded
//! after it was armed is lost, since the recorder raises the flag before it wakes, and the watcher leaves its waker
//! before it looks at the flag.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use async_trait::async_trait;
use futures::task::AtomicWaker;

use crate::{Error, ErrorKind, Key, Result, Watch};

/// The watches of one store. When it is dropped, they end with [`ErrorKind::Unavailable`].
#[derive(Default)]
pub struct Changes {
    registry: Arc<Mutex<Registry>>,
}

/// Ordered by number, so that watches are woken in the same order in every run of a simulation.
#[derive(Default)]
struct Registry {
    last: u64,
    watches: BTreeMap<u64, (Key, Arc<Signal>)>,
}

#[derive(Default)]
struct Signal {
    changed: AtomicBool,
    closed: AtomicBool,
    waker: AtomicWaker,
}

impl Changes {
    /// Nobody watches yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A watch on `prefix`, armed from now on.
    pub fn watch(&self, prefix: &Key) -> Box<dyn Watch> {
        let signal = Arc::new(Signal::default());
        let mut registry = lock(&self.registry);
        registry.last += 1;
        let number = registry.last;
        registry.watches.insert(number, (prefix.clone(), signal.clone()));
        Box::new(LocalWatch { registry: self.registry.clone(), number, prefix: prefix.clone(), signal })
    }

    /// Wakes the watches that cover `key`. To be called once the change is visible to readers, and before it is
    /// acknowledged to the writer.
    pub fn record(&self, key: &Key) {
        let concerned: Vec<_> = {
            let registry = lock(&self.registry);
            let covering = registry.watches.values().filter(|(prefix, _)| key.as_str().starts_with(prefix.as_str()));
            covering.map(|(_, signal)| signal.clone()).collect()
        };
        // Outside the lock: a waker is foreign code.
        for signal in concerned {
            signal.changed.store(true, Ordering::SeqCst);
            signal.waker.wake();
        }
    }
}

impl Drop for Changes {
    fn drop(&mut self) {
        let watches = std::mem::take(&mut lock(&self.registry).watches);
        for (_, signal) in watches.into_values() {
            signal.closed.store(true, Ordering::SeqCst);
            signal.waker.wake();
        }
    }
}

fn lock(registry: &Mutex<Registry>) -> MutexGuard<'_, Registry> {
    // A panic elsewhere cannot leave the map half-changed: every change is one insertion or removal.
    registry.lock().unwrap_or_else(PoisonError::into_inner)
}

struct LocalWatch {
    registry: Arc<Mutex<Registry>>,
    number: u64,
    prefix: Key,
    signal: Arc<Signal>,
}

#[async_trait]
impl Watch for LocalWatch {
    async fn changed(&mut self) -> Result<()> {
        poll_fn(|context| {
            self.signal.waker.register(context.waker());
            if self.signal.changed.swap(false, Ordering::SeqCst) {
                return Poll::Ready(Ok(()));
            }
            if self.signal.closed.load(Ordering::SeqCst) {
                let detail = "the store was closed; open it again and arm a new watch";
                return Poll::Ready(Err(Error::new(ErrorKind::Unavailable, "watch", &self.prefix, detail)));
            }
            Poll::Pending
        })
        .await
    }
}

impl Drop for LocalWatch {
    fn drop(&mut self) {
        lock(&self.registry).watches.remove(&self.number);
    }
}

#[cfg(test)]
mod tests;
