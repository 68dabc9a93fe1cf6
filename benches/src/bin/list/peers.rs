//! The same pages from others: etcd, and SQLite without a server.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures::future::try_join_all;
use om_benches::{Figures, etcd};
use om_controldb::Key;
use rusqlite::{Connection, OpenFlags, params};

use crate::{PAGE, SERVICES};

/// The first of all service keys, and the end of them.
const FROM: &str = "services/";
const TO: &str = "services0";

/// Rows of the file: key and value.
type Rows = Vec<(String, Vec<u8>)>;

fn open(database: &Path) -> Result<Connection> {
    Ok(Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?)
}

fn page(connection: &Connection, after: &str, limit: usize) -> Result<Rows> {
    let query = "SELECT key, value FROM record WHERE key > ?1 AND key < ?2 ORDER BY key LIMIT ?3";
    let mut statement = connection.prepare_cached(query)?;
    let rows = statement.query_map(params![after, TO, i64::try_from(limit)?], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Pages straight from the file, beside the server that has it open.
pub(crate) fn sqlite(database: &Path, period: Duration) -> Result<Figures> {
    let connection = open(database)?;
    let mut took = Vec::new();
    let began = Instant::now();
    while began.elapsed() < period {
        let (mut seen, mut after) = (0, FROM.to_owned());
        loop {
            let before = Instant::now();
            let rows = page(&connection, &after, PAGE)?;
            took.push(before.elapsed());
            let Some((last, _)) = rows.last() else { break };
            seen += rows.len();
            after.clone_from(last);
        }
        ensure!(seen == SERVICES, "the file holds {seen} services");
    }
    Figures::millis(took)
}

/// The service records copied into an etcd on core 0, and pages of them from there.
pub(crate) async fn etcd(folder: &Path, database: &Path, period: Duration) -> Result<Figures> {
    let folder = tempfile::tempdir_in(folder)?;
    let (db, _server) = etcd::start(folder.path(), 0).await?;
    for some in page(&open(database)?, FROM, SERVICES)?.chunks(64) {
        let copies = some.iter().map(|(key, value)| async { Ok(db.create(&Key::new(key.as_str())?, value).await?) });
        try_join_all(copies).await.map_err(|error: anyhow::Error| error.context("filling etcd"))?;
    }
    let prefix = Key::new(FROM)?;
    let mut took = Vec::new();
    let began = Instant::now();
    while began.elapsed() < period {
        let (mut seen, mut after) = (0, None);
        loop {
            let before = Instant::now();
            let page = db.list(&prefix, after.as_ref(), PAGE).await?;
            took.push(before.elapsed());
            seen += page.entries.len();
            after = page.entries.into_iter().last().map(|entry| entry.key);
            if !page.more {
                break;
            }
        }
        ensure!(seen == SERVICES, "etcd holds {seen} services");
    }
    Figures::millis(took)
}
