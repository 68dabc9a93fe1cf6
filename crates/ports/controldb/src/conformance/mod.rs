//! The suite that every backend passes: what [`crate::ControlDb`] promises, as code.
//!
//! Main pieces: [`run_all`] (every case in turn), [`workload`] (concurrent clients that record a history), [`history`]
//! (what they record) and [`checker`] (is that history linearizable?). A case panics with what was expected and seen.
//!
//! **Invariant:** the suite asks only for what the contract says, depends on no async runtime, and cannot hang: a wake-up
//! that does not come becomes a failure.

mod basics;
pub mod checker;
pub mod history;
mod listing;
mod patience;
mod random;
mod watching;
pub mod workload;

use std::sync::Arc;

use futures::future::BoxFuture;

use crate::{ControlDb, Entry, ErrorKind, Key, Result};

/// Makes an empty store, separate from those made before.
pub type Make<'a> = &'a (dyn Fn() -> BoxFuture<'static, Arc<dyn ControlDb>> + Send + Sync);

/// Every case, each on a new store.
///
/// # Panics
/// If the backend breaks the contract.
pub async fn run_all(make: Make<'_>) {
    basics::run(make).await;
    listing::run(make).await;
    watching::run(make).await;
    concurrent_clients(make).await;
}

/// Concurrent clients on few keys, several seeds, each history checked for linearizability.
///
/// # Panics
/// If a history is not linearizable, or so little succeeded that it proves nothing.
pub async fn concurrent_clients(make: Make<'_>) {
    for seed in 1..=4 {
        let workload = workload::Workload { seed, clients: 6, operations: 40, keys: 3 };
        let history = workload.run(make().await).await;
        if let Err(violation) = checker::check(&history) {
            panic!("seed {seed}: {violation}");
        }
        history.assert_meaningful();
    }
}

fn key(text: &str) -> Key {
    Key::new(text).expect("the suite's keys are good")
}

async fn entry(db: &dyn ControlDb, key: &Key) -> Entry {
    db.get(key).await.expect("get answers").unwrap_or_else(|| panic!("{key} is there"))
}

#[track_caller]
fn assert_kind<T: std::fmt::Debug>(result: Result<T>, kind: ErrorKind, what: &str) {
    match result {
        Err(error) if error.kind == kind => assert!(!error.detail.is_empty(), "{what}: the error says why"),
        other => panic!("{what}: expected {kind:?}, got {other:?}"),
    }
}

#[cfg(test)]
mod tests;
