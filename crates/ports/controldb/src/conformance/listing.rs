//! Listings: order, prefixes, pages, limits, one moment.

use futures::future::join;

use super::history::breathe;
use super::{Make, assert_kind, entry, key};
use crate::{ControlDb, ErrorKind, Key, PAGE_MAX};

pub(super) async fn run(make: Make<'_>) {
    order_and_prefix(&*make().await).await;
    pages(&*make().await).await;
    limits(&*make().await).await;
    one_moment(&*make().await).await;
}

async fn listed(db: &dyn ControlDb, prefix: &str, after: Option<&str>, limit: usize) -> (Vec<String>, bool) {
    let after: Option<Key> = after.map(key);
    let page = db.list(&key(prefix), after.as_ref(), limit).await.expect("list answers");
    (page.entries.into_iter().map(|entry| entry.key.as_str().to_owned()).collect(), page.more)
}

async fn order_and_prefix(db: &dyn ControlDb) {
    assert_eq!(listed(db, "p", None, 10).await, (vec![], false), "an empty store has an empty list");
    let shuffled =
        ["p/b", "q/a", "p/B", "p/a/z", "p", "p/a", "p/9", "p/a-z", "p/:", "o/z", "p/_", "p/a.z", "p/@", "p0"];
    for text in shuffled {
        db.create(&key(text), text.as_bytes()).await.expect("created");
    }
    let mut below: Vec<String> =
        shuffled.iter().filter(|text| text.starts_with("p/")).map(ToString::to_string).collect();
    below.sort();
    assert_eq!(listed(db, "p/", None, 100).await, (below, false), "in the order of the keys' bytes");
    assert_eq!(
        listed(db, "p", None, 100).await.0.len(),
        12,
        "a prefix need not end at a slash, and is in its own list"
    );
    assert_eq!(listed(db, "p/a", None, 100).await.0, ["p/a", "p/a-z", "p/a.z", "p/a/z"]);
    assert_eq!(listed(db, "p/zz", None, 100).await, (vec![], false));

    let page = db.list(&key("q/"), None, 10).await.expect("list answers");
    assert_eq!(page.entries, [entry(db, &key("q/a")).await], "a list gives what a get gives");
}

async fn pages(db: &dyn ControlDb) {
    let texts: Vec<String> = (0..25).map(|number| format!("p/{number:02}")).collect();
    for text in &texts {
        db.create(&key(text), b"").await.expect("created");
    }
    db.create(&key("q"), b"").await.expect("created");
    let mut collected = Vec::new();
    for (round, expected) in [(10, true), (10, true), (5, false)].into_iter().enumerate() {
        let after = collected.last().cloned();
        let (page, more) = listed(db, "p/", after.as_deref(), 10).await;
        assert_eq!((page.len(), more), expected, "page {round}");
        collected.extend(page);
    }
    assert_eq!(collected, texts);
    assert!(!listed(db, "p/", None, 25).await.1, "a page that ends at the last one has no more");
    assert!(listed(db, "p/", None, 24).await.1, "one is left out");
    assert_eq!(listed(db, "p/", Some("p/24"), 10).await, (vec![], false), "nothing after the last");
    assert_eq!(listed(db, "p/", Some("p/095"), 1).await.0, ["p/10"], "`after` need not exist");
    assert_eq!(listed(db, "p/", Some("a"), 1).await.0, ["p/00"], "`after` may be before the prefix");
    assert_eq!(listed(db, "p/", Some("q"), 1).await, (vec![], false), "or behind it");

    let gone = entry(db, &key("p/03")).await;
    db.delete(&gone.key, &gone.revision).await.expect("deleted");
    assert_eq!(listed(db, "p/", Some("p/02"), 2).await.0, ["p/04", "p/05"], "what is deleted is not listed");
}

async fn limits(db: &dyn ControlDb) {
    let prefix = key("p/");
    assert_kind(db.list(&prefix, None, 0).await, ErrorKind::Invalid, "a page of none");
    assert_kind(db.list(&prefix, None, PAGE_MAX + 1).await, ErrorKind::Invalid, "a page above the limit");
    let value = vec![7; 8 * 1024];
    let texts: Vec<String> = (0..=PAGE_MAX).map(|number| format!("p/{number:04}")).collect();
    for some in texts.chunks(50) {
        let writes = some.iter().map(|text| async { db.create(&key(text), &value).await.expect("created") });
        futures::future::join_all(writes).await;
    }
    // 8 MB in one answer: more than some protocols carry unless told.
    let page = db.list(&prefix, None, PAGE_MAX).await.expect("a full page");
    assert_eq!((page.entries.len(), page.more), (PAGE_MAX, true));
    assert!(page.entries.iter().all(|entry| entry.value == value));
}

/// The writer changes `a` and then `b`, over and over; a list that is of one moment never sees `b` ahead of `a`, nor `a`
/// two ahead of `b`.
async fn one_moment(db: &dyn ControlDb) {
    const ROUNDS: u64 = 30;
    let (a, b) = (key("m/a"), key("m/b"));
    let mut revisions = [db.create(&a, b"0").await.expect("created"), db.create(&b, b"0").await.expect("created")];
    let writer = async {
        for round in 1..=ROUNDS {
            for (revision, key) in revisions.iter_mut().zip([&a, &b]) {
                let value = round.to_string();
                *revision = db.update(key, revision, value.as_bytes()).await.expect("the only writer");
                breathe().await;
            }
        }
    };
    let reader = async {
        loop {
            let page = db.list(&key("m/"), None, 10).await.expect("list answers");
            let numbers = page.entries.iter().map(|entry| String::from_utf8_lossy(&entry.value).parse::<u64>());
            let numbers: Vec<u64> = numbers.map(|number| number.expect("as it was written")).collect();
            assert!(
                matches!(numbers[..], [a, b] if a == b || a == b + 1),
                "a list mixes moments: {numbers:?} cannot have been there at once"
            );
            if numbers == [ROUNDS, ROUNDS] {
                return;
            }
            breathe().await;
        }
    };
    super::patience::soon("a writer and a reader", join(writer, reader)).await;
}
