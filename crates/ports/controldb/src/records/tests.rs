//! Tests of the typed records over the in-memory store.

use super::*;
use crate::memory::MemoryDb;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Counter {
    count: u64,
    #[serde(default)]
    note: String,
}

struct Counters;

impl Kind for Counters {
    type Value = Counter;
    const FOLDER: &'static str = "counters/";
    const SCHEMA: u32 = 2;
}

fn counter(count: u64) -> Counter {
    Counter { count, note: String::new() }
}

fn records() -> (MemoryDb, Records<Counters>) {
    let db = MemoryDb::new();
    (db.clone(), Records::new(Arc::new(db)))
}

#[tokio::test]
async fn a_record_is_read_as_it_was_written() {
    let (_, records) = records();
    let revision = records.create("a", &counter(1)).await.expect("created");
    let stored = records.get("a").await.expect("read").expect("there");
    assert_eq!(stored, Stored { name: "a".to_owned(), value: counter(1), revision });
    assert_eq!(records.get("b").await.expect("read"), None);
    records.delete(&stored).await.expect("deleted");
    assert!(records.delete(&stored).await.expect_err("gone").is_conflict());
}

#[tokio::test]
async fn older_schemas_are_read_and_newer_ones_refused() {
    let (db, records) = records();
    let old = Key::new("counters/old").expect("good");
    db.create(&old, br#"{"schema":1,"record":{"count":7}}"#).await.expect("created");
    assert_eq!(records.get("old").await.expect("read").expect("there").value, counter(7));
    let new = Key::new("counters/new").expect("good");
    db.create(&new, br#"{"schema":3,"record":{"something":"else"}}"#).await.expect("created");
    let error = records.get("new").await.expect_err("newer");
    assert_eq!(error.kind, ErrorKind::Corrupt);
    assert!(error.detail.contains("schema 3 is newer than 2"), "{error}");
    assert_eq!(records.change("new", |_| Some(counter(0))).await.expect_err("newer").kind, ErrorKind::Corrupt);
    let cut = Key::new("counters/cut").expect("good");
    db.create(&cut, br#"{"schema":2,"rec"#).await.expect("created");
    assert_eq!(records.get("cut").await.expect_err("cut off").kind, ErrorKind::Corrupt);
}

#[tokio::test]
async fn a_bad_name_is_refused_before_anything_is_touched() {
    let (_, records) = records();
    assert_eq!(records.create("a b", &counter(1)).await.expect_err("refused").kind, ErrorKind::Invalid);
}

#[tokio::test]
async fn all_reads_every_page_in_order() {
    let (db, records) = records();
    for number in 0..PAGE_MAX + 5 {
        records.create(&format!("{number:06}"), &counter(number as u64)).await.expect("created");
    }
    db.create(&Key::new("other/x").expect("good"), b"not ours").await.expect("created");
    let all = records.all("").await.expect("listed");
    assert_eq!(all.len(), PAGE_MAX + 5);
    assert!(all.iter().enumerate().all(|(number, stored)| stored.value.count == number as u64));
    assert_eq!(records.all("00000").await.expect("listed").len(), 10);
}

#[allow(clippy::disallowed_methods, reason = "real threads are what is tested")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_changes_lose_nothing() {
    let (db, records) = records();
    records.create("a", &counter(0)).await.expect("created");
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let records = Records::<Counters>::new(Arc::new(db.clone()));
            tokio::spawn(async move {
                for _ in 0..100 {
                    let changed = records.change("a", |old| Some(counter(old.count + 1))).await.expect("changed");
                    assert!(changed.is_some());
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic");
    }
    assert_eq!(records.get("a").await.expect("read").expect("there").value.count, 400);
    records.remove("a").await.expect("removed");
    records.remove("a").await.expect("nothing to remove");
    assert_eq!(records.change("a", |_| Some(counter(1))).await.expect("no record"), None);
}
