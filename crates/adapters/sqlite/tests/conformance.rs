//! The control database's conformance suite on SQLite.

#![allow(clippy::disallowed_methods, reason = "a test against the real thing, in real time")]

use std::sync::{Arc, Mutex};

use om_controldb::ControlDb;
use om_controldb::conformance::checker::check;
use om_controldb::conformance::history::History;
use om_controldb::conformance::run_all;
use om_controldb::conformance::workload::Workload;
use om_sqlite::SqliteDb;
use tempfile::TempDir;

#[tokio::test]
async fn sqlite_conforms() {
    let directories: Arc<Mutex<Vec<TempDir>>> = Arc::default();
    let make = {
        let directories = directories.clone();
        move || {
            let directory = tempfile::tempdir().expect("a directory");
            let db = SqliteDb::open(directory.path().join("control.db")).expect("opened");
            directories.lock().expect("no panic").push(directory);
            Box::pin(async move { Arc::new(db) as Arc<dyn ControlDb> }) as futures::future::BoxFuture<'static, _>
        }
    };
    run_all(&make).await;
}

/// The clients on threads of their own, so that reads race the writer in earnest.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sqlite_is_linearizable_over_threads() {
    for seed in 100..110 {
        let directory = tempfile::tempdir().expect("a directory");
        let db: Arc<dyn ControlDb> = Arc::new(SqliteDb::open(directory.path().join("control.db")).expect("opened"));
        let clients = Workload { seed, clients: 8, operations: 60, keys: 3 }.clients(&db);
        let mut history = History::default();
        for task in clients.into_iter().map(tokio::spawn).collect::<Vec<_>>() {
            history.operations.extend(task.await.expect("no panic"));
        }
        check(&history).unwrap_or_else(|violation| panic!("seed {seed}: {violation}"));
        history.assert_meaningful();
    }
}
