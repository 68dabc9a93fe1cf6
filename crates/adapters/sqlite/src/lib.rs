//! The built-in control database: SQLite, for a server that runs alone.
//!
//! Main pieces: [`SqliteDb`] (the store), `file` (opening: mode 0600, WAL, synchronous=FULL), `schema` (tables, version,
//! migration), `lock` (one process at a time), `writer` (one thread, many writes in one transaction), `reader` (threads
//! for get and list), `failure` (what SQLite's errors mean here).
//!
//! **Invariant:** a write is acknowledged only after the transaction that holds it is on disk, and its revision was never
//! given out before, not even by a process that was killed. As all writes pass through this process, so do all watches.
//!
//! A read sees committed transactions only, and every write acknowledged before it began: SQLite makes a transaction
//! visible to other connections after its log is synced, and the writer answers after that.

#![forbid(unsafe_code)]

mod failure;
mod file;
mod lock;
mod reader;
mod schema;
mod writer;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use om_controldb::changes::Changes;
use om_controldb::{
    ControlDb, Entry, Error, ErrorKind, Key, Page, Result, Revision, Watch, check_page_limit, check_value,
};
use tokio::sync::oneshot;

use crate::lock::ProcessLock;
use crate::reader::Readers;
use crate::writer::{Change, Writer};

/// Threads for reads. Two, so that a large page does not hold up a small get.
const READERS: usize = 2;

/// The store in one file. Dropping it finishes the writes in its queue and closes the file.
pub struct SqliteDb {
    // In the order in which they are dropped: both join their threads, and only then another process may come.
    writer: Writer,
    readers: Readers,
    changes: Arc<Changes>,
    _lock: ProcessLock,
}

impl SqliteDb {
    /// Opens the database at `path`, making it if it is absent and bringing an older one up to date. The file and the
    /// ones beside it (`-wal`, `-shm`, `.lock`) are readable by their owner only.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] if another process has it open or the file system refuses; [`ErrorKind::Corrupt`] if
    /// it was written by a newer release, or is not a control database.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = file::prepare(path.as_ref())?;
        let lock = ProcessLock::acquire(&path)?;
        let (connection, revisions) = file::open_writing(&path)?;
        let changes = Arc::new(Changes::new());
        let writer = Writer::start(connection, revisions, changes.clone(), &path)?;
        let connections = (0..READERS).map(|_| file::open_reading(&path)).collect::<Result<Vec<_>>>()?;
        Ok(Self { writer, readers: Readers::start(connections, &path)?, changes, _lock: lock })
    }

    async fn write(&self, operation: &'static str, key: &Key, change: Change) -> Result<Revision> {
        let (reply, answer) = oneshot::channel();
        self.writer.send(writer::Write { operation, key: key.clone(), change, reply }).await;
        answer.await.map_err(|_| stopped(operation, key))?
    }
}

/// The thread that should have answered is gone, which only a defect can do.
fn stopped(operation: &'static str, key: &Key) -> Error {
    Error::new(ErrorKind::Unavailable, operation, key, "the store's thread stopped; restart the server")
}

#[async_trait]
impl ControlDb for SqliteDb {
    async fn get(&self, key: &Key) -> Result<Option<Entry>> {
        let wanted = key.clone();
        let found = self.readers.run(move |connection| reader::get(connection, &wanted)).await;
        found.unwrap_or_else(|| Err(stopped("get", key)))
    }

    async fn list(&self, prefix: &Key, after: Option<&Key>, limit: usize) -> Result<Page> {
        check_page_limit(prefix, limit)?;
        let (wanted, after) = (prefix.clone(), after.cloned());
        let page = self.readers.run(move |connection| reader::list(connection, &wanted, after.as_ref(), limit)).await;
        page.unwrap_or_else(|| Err(stopped("list", prefix)))
    }

    async fn create(&self, key: &Key, value: &[u8]) -> Result<Revision> {
        check_value("create", key, value)?;
        self.write("create", key, Change::Create(value.to_vec())).await
    }

    async fn update(&self, key: &Key, expected: &Revision, value: &[u8]) -> Result<Revision> {
        check_value("update", key, value)?;
        self.write("update", key, Change::Update(expected.clone(), value.to_vec())).await
    }

    async fn delete(&self, key: &Key, expected: &Revision) -> Result<()> {
        self.write("delete", key, Change::Delete(expected.clone())).await.map(drop)
    }

    async fn watch(&self, prefix: &Key) -> Result<Box<dyn Watch>> {
        Ok(self.changes.watch(prefix))
    }
}
