//! The threads that read, each with a connection of its own.
//!
//! **Invariant:** a read takes one snapshot of the database, begun after the caller asked.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::{Builder, JoinHandle};

use om_controldb::{Entry, Error, ErrorKind, Key, Page, Result, Revision};
use rusqlite::{Connection, OptionalExtension, Row, params};
use tokio::sync::oneshot;

use crate::failure;

type Job = Box<dyn FnOnce(&Connection) + Send>;

/// The threads and their one queue. Dropping it waits for the reads under way.
pub(crate) struct Readers {
    queue: Option<mpsc::Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

impl Readers {
    /// One thread per connection.
    pub(crate) fn start(connections: Vec<Connection>, path: &Path) -> Result<Self> {
        let (queue, jobs) = mpsc::channel::<Job>();
        let jobs = Arc::new(Mutex::new(jobs));
        let start = |connection: Connection| {
            let jobs = jobs.clone();
            Builder::new().name("controldb-read".to_owned()).spawn(move || {
                loop {
                    // The lock is held while waiting: whoever has it takes the next job, the others queue for the lock.
                    let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok(job) = next else { return };
                    job(&connection);
                }
            })
        };
        let threads = connections.into_iter().map(start).collect::<std::io::Result<_>>().map_err(|error| {
            Error::new(ErrorKind::Unavailable, "open", path.display(), format!("cannot start a thread: {error}"))
        })?;
        Ok(Self { queue: Some(queue), threads })
    }

    /// What `work` gives on one of the threads; none if they are gone.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> T + Send + 'static,
    ) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            // Nobody may want the answer any more.
            let _unwanted = reply.send(work(connection));
        });
        self.queue.as_ref()?.send(job).ok()?;
        answer.await.ok()
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.queue = None;
        for thread in self.threads.drain(..) {
            let _its_panic_was_reported = thread.join();
        }
    }
}

/// The record at `key`.
pub(crate) fn get(connection: &Connection, key: &Key) -> Result<Option<Entry>> {
    let read = || {
        let mut statement = connection.prepare_cached("SELECT value, revision FROM record WHERE key = ?1")?;
        let columns = |row: &Row<'_>| Ok((row.get(0)?, row.get::<_, i64>(1)?));
        statement.query_row([key.as_str()], columns).optional()
    };
    let found = read().map_err(|error| failure::error("get", key, &error))?;
    Ok(found.map(|(value, revision)| Entry { key: key.clone(), value, revision: Revision::new(revision.to_string()) }))
}

/// A page of the records below `prefix`.
pub(crate) fn list(connection: &Connection, prefix: &Key, after: Option<&Key>, limit: usize) -> Result<Page> {
    let (from, comparison) = match after {
        Some(after) if after >= prefix => (after, ">"),
        _ => (prefix, ">="),
    };
    let read = || -> rusqlite::Result<Vec<(String, Vec<u8>, i64)>> {
        let query = format!(
            "SELECT key, value, revision FROM record WHERE key {comparison} ?1 AND key < ?2 ORDER BY key LIMIT ?3"
        );
        let mut statement = connection.prepare_cached(&query)?;
        // One more than asked for tells whether there are more.
        let rows = statement.query_map(params![from.as_str(), prefix.prefix_end(), limit as i64 + 1], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?;
        rows.collect()
    };
    let mut rows = read().map_err(|error| failure::error("list", prefix, &error))?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let entry = |(key, value, revision): (String, Vec<u8>, i64)| {
        let key = Key::new(key).map_err(|error| Error::new(ErrorKind::Corrupt, "list", prefix, error))?;
        Ok(Entry { key, value, revision: Revision::new(revision.to_string()) })
    };
    Ok(Page { entries: rows.into_iter().map(entry).collect::<Result<_>>()?, more })
}
