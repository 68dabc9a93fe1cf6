//! The file from outside: kept over a restart, private, one process at a time, and not to be touched by an old release.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use om_controldb::{ControlDb, ErrorKind, Key};
use om_sqlite::SqliteDb;

fn key(text: &str) -> Key {
    Key::new(text).expect("a good key")
}

fn refused(path: &Path) -> om_controldb::Error {
    match SqliteDb::open(path) {
        Ok(_) => panic!("{} was opened", path.display()),
        Err(error) => error,
    }
}

#[tokio::test]
async fn records_stay_and_revisions_do_not_come_back() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("control.db");
    let mut seen = HashSet::new();
    for round in 0..4 {
        let db = SqliteDb::open(&path).expect("opened");
        let name = key(&format!("kept/{round}"));
        assert!(seen.insert(db.create(&name, b"kept").await.expect("created")));
        let gone = db.create(&key("gone"), b"").await.expect("created");
        db.delete(&key("gone"), &gone).await.expect("deleted");
        assert!(seen.insert(gone), "a revision came back after delete and restart");
    }
    let db = SqliteDb::open(&path).expect("opened");
    assert_eq!(db.list(&key("kept/"), None, 10).await.expect("listed").entries.len(), 4);
    assert_eq!(db.get(&key("gone")).await.expect("read"), None);
}

#[tokio::test]
async fn all_files_are_for_the_owner_only() {
    let directory = tempfile::tempdir().expect("a directory");
    let db = SqliteDb::open(directory.path().join("control.db")).expect("opened");
    db.create(&key("a"), b"").await.expect("created");
    let mut names = Vec::new();
    for file in fs::read_dir(directory.path()).expect("listed") {
        let file = file.expect("listed");
        let mode = file.metadata().expect("there").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", file.file_name());
        names.push(file.file_name().into_string().expect("text"));
    }
    names.sort();
    assert_eq!(names, ["control.db", "control.db-shm", "control.db-wal", "control.db.lock"]);
}

#[tokio::test]
async fn a_second_opener_is_refused_until_the_first_is_gone() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("control.db");
    let alias = directory.path().join("alias.db");
    let first = SqliteDb::open(&path).expect("opened");
    std::os::unix::fs::symlink(&path, &alias).expect("linked");
    for name in [&path, &alias] {
        let error = refused(name);
        assert_eq!(error.kind, ErrorKind::Unavailable);
        let text = error.to_string();
        assert!(text.contains("another process") && text.contains("control.db.lock"), "{text}");
    }
    first.create(&key("a"), b"").await.expect("the first works on");
    drop(first);
    SqliteDb::open(&path).expect("free again");
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("control.db");
    drop(SqliteDb::open(&path).expect("made"));
    let connection = rusqlite::Connection::open(&path).expect("opened");
    connection.execute("UPDATE meta SET value = 99 WHERE name = 'schema'", []).expect("made newer");
    connection.close().expect("closed");
    let before = fs::read(&path).expect("read");
    let error = refused(&path);
    assert_eq!(error.kind, ErrorKind::Corrupt);
    assert!(error.to_string().contains("schema version 99"), "{error}");
    assert!(fs::read(&path).expect("read") == before, "the file was changed");
}

#[tokio::test]
async fn what_is_not_a_control_database_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("control.db");
    let text = b"this is a letter to my aunt, not a database. ".repeat(100);
    fs::write(&path, &text).expect("written");
    assert_eq!(refused(&path).kind, ErrorKind::Corrupt);
    assert!(fs::read(&path).expect("read") == text, "the file was changed");

    let foreign = directory.path().join("foreign.db");
    rusqlite::Connection::open(&foreign).expect("opened").execute_batch("CREATE TABLE t (x)").expect("made");
    let error = refused(&foreign);
    assert!(error.to_string().contains("another program's"), "{error}");

    let nowhere = refused(&directory.path().join("missing/control.db"));
    assert!(nowhere.to_string().contains("make the directory first"), "{nowhere}");
}

#[tokio::test]
async fn watches_end_when_the_store_is_closed() {
    let directory = tempfile::tempdir().expect("a directory");
    let db = SqliteDb::open(directory.path().join("control.db")).expect("opened");
    let mut watch = db.watch(&key("a")).await.expect("armed");
    drop(db);
    assert_eq!(watch.changed().await.expect_err("closed").kind, ErrorKind::Unavailable);
}
