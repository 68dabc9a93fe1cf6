//! The tables, their version, and the way from an older version to this one.
//!
//! Version `n` is what the first `n` [`STEPS`] make. A released step never changes; a new release appends.
//!
//! **Invariant:** the version in the `meta` table and the tables change in one transaction, so that a migration that was
//! killed half-way either happened or did not.

use std::path::Path;

use om_controldb::{Error, ErrorKind, Result};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use crate::failure;

/// Marks the file as ours ("OMdb"), for us and for `file(1)`.
const APPLICATION: i64 = 0x4f4d_6462;

/// One step per schema version.
pub(crate) const STEPS: &[&str] = &["
    CREATE TABLE meta (
        name  TEXT PRIMARY KEY,
        value INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    INSERT INTO meta VALUES ('schema', 0), ('revisions', 0);

    -- Key and value apart from the index, so that an update touches one page and leaves the index alone.
    CREATE TABLE record (
        id       INTEGER PRIMARY KEY,
        key      TEXT NOT NULL UNIQUE,
        value    BLOB NOT NULL,
        revision INTEGER NOT NULL
    ) STRICT;
"];

/// Refuses, without writing, a file that this release must not touch.
pub(crate) fn check(connection: &Connection, path: &Path) -> Result<()> {
    let refused = |error: rusqlite::Error| failure::error("open", path.display(), &error);
    let corrupt = |detail: String| Err(Error::new(ErrorKind::Corrupt, "open", path.display(), detail));
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(refused)?;
    let application: i64 = connection.query_row("PRAGMA application_id", [], |row| row.get(0)).map_err(refused)?;
    if tables == 0 && application == 0 {
        return Ok(());
    }
    if application != APPLICATION {
        return corrupt(
            "the file is another program's SQLite database; it was left as it is. Name another file".to_owned(),
        );
    }
    let found = version(connection).map_err(refused)?;
    if found > STEPS.len() {
        return corrupt(format!(
            "the database has schema version {found}, and this release knows versions up to {}; it was left as it is. \
             Start the newer release that wrote it",
            STEPS.len()
        ));
    }
    Ok(())
}

/// Takes the steps that the database has not taken yet.
pub(crate) fn migrate(connection: &mut Connection, steps: &[&str]) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = version(&transaction)?;
    if found >= steps.len() {
        return Ok(());
    }
    for step in &steps[found..] {
        transaction.execute_batch(step)?;
    }
    transaction.execute("UPDATE meta SET value = ?1 WHERE name = 'schema'", [steps.len() as i64])?;
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.commit()?;
    if found > 0 {
        tracing::info!(from = found, to = steps.len(), "control database migrated");
    }
    Ok(())
}

/// The version found; 0 for a new file.
fn version(connection: &Connection) -> rusqlite::Result<usize> {
    let named = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'meta'";
    if connection.query_row(named, [], |_| Ok(())).optional()?.is_none() {
        return Ok(0);
    }
    let found: i64 = connection.query_row("SELECT value FROM meta WHERE name = 'schema'", [], |row| row.get(0))?;
    Ok(usize::try_from(found).unwrap_or(0))
}

#[cfg(test)]
mod tests;
