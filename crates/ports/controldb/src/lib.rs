//! The control database: a conditional key-value store, as a contract that every backend honours.
//!
//! Five facts carry the whole system:
//! 1. **create** succeeds only if the key is absent; **update** and **delete** only if the key is at the revision given;
//! 2. **get** and **list** are strongly consistent: they see every write acknowledged before they began;
//! 3. a revision is opaque and never comes back, not even after the key was deleted and made again;
//! 4. an acknowledged write is durable: it survives the loss of power;
//! 5. a condition covers one record, so every invariant of the system rests on a single record.
//!
//! Main pieces: [`ControlDb`] (the contract), [`Key`] and [`Revision`], [`Error`] with its [`ErrorKind`],
//! [`records`] (typed records with a schema version), [`memory`] (the in-memory store), [`changes`] (watches within one
//! process), [`conformance`] (the suite that every backend passes, with histories checked for linearizability).

#![forbid(unsafe_code)]

pub mod changes;
pub mod conformance;
mod key;
mod limits;
pub mod memory;
pub mod records;

use async_trait::async_trait;

pub use key::{Key, KeyError};
pub use limits::{PAGE_MAX, VALUE_MAX, check_page_limit, check_value};
pub use records::{Kind, Records, Stored};

/// A version of one record. Opaque: compare for equality only.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Revision(String);

impl Revision {
    /// For backends: wraps the backend's own mark.
    pub fn new(mark: impl Into<String>) -> Self {
        Self(mark.into())
    }

    /// For backends: the mark.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A record as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its key.
    pub key: Key,
    /// Its value.
    pub value: Vec<u8>,
    /// Its revision, for the condition of the next write.
    pub revision: Revision,
}

/// A part of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Entries in ascending order of their keys' bytes.
    pub entries: Vec<Entry>,
    /// True if there are further entries after the last one.
    pub more: bool,
}

/// What kind of failure, hence what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The condition did not hold: read again, decide again. Nothing was written.
    Conflict,
    /// The key, value or page is outside the limits. Nothing was written; trying again cannot help.
    Invalid,
    /// The backend could not be reached or refused for now. **A write may or may not have been applied**: read to find out.
    Unavailable,
    /// The stored data is not what it should be, or was written by a newer release. A person must look.
    Corrupt,
}

/// A failed call.
#[derive(Debug, thiserror::Error)]
#[error("control database: {operation} {key}: {detail}")]
pub struct Error {
    /// What kind.
    pub kind: ErrorKind,
    /// The call: `get`, `list`, `create`, `update`, `delete`, `watch`; `open` or `connect` of a backend.
    pub operation: &'static str,
    /// On which key or prefix (`open`, `connect`: which file or server).
    pub key: String,
    /// What the backend said.
    pub detail: String,
}

impl Error {
    /// A failure of `operation` on `key`.
    pub fn new(kind: ErrorKind, operation: &'static str, key: impl ToString, detail: impl ToString) -> Self {
        Self { kind, operation, key: key.to_string(), detail: detail.to_string() }
    }

    /// True if the condition did not hold.
    pub fn is_conflict(&self) -> bool {
        self.kind == ErrorKind::Conflict
    }
}

/// Short for results of this contract.
pub type Result<T> = std::result::Result<T, Error>;

/// The conditional key-value store. Implementations are cheap to share behind an `Arc` and take concurrent calls.
#[async_trait]
pub trait ControlDb: Send + Sync {
    /// The record at `key`, or none.
    async fn get(&self, key: &Key) -> Result<Option<Entry>>;

    /// Records whose key begins with `prefix`, after the key `after`, at most `limit` (1 to [`PAGE_MAX`]) of them, as of
    /// one moment. Several pages together are not of one moment.
    async fn list(&self, prefix: &Key, after: Option<&Key>, limit: usize) -> Result<Page>;

    /// Writes `value` at `key` if there is no record; [`ErrorKind::Conflict`] if there is one.
    async fn create(&self, key: &Key, value: &[u8]) -> Result<Revision>;

    /// Replaces the record at `key` if it is at `expected`; [`ErrorKind::Conflict`] if it is not, or is gone.
    async fn update(&self, key: &Key, expected: &Revision, value: &[u8]) -> Result<Revision>;

    /// Removes the record at `key` if it is at `expected`; [`ErrorKind::Conflict`] if it is not, or is gone.
    async fn delete(&self, key: &Key, expected: &Revision) -> Result<()>;

    /// A watch on `prefix`, armed when this returns: a change acknowledged later will wake it.
    async fn watch(&self, prefix: &Key) -> Result<Box<dyn Watch>>;
}

/// Tells that something under a prefix may have changed. It carries no data: the watcher reads what it needs, so that a
/// lost, merged or spurious wake-up does no harm.
#[async_trait]
pub trait Watch: Send {
    /// Returns after a change that was acknowledged since the watch was armed or since the last return; possibly also
    /// without one. [`ErrorKind::Unavailable`] if the backend is lost: arm a new watch.
    async fn changed(&mut self) -> Result<()>;
}
