//! kill -9 in the middle of writes: no acknowledged write is lost, none is half-done, and no revision comes back.
//!
//! The test runs itself as a child that writes and reports each acknowledgement on its standard output, kills it at some
//! moment, and compares what was reported with what the file then says.

#![allow(clippy::disallowed_methods, reason = "a test against the real thing, in real time")]

use std::collections::{BTreeMap, HashSet};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use om_controldb::{ControlDb, Key};
use om_sqlite::SqliteDb;

const FILE: &str = "OM_SQLITE_KILL_TEST_FILE";
const CLIENTS: usize = 8;
const ROUNDS: usize = 25;

fn key(text: &str) -> Key {
    Key::new(text).expect("a good key")
}

/// What the child was told is done.
#[derive(Default)]
struct Acknowledged {
    /// By client, the last number its counter was set to.
    counters: BTreeMap<usize, u64>,
    created: HashSet<String>,
    /// Was about to ask for these deletes: they may have happened.
    deleting: HashSet<String>,
    deleted: HashSet<String>,
    revisions: HashSet<String>,
}

#[tokio::test]
async fn kill_9_loses_no_acknowledged_write() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("control.db");
    let mut acknowledged = Acknowledged::default();
    for round in 0..ROUNDS {
        let before = acknowledged.revisions.len();
        write_and_kill(&path, 40 + round * 13, &mut acknowledged);
        assert!(acknowledged.revisions.len() > before + CLIENTS, "round {round}: too few writes to prove anything");
        verify(&path, &acknowledged, round).await;
    }
}

/// Runs the child until it has reported so many times, and takes down what it reports.
fn write_and_kill(path: &Path, reports: usize, acknowledged: &mut Acknowledged) {
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "the_child_that_writes", "--ignored", "--nocapture", "--test-threads=1"])
        .env(FILE, path)
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    let output = BufReader::new(child.stdout.take().expect("piped"));
    let mut left = reports;
    for line in output.split(b'\n') {
        let line = String::from_utf8(line.expect("readable")).expect("text");
        if let Some(report) = line.strip_prefix("ack ").and_then(|report| report.strip_suffix('.')) {
            acknowledged.note(report);
            left = left.saturating_sub(1);
            if left == 0 {
                // Reports already in the pipe are still read: they were acknowledged.
                child.kill().expect("killed");
            }
        }
    }
    let status = child.wait().expect("ended");
    assert!(!status.success(), "the child ended by itself: {status}");
}

impl Acknowledged {
    fn note(&mut self, report: &str) {
        let words: Vec<&str> = report.split(' ').collect();
        match words[..] {
            ["counter", client, number, revision] => {
                self.counters.insert(client.parse().expect("a number"), number.parse().expect("a number"));
                assert!(self.revisions.insert(revision.to_owned()), "revision {revision} came back");
            }
            ["created", key, revision] => {
                self.created.insert(key.to_owned());
                assert!(self.revisions.insert(revision.to_owned()), "revision {revision} came back");
            }
            ["deleting", key] => {
                self.deleting.insert(key.to_owned());
            }
            ["deleted", key] => {
                self.deleted.insert(key.to_owned());
            }
            _ => panic!("unknown report {report:?}"),
        }
    }
}

async fn verify(path: &Path, acknowledged: &Acknowledged, round: usize) {
    let db = SqliteDb::open(path).expect("the lock ended with the process");
    for (client, number) in &acknowledged.counters {
        let entry = db.get(&key(&format!("counter/{client}"))).await.expect("read").expect("there");
        let kept: u64 = String::from_utf8(entry.value).expect("text").trim().parse().expect("a number");
        // One more than acknowledged may have been under way.
        assert!(kept == *number || kept == number + 1, "round {round}: client {client} has {kept}, was told {number}");
    }
    for name in acknowledged.created.difference(&acknowledged.deleting) {
        assert!(db.get(&key(name)).await.expect("read").is_some(), "round {round}: {name} was created and is gone");
    }
    for name in &acknowledged.deleted {
        assert!(db.get(&key(name)).await.expect("read").is_none(), "round {round}: {name} was deleted and is back");
    }
}

/// Not a test: the child of the test above.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the child process of kill_9_loses_no_acknowledged_write"]
async fn the_child_that_writes() {
    let path = std::env::var_os(FILE).expect("only kill_9_loses_no_acknowledged_write runs this");
    let db = Arc::new(SqliteDb::open(path).expect("opened"));
    let clients: Vec<_> = (0..CLIENTS).map(|client| tokio::spawn(write_for_ever(db.clone(), client))).collect();
    for client in clients {
        client.await.expect("no panic");
    }
}

async fn write_for_ever(db: Arc<SqliteDb>, client: usize) {
    let counter = key(&format!("counter/{client}"));
    let (mut number, mut revision) = match db.get(&counter).await.expect("read") {
        Some(entry) => {
            (String::from_utf8(entry.value).expect("text").trim().parse().expect("a number"), entry.revision)
        }
        None => (0_u64, db.create(&counter, b"0").await.expect("created")),
    };
    loop {
        number += 1;
        // Some large ones, so that the kill also falls into transactions of many pages.
        let padding = if number.is_multiple_of(7) { 60_000 } else { 10 };
        let value = format!("{number:padding$}");
        revision = db.update(&counter, &revision, value.as_bytes()).await.expect("updated");
        report(&format!("counter {client} {number} {}", revision.as_str()));
        let name = format!("log/{client}/{number}");
        let created = db.create(&key(&name), b"x").await.expect("created");
        report(&format!("created {name} {}", created.as_str()));
        if number.is_multiple_of(2) {
            report(&format!("deleting {name}"));
            db.delete(&key(&name), &created).await.expect("deleted");
            report(&format!("deleted {name}"));
        }
    }
}

/// One line in one system call; the full stop tells a whole line from a torn one.
fn report(text: &str) {
    let line = format!("ack {text}.\n");
    std::io::stdout().lock().write_all(line.as_bytes()).expect("the parent reads");
}
