//! The write-ahead log stays small also while reads overlap without a pause.

#![allow(clippy::disallowed_methods, reason = "a test against the real thing, in real time")]

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use om_controldb::{ControlDb, Key, VALUE_MAX};
use om_sqlite::SqliteDb;

const LARGEST_LOG: u64 = 32 * 1024 * 1024;

fn key(text: &str) -> Key {
    Key::new(text).expect("a good key")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_that_never_pause_do_not_let_the_log_grow() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("control.db");
    let db = Arc::new(SqliteDb::open(&path).expect("opened"));
    let value = vec![1; VALUE_MAX];
    for number in 0..50 {
        db.create(&key(&format!("r/{number}")), &value).await.expect("created");
    }
    let stop = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let (db, stop) = (db.clone(), stop.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    db.list(&key("r/"), None, 50).await.expect("listed");
                }
            })
        })
        .collect();
    let mut revision = db.create(&key("w"), &value).await.expect("created");
    let mut largest = 0;
    for _ in 0..400 {
        revision = db.update(&key("w"), &revision, &value).await.expect("updated");
        largest = largest.max(fs::metadata(directory.path().join("control.db-wal")).expect("there").len());
    }
    stop.store(true, Ordering::SeqCst);
    for reader in readers {
        reader.await.expect("no panic");
    }
    assert!(largest < LARGEST_LOG, "100 MB of writes made a log of {largest} bytes");
}
