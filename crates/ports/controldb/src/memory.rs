//! The in-memory store: a fake that passes the conformance suite, for tests and the simulator. It forgets everything
//! when the last handle is dropped; nothing else about it differs from a real one.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::changes::Changes;
use crate::{ControlDb, Entry, Error, ErrorKind, Key, Page, Result, Revision, Watch, check_page_limit, check_value};

/// The in-memory store. Clones share one set of records.
#[derive(Clone, Default)]
pub struct MemoryDb {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    records: Mutex<Records>,
    changes: Changes,
}

#[derive(Default)]
struct Records {
    by_key: BTreeMap<Key, (Vec<u8>, u64)>,
    /// Rises with every write, so that no revision ever comes back.
    last: u64,
}

impl MemoryDb {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, Records> {
        // A panic elsewhere cannot leave the map half-changed: every change is one insertion or removal.
        self.shared.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Records {
    fn at(&self, operation: &'static str, key: &Key, expected: &Revision) -> Result<()> {
        match self.by_key.get(key) {
            Some((_, revision)) if revision.to_string() == expected.as_str() => Ok(()),
            Some(_) => Err(Error::new(ErrorKind::Conflict, operation, key, "is at another revision")),
            None => Err(Error::new(ErrorKind::Conflict, operation, key, "is gone")),
        }
    }

    fn put(&mut self, key: &Key, value: &[u8]) -> Revision {
        self.last += 1;
        self.by_key.insert(key.clone(), (value.to_vec(), self.last));
        Revision::new(self.last.to_string())
    }
}

#[async_trait]
impl ControlDb for MemoryDb {
    async fn get(&self, key: &Key) -> Result<Option<Entry>> {
        let records = self.lock();
        Ok(records.by_key.get(key).map(|(value, revision)| entry(key, value, *revision)))
    }

    async fn list(&self, prefix: &Key, after: Option<&Key>, limit: usize) -> Result<Page> {
        check_page_limit(prefix, limit)?;
        let records = self.lock();
        let from = match after {
            Some(key) if key >= prefix => Bound::Excluded(key.clone()),
            _ => Bound::Included(prefix.clone()),
        };
        let mut matching = records
            .by_key
            .range((from, Bound::Unbounded))
            .take_while(|(key, _)| key.as_str().starts_with(prefix.as_str()));
        let entries =
            matching.by_ref().take(limit).map(|(key, (value, revision))| entry(key, value, *revision)).collect();
        Ok(Page { entries, more: matching.next().is_some() })
    }

    async fn create(&self, key: &Key, value: &[u8]) -> Result<Revision> {
        check_value("create", key, value)?;
        let revision = {
            let mut records = self.lock();
            if records.by_key.contains_key(key) {
                return Err(Error::new(ErrorKind::Conflict, "create", key, "exists"));
            }
            records.put(key, value)
        };
        self.shared.changes.record(key);
        Ok(revision)
    }

    async fn update(&self, key: &Key, expected: &Revision, value: &[u8]) -> Result<Revision> {
        check_value("update", key, value)?;
        let revision = {
            let mut records = self.lock();
            records.at("update", key, expected)?;
            records.put(key, value)
        };
        self.shared.changes.record(key);
        Ok(revision)
    }

    async fn delete(&self, key: &Key, expected: &Revision) -> Result<()> {
        {
            let mut records = self.lock();
            records.at("delete", key, expected)?;
            records.by_key.remove(key);
        }
        self.shared.changes.record(key);
        Ok(())
    }

    async fn watch(&self, prefix: &Key) -> Result<Box<dyn Watch>> {
        Ok(self.shared.changes.watch(prefix))
    }
}

fn entry(key: &Key, value: &[u8], revision: u64) -> Entry {
    Entry { key: key.clone(), value: value.to_vec(), revision: Revision::new(revision.to_string()) }
}
