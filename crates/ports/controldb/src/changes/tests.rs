//! Tests of the watches within one process.

use futures::FutureExt;

use super::*;

fn key(text: &str) -> Key {
    Key::new(text).expect("a good key")
}

#[test]
fn a_dropped_watch_is_forgotten() {
    let changes = Changes::new();
    let first = changes.watch(&key("a/"));
    let second = changes.watch(&key("a/"));
    assert_eq!(lock(&changes.registry).watches.len(), 2);
    drop(first);
    drop(second);
    assert!(lock(&changes.registry).watches.is_empty());
}

#[test]
fn many_changes_merge_into_one_wake_up() {
    let changes = Changes::new();
    let mut watch = changes.watch(&key("a/"));
    for _ in 0..10_000 {
        changes.record(&key("a/b"));
    }
    assert!(watch.changed().now_or_never().expect("woken").is_ok());
    assert!(watch.changed().now_or_never().is_none());
}

#[test]
fn changes_elsewhere_and_before_do_not_wake() {
    let changes = Changes::new();
    changes.record(&key("a/b"));
    let mut watch = changes.watch(&key("a/"));
    changes.record(&key("b/b"));
    assert!(watch.changed().now_or_never().is_none());
}

#[test]
fn closing_ends_the_watch_after_the_last_change() {
    let changes = Changes::new();
    let mut watch = changes.watch(&key("a/"));
    changes.record(&key("a/b"));
    drop(changes);
    assert!(watch.changed().now_or_never().expect("the change first").is_ok());
    let error = watch.changed().now_or_never().expect("then the end").expect_err("closed");
    assert_eq!(error.kind, ErrorKind::Unavailable);
}

#[test]
fn the_waker_of_the_latest_poll_is_woken_once() {
    let (old, old_count) = futures_test_waker();
    let (new, new_count) = futures_test_waker();
    let changes = Changes::new();
    let mut watch = changes.watch(&key("a/"));
    let mut pending = watch.changed();
    assert!(pending.poll_unpin(&mut std::task::Context::from_waker(&old)).is_pending());
    assert!(pending.poll_unpin(&mut std::task::Context::from_waker(&new)).is_pending());
    changes.record(&key("a/b"));
    changes.record(&key("a/b"));
    assert_eq!((old_count.load(Ordering::SeqCst), new_count.load(Ordering::SeqCst)), (0, 1));
}

fn futures_test_waker() -> (std::task::Waker, Arc<std::sync::atomic::AtomicUsize>) {
    struct Counting(Arc<std::sync::atomic::AtomicUsize>);
    impl std::task::Wake for Counting {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let count = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    (Arc::new(Counting(count.clone())).into(), count)
}
