//! Watches: armed at once, no change missed, no waker lost.

use futures::future::{join, join3};
use futures::{FutureExt, poll};

use super::history::breathe;
use super::patience::soon;
use super::{Make, entry, key};
use crate::{ControlDb, Key, Watch};

pub(super) async fn run(make: Make<'_>) {
    every_kind_of_change(&*make().await).await;
    a_change_while_waiting(&*make().await).await;
    an_abandoned_wait_loses_nothing(&*make().await).await;
    the_last_change_is_never_missed(&*make().await).await;
}

async fn woken(what: &str, watch: &mut dyn Watch) {
    soon(what, watch.changed()).await.expect("the backend is there");
}

/// Changes made after the watch was armed and before anybody waits on it.
async fn every_kind_of_change(db: &dyn ControlDb) {
    let (key, prefix) = (key("w/a"), key("w/"));
    let mut watch = db.watch(&prefix).await.expect("armed");
    let first = db.create(&key, b"1").await.expect("created");
    woken("after a create", &mut *watch).await;

    let mut watch = db.watch(&prefix).await.expect("armed");
    let second = db.update(&key, &first, b"2").await.expect("updated");
    woken("after an update", &mut *watch).await;

    let mut watch = db.watch(&prefix).await.expect("armed");
    let mut exact = db.watch(&key).await.expect("armed");
    db.delete(&key, &second).await.expect("deleted");
    woken("after a delete", &mut *watch).await;
    woken("a second watch, on the key itself", &mut *exact).await;
}

/// Several watches wait already when the change comes; all wake.
async fn a_change_while_waiting(db: &dyn ControlDb) {
    let mut here = db.watch(&key("w/")).await.expect("armed");
    let mut there = db.watch(&key("w/a")).await.expect("armed");
    let writer = async {
        breathe().await;
        db.create(&key("w/a"), b"").await.expect("created");
    };
    join3(woken("one watch", &mut *here), woken("another watch", &mut *there), writer).await;
}

/// A wait that is polled and dropped, as in a `select`, takes neither the change nor the waker with it.
async fn an_abandoned_wait_loses_nothing(db: &dyn ControlDb) {
    let mut watch = db.watch(&key("w/")).await.expect("armed");
    for round in 0..5 {
        // Spurious wake-ups are allowed, so it may be ready: then it is not abandoned, and nothing is lost either.
        let _early = poll!(watch.changed().boxed());
        db.create(&key(&format!("w/{round}")), b"").await.expect("created");
        woken("after an abandoned wait", &mut *watch).await;
    }
}

/// A follower that reads after every wake-up, and only then, ends up with the writer's last value.
async fn the_last_change_is_never_missed(db: &dyn ControlDb) {
    const WRITES: u32 = 60;
    let key: Key = key("w/counter");
    let mut watch = db.watch(&key).await.expect("armed");
    let mut revision = db.create(&key, &0_u32.to_be_bytes()).await.expect("created");
    let writer = async {
        for number in 1..=WRITES {
            revision = db.update(&key, &revision, &number.to_be_bytes()).await.expect("the only writer");
            for _ in 0..number % 4 {
                breathe().await;
            }
        }
    };
    let follower = async {
        while entry(db, &key).await.value != WRITES.to_be_bytes() {
            watch.changed().await.expect("the backend is there");
        }
    };
    soon("a follower that sees the last value", join(writer, follower)).await;
}
