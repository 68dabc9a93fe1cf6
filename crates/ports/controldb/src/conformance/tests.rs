//! The suite on the in-memory store; and the suite's own test: stores that are broken on purpose must be found out.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;

use super::workload::Workload;
use super::*;
use crate::memory::MemoryDb;
use crate::{Error, Page, Revision, Watch};

#[tokio::test]
async fn the_in_memory_store_conforms() {
    run_all(&|| Box::pin(async { Arc::new(MemoryDb::new()) as Arc<dyn ControlDb> })).await;
}

#[allow(clippy::disallowed_methods, reason = "real threads are what is tested")]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_in_memory_store_is_linearizable_over_threads() {
    for seed in 1..=10 {
        let db: Arc<dyn ControlDb> = Arc::new(MemoryDb::new());
        let clients = Workload { seed, clients: 8, operations: 60, keys: 2 }.clients(&db);
        let tasks: Vec<_> = clients.into_iter().map(tokio::spawn).collect();
        let mut history = history::History::default();
        for task in tasks {
            history.operations.extend(task.await.expect("no panic"));
        }
        checker::check(&history).unwrap_or_else(|violation| panic!("seed {seed}: {violation}"));
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Defect {
    /// Every third get of a changed record serves what the same key had at the get before.
    StaleRead,
    /// Every fifth update ignores its condition.
    LostUpdate,
    /// Every fifth create replaces what is there.
    DoubleCreate,
    /// Every fifth conflict is reported as done.
    FalseSuccess,
    /// None: some writes are applied and not acknowledged, others not applied, as behind a bad network.
    OnlyUnknown,
}

/// The in-memory store behind a defect.
struct Broken {
    defect: Defect,
    inner: MemoryDb,
    calls: AtomicU64,
    former: Mutex<std::collections::HashMap<Key, Option<Entry>>>,
}

impl Broken {
    fn new(defect: Defect) -> Self {
        Self { defect, inner: MemoryDb::new(), calls: AtomicU64::new(0), former: Mutex::default() }
    }

    fn every(&self, count: u64) -> bool {
        self.calls.fetch_add(1, Ordering::SeqCst) % count == count - 1
    }
}

fn lost(key: &Key) -> Error {
    Error::new(ErrorKind::Unavailable, "write", key, "no answer")
}

#[async_trait]
impl ControlDb for Broken {
    async fn get(&self, key: &Key) -> Result<Option<Entry>> {
        let now = self.inner.get(key).await?;
        let former = self.former.lock().expect("no panic").insert(key.clone(), now.clone());
        let changed = former.filter(|former| *former != now);
        match changed {
            Some(former) if self.defect == Defect::StaleRead && self.every(3) => Ok(former),
            _ => Ok(now),
        }
    }

    async fn list(&self, prefix: &Key, after: Option<&Key>, limit: usize) -> Result<Page> {
        self.inner.list(prefix, after, limit).await
    }

    async fn create(&self, key: &Key, value: &[u8]) -> Result<Revision> {
        if self.defect == Defect::OnlyUnknown && self.every(5) {
            return Err(lost(key));
        }
        match self.inner.create(key, value).await {
            Err(error) if error.is_conflict() && self.defect == Defect::DoubleCreate && self.every(5) => {
                let there = self.inner.get(key).await?.ok_or(error)?;
                self.inner.update(key, &there.revision, value).await
            }
            other => other,
        }
    }

    async fn update(&self, key: &Key, expected: &Revision, value: &[u8]) -> Result<Revision> {
        match self.inner.update(key, expected, value).await {
            Err(error) if error.is_conflict() && self.defect == Defect::LostUpdate && self.every(5) => {
                let there = self.inner.get(key).await?.ok_or(error)?;
                self.inner.update(key, &there.revision, value).await
            }
            Ok(_) if self.defect == Defect::OnlyUnknown && self.every(5) => Err(lost(key)),
            other => other,
        }
    }

    async fn delete(&self, key: &Key, expected: &Revision) -> Result<()> {
        match self.inner.delete(key, expected).await {
            Err(error) if error.is_conflict() && self.defect == Defect::FalseSuccess && self.every(5) => Ok(()),
            Ok(()) if self.defect == Defect::OnlyUnknown && self.every(5) => Err(lost(key)),
            other => other,
        }
    }

    async fn watch(&self, prefix: &Key) -> Result<Box<dyn Watch>> {
        self.inner.watch(prefix).await
    }
}

async fn verdicts(defect: Defect) -> usize {
    let mut found_out = 0;
    for seed in 1..=10 {
        let workload = Workload { seed, clients: 6, operations: 40, keys: 2 };
        let history = workload.run(Arc::new(Broken::new(defect))).await;
        found_out += usize::from(checker::check(&history).is_err());
    }
    found_out
}

#[tokio::test]
async fn a_store_with_stale_reads_is_found_out() {
    assert_eq!(verdicts(Defect::StaleRead).await, 10);
}

#[tokio::test]
async fn a_store_that_loses_updates_is_found_out() {
    assert_eq!(verdicts(Defect::LostUpdate).await, 10);
}

#[tokio::test]
async fn a_store_that_creates_twice_is_found_out() {
    assert_eq!(verdicts(Defect::DoubleCreate).await, 10);
}

#[tokio::test]
async fn a_store_that_claims_what_it_did_not_do_is_found_out() {
    assert_eq!(verdicts(Defect::FalseSuccess).await, 10);
}

#[tokio::test]
async fn a_correct_store_behind_a_bad_network_passes() {
    assert_eq!(verdicts(Defect::OnlyUnknown).await, 0);
}
