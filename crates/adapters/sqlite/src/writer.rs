//! The thread that writes: all changes, in the order in which they were asked for.
//!
//! While one transaction is being synced, further writes gather in the queue; the next transaction takes them together,
//! so that under load one sync pays for many writes. Each has a result of its own: a conflict is one write's affair.
//!
//! Main pieces: [`Writer`] (the thread's handle), [`Write`] (one change and where to answer), [`Revisions`].
//!
//! **Invariant:** nothing is answered before the transaction that holds it is committed and synced; and a transaction
//! that failed is tried again write by write, so that one that does not fit on the disk takes no other with it. This is
//! safe also after a failed sync: SQLite then takes none of the transaction's log as written, and writes it anew.

use std::path::Path;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use om_controldb::changes::Changes;
use om_controldb::{Error, ErrorKind, Key, Result, Revision};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use tokio::sync::{mpsc, oneshot};

use crate::failure;

/// Most writes and most bytes of values in one transaction.
const BATCH_WRITES: usize = 256;
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// Writes that wait before further callers have to.
const QUEUE: usize = 1024;
/// Revisions set aside at once, so that the counter on disk changes once in a million writes and not in each.
const REVISIONS_AHEAD: i64 = 1 << 20;

/// What to do with a record.
pub(crate) enum Change {
    Create(Vec<u8>),
    Update(Revision, Vec<u8>),
    Delete(Revision),
}

/// One write.
pub(crate) struct Write {
    pub(crate) operation: &'static str,
    pub(crate) key: Key,
    pub(crate) change: Change,
    /// For a delete, the revision means nothing.
    pub(crate) reply: oneshot::Sender<Result<Revision>>,
}

/// The revisions this process may give out. Those it did not use are lost, and so never used twice.
pub(crate) struct Revisions {
    next: i64,
    end: i64,
}

impl Revisions {
    /// What follows every revision that any process may have given out.
    pub(crate) fn load(connection: &Connection) -> rusqlite::Result<Self> {
        let end = connection.query_row("SELECT value FROM meta WHERE name = 'revisions'", [], |row| row.get(0))?;
        Ok(Self { next: end, end })
    }

    /// Sees to it that `count` of them may be given out, before any is.
    fn reserve(&mut self, connection: &Connection, count: usize) -> rusqlite::Result<()> {
        if self.next + count as i64 > self.end {
            let end = self.end + REVISIONS_AHEAD;
            connection.execute("UPDATE meta SET value = ?1 WHERE name = 'revisions'", [end])?;
            self.end = end;
        }
        Ok(())
    }

    fn take(&mut self) -> i64 {
        self.next += 1;
        self.next - 1
    }
}

/// The thread's handle. Dropping it lets the thread finish its queue and waits for it.
pub(crate) struct Writer {
    queue: Option<mpsc::Sender<Write>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(crate) fn start(
        connection: Connection,
        revisions: Revisions,
        changes: Arc<Changes>,
        path: &Path,
    ) -> Result<Self> {
        let (queue, writes) = mpsc::channel(QUEUE);
        let thread = WriterThread { connection, revisions, changes, writes };
        let started = Builder::new().name("controldb-write".to_owned()).spawn(move || thread.run());
        let thread = started.map_err(|error| {
            Error::new(ErrorKind::Unavailable, "open", path.display(), format!("cannot start a thread: {error}"))
        })?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Queues the write. If the thread is gone, its reply is dropped, which the caller sees.
    pub(crate) async fn send(&self, write: Write) {
        if let Some(queue) = &self.queue {
            let _dropped_reply_tells = queue.send(write).await;
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _its_panic_was_reported = thread.join();
        }
    }
}

struct WriterThread {
    connection: Connection,
    revisions: Revisions,
    changes: Arc<Changes>,
    writes: mpsc::Receiver<Write>,
}

impl WriterThread {
    fn run(mut self) {
        while let Some(first) = self.writes.blocking_recv() {
            let batch = self.gather(first);
            self.commit(batch);
        }
    }

    /// `first` and what has queued up behind it; waits for nothing.
    fn gather(&mut self, first: Write) -> Vec<Write> {
        let mut bytes = first.change.bytes();
        let mut batch = vec![first];
        while batch.len() < BATCH_WRITES && bytes < BATCH_BYTES {
            let Ok(write) = self.writes.try_recv() else { break };
            bytes += write.change.bytes();
            batch.push(write);
        }
        batch
    }

    /// Commits the batch and answers it.
    fn commit(&mut self, batch: Vec<Write>) {
        match self.attempt(&batch) {
            Ok(results) => {
                for (write, result) in batch.into_iter().zip(results) {
                    if result.is_ok() {
                        self.changes.record(&write.key);
                    }
                    answer(write, result);
                }
            }
            Err(error) if batch.len() == 1 => {
                for write in batch {
                    let failed = failure::error(write.operation, &write.key, &error);
                    tracing::warn!(%failed, "control database write failed");
                    answer(write, Err(failed));
                }
            }
            Err(_) => batch.into_iter().for_each(|write| self.commit(vec![write])),
        }
    }

    /// One transaction; an error means that it was rolled back.
    fn attempt(&mut self, batch: &[Write]) -> rusqlite::Result<Vec<Result<Revision>>> {
        if !self.connection.is_autocommit() {
            // A rollback that failed earlier, on a disk that has recovered by now perhaps.
            self.connection.execute_batch("ROLLBACK")?;
        }
        self.revisions.reserve(&self.connection, batch.len())?;
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let apply = |write: &Write| apply(&transaction, write, self.revisions.take());
        let results = batch.iter().map(apply).collect::<rusqlite::Result<_>>()?;
        transaction.commit()?;
        Ok(results)
    }
}

fn answer(write: Write, result: Result<Revision>) {
    // The caller may have gone; the write stands all the same.
    let _unwanted = write.reply.send(result);
}

impl Change {
    fn bytes(&self) -> usize {
        match self {
            Self::Create(value) | Self::Update(_, value) => value.len(),
            Self::Delete(_) => 0,
        }
    }
}

/// Makes the change within the transaction: its new revision, or its conflict.
fn apply(connection: &Connection, write: &Write, revision: i64) -> rusqlite::Result<Result<Revision>> {
    let key = write.key.as_str();
    let changed = match &write.change {
        Change::Create(value) => connection
            .prepare_cached(
                "INSERT INTO record (key, value, revision) VALUES (?1, ?2, ?3) ON CONFLICT (key) DO NOTHING",
            )?
            .execute(params![key, value, revision])?,
        Change::Update(expected, value) => connection
            .prepare_cached("UPDATE record SET value = ?1, revision = ?2 WHERE key = ?3 AND revision = ?4")?
            .execute(params![value, revision, key, number(expected)])?,
        Change::Delete(expected) => connection
            .prepare_cached("DELETE FROM record WHERE key = ?1 AND revision = ?2")?
            .execute(params![key, number(expected)])?,
    };
    if changed == 1 {
        return Ok(Ok(Revision::new(revision.to_string())));
    }
    let present = connection
        .prepare_cached("SELECT 1 FROM record WHERE key = ?1")?
        .query_row([key], |_| Ok(()))
        .optional()?
        .is_some();
    let detail = match (&write.change, present) {
        (Change::Create(_), _) => "exists",
        (_, true) => "is at another revision",
        (_, false) => "is gone",
    };
    Ok(Err(Error::new(ErrorKind::Conflict, write.operation, &write.key, detail)))
}

/// The number in a revision of ours. Any other text was never given out; it matches nothing, as NULL does in SQL.
fn number(revision: &Revision) -> Option<i64> {
    revision.as_str().parse().ok()
}
