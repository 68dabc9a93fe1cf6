//! Opening the database file: who may read it, and how SQLite treats it.
//!
//! **Invariant:** a file that is not a control database of this release or an older one is left exactly as it was found.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use om_controldb::{Error, ErrorKind, Result};
use rusqlite::{Connection, OpenFlags};

use crate::writer::Revisions;
use crate::{failure, lock, schema};

/// How long to wait for another program (a backup, say) that holds the file for a moment.
const PATIENCE: Duration = Duration::from_secs(5);

/// The log is cut back to this many bytes after a burst of large writes.
const LOG_KEPT: u32 = 16 * 1024 * 1024;

/// Makes the file if it is absent, takes it away from everybody but its owner, and gives its one true path.
pub(crate) fn prepare(path: &Path) -> Result<PathBuf> {
    let refused = |error: std::io::Error| {
        let detail = format!("cannot prepare the file: {error}{}", lock::hint(&error));
        Error::new(ErrorKind::Unavailable, "open", path.display(), detail)
    };
    // SQLite gives the files it makes beside this one the same mode.
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path).map_err(refused)?;
    let mode = file.metadata().map_err(refused)?.permissions().mode();
    if mode & 0o077 != 0 {
        file.set_permissions(fs::Permissions::from_mode(0o600)).map_err(refused)?;
    }
    // Without this, two names of one file would have two locks.
    fs::canonicalize(path).map_err(refused)
}

/// The connection that writes, its schema brought up to date, and the revisions it may give out.
pub(crate) fn open_writing(path: &Path) -> Result<(Connection, Revisions)> {
    let refused = |error: rusqlite::Error| failure::error("open", path.display(), &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(refused)?;
    connection.busy_timeout(PATIENCE).map_err(refused)?;
    schema::check(&connection, path)?;
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).map_err(refused)?;
    if mode != "wal" {
        let detail = format!(
            "SQLite cannot keep a write-ahead log here (journal mode stays {mode:?}); put the state directory on a local disk"
        );
        return Err(Error::new(ErrorKind::Unavailable, "open", path.display(), detail));
    }
    connection.pragma_update(None, "synchronous", "FULL").map_err(refused)?;
    connection.pragma_update(None, "trusted_schema", false).map_err(refused)?;
    let _kept: u32 = connection
        .query_row(&format!("PRAGMA journal_size_limit = {LOG_KEPT}"), [], |row| row.get(0))
        .map_err(refused)?;
    schema::migrate(&mut connection, schema::STEPS).map_err(refused)?;
    let revisions = Revisions::load(&connection).map_err(refused)?;
    Ok((connection, revisions))
}

/// A connection that only reads. To be opened after [`open_writing`].
pub(crate) fn open_reading(path: &Path) -> Result<Connection> {
    let refused = |error: rusqlite::Error| failure::error("open", path.display(), &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(refused)?;
    connection.busy_timeout(PATIENCE).map_err(refused)?;
    Ok(connection)
}

#[cfg(test)]
mod tests;
