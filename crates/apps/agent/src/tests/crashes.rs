//! The agent dies at every await, and another carries on.

use futures::executor::block_on;
use futures::future::{Either, poll_fn, select};
use om_backend::NodeAgent;

use super::*;

/// Polls `work` `steps` times and then drops it; its result if it ended by then.
pub(super) fn crash_after<T>(steps: usize, work: impl Future<Output = T>) -> Option<T> {
    let mut left = steps;
    let crash = poll_fn(move |context| {
        if left == 0 {
            return std::task::Poll::Ready(());
        }
        left -= 1;
        context.waker().wake_by_ref();
        std::task::Poll::Pending
    });
    let work = std::pin::pin!(work);
    match block_on(select(work, crash)) {
        Either::Left((result, _)) => Some(result),
        Either::Right(_) => None,
    }
}

/// Runs `attempt` with a crash after each number of steps, until one ends by itself. Returns how many crashed.
pub(super) fn at_every_await(mut attempt: impl FnMut(usize) -> bool) -> usize {
    (0..).take_while(|steps| !attempt(*steps)).count()
}

#[test]
fn a_mount_cut_off_anywhere_is_completed_by_the_next() {
    let crashes = at_every_await(|steps| {
        let world = World::new();
        let name = data(0).parse().unwrap();
        let cut = crash_after(steps, world.agent().mount(&name, "first")).is_none();
        let path = world.mount(&data(0), "second").unwrap_or_else(|error| panic!("after {steps} steps: {error}"));
        assert_eq!(path, Path::new(MOUNTS).join(format!("{}.e1", data(0))), "after {steps} steps: the epoch stays");
        assert!(world.read(&path.join(".openmanage/member.json")).is_some());
        world.unmount(&data(0), "second").unwrap();
        block_on(world.agent().release(&service(), &member(0))).unwrap();
        world.assert_nothing_left();
        !cut
    });
    assert!(crashes > 20, "there are awaits to crash at: {crashes}");
}

#[test]
fn a_mount_cut_off_anywhere_is_released_without_a_trace() {
    at_every_await(|steps| {
        let world = World::new();
        let name = format!("journal_{}", data(0)).parse().unwrap();
        let cut = crash_after(steps, world.agent().mount(&name, "first")).is_none();
        block_on(world.agent().release(&service(), &member(0))).unwrap();
        world.assert_nothing_left();
        !cut
    });
}

#[test]
fn an_unmount_and_a_release_cut_off_anywhere_are_completed() {
    let crashes = at_every_await(|steps| {
        let world = World::new();
        world.mount(&data(0), "run").unwrap();
        let name = data(0).parse().unwrap();
        let cut = crash_after(steps, world.agent().unmount(&name, "run")).is_none();
        let released = crash_after(steps, world.agent().release(&service(), &member(0))).is_none();
        block_on(world.agent().release(&service(), &member(0))).unwrap();
        world.assert_nothing_left();
        !cut && !released
    });
    assert!(crashes > 8, "there are awaits to crash at: {crashes}");
}

#[test]
fn a_new_epoch_waits_for_the_old_one_and_clears_it_wherever_it_is_cut_off() {
    at_every_await(|steps| {
        let world = World::new();
        let old = world.mount(&data(0), "old").unwrap();
        world.mount(&format!("journal_{}", data(0)), "old-journal").unwrap();
        // A server gave the member away and back: same machine, same life, a later epoch.
        world.control.with_binding(&service(), &member(0), |binding| binding.release(Epoch::new(1)));
        let container = world.host.start_container(&old);
        refused(world.mount(&data(0), "new"));
        world.host.end_container(container);

        let name = data(0).parse().unwrap();
        let cut = crash_after(steps, world.agent().mount(&name, "cut")).is_none();
        let new = world.mount(&data(0), "new").unwrap();
        assert_eq!(new, Path::new(MOUNTS).join(format!("{}.e2", data(0))));
        assert!(
            world.host.left_behind().iter().all(|path| path.starts_with(&new)),
            "the old epoch is gone, journal too"
        );
        !cut
    });
}
