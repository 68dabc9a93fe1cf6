//! Single records: create, update and delete under conditions, revisions, limits, keys.

use std::collections::HashSet;

use super::{Make, assert_kind, entry, key};
use crate::{ControlDb, ErrorKind, Key, Revision, VALUE_MAX};

pub(super) async fn run(make: Make<'_>) {
    create_only_if_absent(&*make().await).await;
    update_only_at_the_revision(&*make().await).await;
    delete_only_at_the_revision(&*make().await).await;
    revisions_never_come_back(&*make().await).await;
    values_up_to_the_limit(&*make().await).await;
    every_allowed_key(&*make().await).await;
}

async fn create_only_if_absent(db: &dyn ControlDb) {
    let key = key("services/orders");
    assert_eq!(db.get(&key).await.expect("get answers"), None);
    let revision = db.create(&key, b"first").await.expect("created, for it was absent");
    assert_kind(db.create(&key, b"second").await, ErrorKind::Conflict, "create of what exists");
    let found = entry(db, &key).await;
    assert_eq!((found.key, found.value, found.revision), (key, b"first".to_vec(), revision));
}

async fn update_only_at_the_revision(db: &dyn ControlDb) {
    let key = key("services/orders");
    let made_up = Revision::new("no such mark");
    assert_kind(db.update(&key, &made_up, b"x").await, ErrorKind::Conflict, "update of what is absent");
    assert_eq!(db.get(&key).await.expect("get answers"), None, "a refused update writes nothing");
    let first = db.create(&key, b"1").await.expect("created");
    assert_kind(db.update(&key, &made_up, b"x").await, ErrorKind::Conflict, "update at a made-up revision");
    let second = db.update(&key, &first, b"2").await.expect("updated at its revision");
    assert_ne!(first, second);
    assert_kind(db.update(&key, &first, b"x").await, ErrorKind::Conflict, "update at an old revision");
    let found = entry(db, &key).await;
    assert_eq!((found.value, found.revision), (b"2".to_vec(), second.clone()));
    let third = db.update(&key, &second, b"2").await.expect("updated with the same value");
    assert_ne!(second, third, "writing the same value is a change too");
    db.delete(&key, &third).await.expect("deleted");
    assert_kind(db.update(&key, &third, b"x").await, ErrorKind::Conflict, "update of what is gone");
}

async fn delete_only_at_the_revision(db: &dyn ControlDb) {
    let (here, beside) = (key("services/orders"), key("services/orders2"));
    assert_kind(db.delete(&here, &Revision::new("1")).await, ErrorKind::Conflict, "delete of what is absent");
    let first = db.create(&here, b"1").await.expect("created");
    db.create(&beside, b"beside").await.expect("created");
    let second = db.update(&here, &first, b"2").await.expect("updated");
    assert_kind(db.delete(&here, &first).await, ErrorKind::Conflict, "delete at an old revision");
    assert_eq!(entry(db, &here).await.value, b"2");
    db.delete(&here, &second).await.expect("deleted at its revision");
    assert_eq!(db.get(&here).await.expect("get answers"), None);
    assert_kind(db.delete(&here, &second).await, ErrorKind::Conflict, "delete of what is gone");
    assert_eq!(entry(db, &beside).await.value, b"beside", "only the one record is deleted");
}

async fn revisions_never_come_back(db: &dyn ControlDb) {
    let key = key("services/orders");
    let mut seen = HashSet::new();
    let mut last = None;
    for _ in 0..10 {
        let first = db.create(&key, b"same").await.expect("created");
        if let Some(former) = &last {
            assert_kind(db.update(&key, former, b"x").await, ErrorKind::Conflict, "update at a former life's revision");
            assert_kind(db.delete(&key, former).await, ErrorKind::Conflict, "delete at a former life's revision");
        }
        let second = db.update(&key, &first, b"same").await.expect("updated");
        db.delete(&key, &second).await.expect("deleted");
        for revision in [first, second.clone()] {
            assert!(seen.insert(revision.clone()), "{revision:?} came back");
        }
        last = Some(second);
    }
}

async fn values_up_to_the_limit(db: &dyn ControlDb) {
    let (binary, empty, large) = (key("v/binary"), key("v/empty"), key("v/large"));
    let bytes: Vec<u8> = (0..=255).collect();
    db.create(&binary, &bytes).await.expect("any bytes are a value");
    assert_eq!(entry(db, &binary).await.value, bytes);
    db.create(&empty, b"").await.expect("no bytes are a value");
    assert_eq!(entry(db, &empty).await.value, b"");

    let (full, over) = (vec![0xa5; VALUE_MAX], vec![0xa5; VALUE_MAX + 1]);
    assert_kind(db.create(&large, &over).await, ErrorKind::Invalid, "create one byte above the limit");
    assert_eq!(db.get(&large).await.expect("get answers"), None, "a refused create writes nothing");
    let first = db.create(&large, &full).await.expect("created at the limit");
    assert!(entry(db, &large).await.value == full, "the value at the limit is read as it was written");
    assert_kind(db.update(&large, &first, &over).await, ErrorKind::Invalid, "update one byte above the limit");
    let second = db.update(&large, &first, &full).await.expect("updated at the limit");
    assert_eq!(entry(db, &large).await.revision, second);
}

async fn every_allowed_key(db: &dyn ControlDb) {
    let long = "k".repeat(512);
    // Pairs that a careless backend takes for one: case, a trailing slash, dots, a prefix of another.
    let texts = ["a", "A", "a/", "a/b", "a/b/c", "a/..", "a.b", "0", "x-._:@y", "Z9", "zz", long.as_str()];
    let keys: Vec<Key> = texts.iter().map(|text| key(text)).collect();
    for key in &keys {
        db.create(key, key.as_str().as_bytes()).await.expect("every good key can be written");
    }
    for key in &keys {
        assert_eq!(entry(db, key).await.value, key.as_str().as_bytes(), "{key} is a record of its own");
    }
}
