//! Tests of what the connections are set to.

use super::*;

#[test]
fn every_commit_is_synced_and_readers_cannot_write() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = prepare(&directory.path().join("control.db")).expect("prepared");
    let (writing, _) = open_writing(&path).expect("opened");
    let number = |connection: &Connection, pragma: &str| -> i64 {
        connection.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get(0)).expect("a number")
    };
    assert_eq!(number(&writing, "synchronous"), 2, "FULL");
    let mode: String = writing.query_row("PRAGMA journal_mode", [], |row| row.get(0)).expect("a mode");
    assert_eq!(mode, "wal");
    let reading = open_reading(&path).expect("opened");
    let refused = reading.execute("DELETE FROM record", []).expect_err("read only");
    assert_eq!(refused.sqlite_error_code(), Some(rusqlite::ErrorCode::ReadOnly));
}

#[test]
fn a_file_that_was_open_to_all_is_closed_to_them() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("control.db");
    fs::write(&path, b"").expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("opened up");
    prepare(&path).expect("prepared");
    assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
}
