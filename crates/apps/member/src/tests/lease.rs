//! What a member does when the node's lease is over, and when it is back.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use om_backend::MemberPhase;

use super::fakes::{LEASE, World};
use super::life::Life;

impl World {
    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }
}

/// Lives until `check` holds; false if that takes too long.
fn until(life: &mut Life, check: impl Fn(&Life) -> bool) -> bool {
    (0..50_000).any(|_| {
        assert_eq!(life.go_on(1), None, "the member ended");
        check(life)
    })
}

/// A member that is up, under a lease until the given time.
fn up(index: u16, lease: usize) -> (Arc<World>, Life) {
    let world = World::new(index);
    world.lease_until(lease);
    let mut life = Life::begin(&world);
    assert!(until(&mut life, Life::is_up), "{:?}", life.status());
    (world, life)
}

#[test]
fn past_the_deadline_everything_is_stopped_and_continued_when_it_is_back() {
    let (world, mut life) = up(0, 5_000);
    assert!(!world.is_stopped());
    assert!(until(&mut life, |_| world.is_stopped()));
    assert_eq!(world.changed_ms.load(Ordering::SeqCst), 5_001, "not before the deadline, and at once after it");
    let status = life.status();
    assert!(status.detail.starts_with("paused: the node's lease is over"), "{status:?}");
    assert_eq!((status.phase, status.health), (MemberPhase::Running, None), "nobody knows how the server is");
    let queries = world.actions.load(Ordering::SeqCst);
    assert!(until(&mut life, |_| world.now() > 60_000));
    assert!(world.is_stopped());
    assert!(world.actions.load(Ordering::SeqCst) <= queries + 1, "it is not probed while it is stopped");
    let back = world.now();
    world.lease_until(back + 5_000);
    assert!(until(&mut life, |_| !world.is_stopped()));
    assert!(world.changed_ms.load(Ordering::SeqCst) <= back + 400);
    assert!(until(&mut life, Life::is_up));
    assert_eq!(life.status().starts, 1, "a pause is no restart");
    assert!(world.has_said("paused: ") && world.has_said("continued: "));
}

#[test]
fn renewed_in_time_nothing_is_ever_stopped() {
    let (world, mut life) = up(0, 2_500);
    while world.now() < 60_000 {
        world.lease_until(world.now() + 2_500);
        assert_eq!(life.go_on(1), None);
        assert!(!world.is_stopped(), "at {}", world.now());
    }
    assert!(life.is_up());
}

#[test]
fn without_a_lease_to_keep_nothing_is_enforced() {
    let world = World::new(0);
    let mut life = Life::begin(&world);
    assert!(until(&mut life, |life| life.is_up() && world.now() > 60_000));
    assert_eq!(world.changed_ms.load(Ordering::SeqCst), 0);
}

#[test]
fn nothing_begins_under_a_lease_that_is_over_already() {
    let world = World::new(0);
    world.now_ms.store(10_000, Ordering::SeqCst);
    world.lease_until(9_999);
    let mut life = Life::begin(&world);
    assert!(until(&mut life, |_| world.now() > 20_000));
    assert!(world.is_stopped() && !world.running.load(Ordering::SeqCst));
    assert_eq!(life.status().phase, MemberPhase::Starting);
    assert!(life.status().detail.starts_with("paused: "), "{:?}", life.status());
    world.lease_until(100_000);
    assert!(until(&mut life, Life::is_up));
}

#[test]
fn a_lease_that_ends_at_any_moment_of_the_start_lets_nothing_begin_after_it() {
    // The fakes refuse whatever is begun past the deadline.
    for index in [0, 1] {
        for deadline in 0..40 {
            let world = World::new(index);
            world.lease_until(deadline);
            let mut life = Life::begin(&world);
            assert!(until(&mut life, |_| world.is_stopped()));
            assert!(until(&mut life, |_| world.now() > 3_000));
            world.lease_until(1_000_000);
            assert!(until(&mut life, Life::is_up), "over after {deadline} ms: {:?}", life.status());
        }
    }
}

#[test]
fn a_pause_is_not_held_against_a_standby() {
    let (world, mut life) = up(1, 5_000);
    let copies = || world.said.lock().expect("not poisoned").iter().filter(|text| text.starts_with("copying")).count();
    assert!(until(&mut life, |_| world.is_stopped()));
    assert!(until(&mut life, |_| world.now() > 120_000));
    // What it was sent meanwhile is still on its way.
    world.streaming.store(false, Ordering::SeqCst);
    world.lease_until(1_000_000);
    let back = world.now();
    assert!(until(&mut life, |_| world.now() > back + 20_000));
    assert_eq!(copies(), 1, "it was mended though it had no half minute yet");
    world.streaming.store(true, Ordering::SeqCst);
    assert!(until(&mut life, Life::is_up));
}

#[test]
fn a_deadline_once_seen_holds_whatever_becomes_of_the_file() {
    for torn in [None, Some("12x")] {
        let (world, mut life) = up(0, 5_000);
        match torn {
            None => world.files().remove(LEASE),
            Some(text) => world.files().insert(LEASE.into(), text.into()),
        };
        assert!(until(&mut life, |_| world.is_stopped()));
        assert!(world.now() > 5_000);
        world.lease_until(1_000_000);
        assert!(until(&mut life, Life::is_up));
    }
}

#[test]
fn asked_to_stop_without_the_lease_it_waits_for_it_and_then_ends_gracefully() {
    let (world, mut life) = up(0, 5_000);
    assert!(until(&mut life, |_| world.is_stopped()));
    life.terminate();
    assert_eq!(life.go_on(500), None);
    assert!(world.signals.lock().expect("not poisoned").is_empty(), "nothing is done without the lease");
    world.lease_until(1_000_000);
    assert_eq!(life.go_on(500), Some(0));
}

#[test]
fn frozen_through_a_whole_lapse_it_continues_what_was_stopped_from_outside() {
    for lapse in [1, 500, 15_000] {
        let (world, mut life) = up(0, 5_000);
        assert!(until(&mut life, |_| world.now() > 4_900));
        assert!(!world.is_stopped());
        // Nothing here ran from before the deadline until the lease was back; the agent has stopped the others meanwhile.
        world.now_ms.store(5_000 + lapse, Ordering::SeqCst);
        world.stopped.store(true, Ordering::SeqCst);
        world.lease_until(1_000_000);
        assert!(until(&mut life, |_| !world.is_stopped()));
        assert!(world.now() <= 5_000 + lapse + 400, "at {}", world.now());
        assert!(until(&mut life, Life::is_up));
        assert_eq!(life.status().starts, 1, "a pause is no restart");
    }
}
