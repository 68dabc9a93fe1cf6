//! The decorator of the control database.

use std::sync::Arc;

use async_trait::async_trait;
use om_controldb::{ControlDb, Entry, Error, ErrorKind, Key, Page, Result, Revision, Watch};

use super::{Faults, Moment};

/// A control database with faults.
#[derive(Clone)]
pub struct FaultyDb {
    inner: Arc<dyn ControlDb>,
    faults: Arc<dyn Faults>,
}

impl FaultyDb {
    /// `inner`, with faults.
    pub fn new(inner: Arc<dyn ControlDb>, faults: Arc<dyn Faults>) -> Self {
        Self { inner, faults }
    }

    async fn call<T>(
        &self,
        operation: &'static str,
        key: &Key,
        work: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        let name = format!("db.{operation} {key}");
        let failed = |reason: String| Error::new(ErrorKind::Unavailable, operation, key, reason);
        if let Some(reason) = self.faults.at(Moment::Before, &name).await {
            return Err(failed(reason));
        }
        let result = work.await;
        match self.faults.at(Moment::After, &name).await {
            Some(reason) if result.is_ok() => Err(failed(reason)),
            _ => result,
        }
    }
}

#[async_trait]
impl ControlDb for FaultyDb {
    async fn get(&self, key: &Key) -> Result<Option<Entry>> {
        self.call("get", key, self.inner.get(key)).await
    }

    async fn list(&self, prefix: &Key, after: Option<&Key>, limit: usize) -> Result<Page> {
        self.call("list", prefix, self.inner.list(prefix, after, limit)).await
    }

    async fn create(&self, key: &Key, value: &[u8]) -> Result<Revision> {
        self.call("create", key, self.inner.create(key, value)).await
    }

    async fn update(&self, key: &Key, expected: &Revision, value: &[u8]) -> Result<Revision> {
        self.call("update", key, self.inner.update(key, expected, value)).await
    }

    async fn delete(&self, key: &Key, expected: &Revision) -> Result<()> {
        self.call("delete", key, self.inner.delete(key, expected)).await
    }

    async fn watch(&self, prefix: &Key) -> Result<Box<dyn Watch>> {
        self.call("watch", prefix, self.inner.watch(prefix)).await
    }
}
