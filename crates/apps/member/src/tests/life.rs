//! What a member does when it is started, asked, cut off, and when its server dies.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use futures::channel::oneshot;
use futures::future::BoxFuture;
use om_backend::MemberPhase;
use om_backend::member_channel::{Reply, Request};
use om_engines::{Role, Signal};

use super::fakes::{CONFIG, World};
use crate::Member;

/// A program that lives: the member, its life, and the signal that ends it.
pub(super) struct Life {
    member: Arc<Member>,
    run: BoxFuture<'static, i32>,
    stop: Option<oneshot::Sender<()>>,
}

impl Life {
    pub(super) fn begin(world: &Arc<World>) -> Self {
        let member = Member::new(world.ports());
        let (stop, stopped) = oneshot::channel();
        let living = member.clone();
        let run = Box::pin(async move {
            let stopped = Box::pin(async move {
                let _ = stopped.await;
            });
            living.run(stopped).await
        });
        Self { member, run, stop: Some(stop) }
    }

    /// Lives for a while; the exit code if it ended.
    pub(super) fn go_on(&mut self, polls: usize) -> Option<i32> {
        (0..polls).find_map(|_| match self.run.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(code) => Some(code),
            Poll::Pending => None,
        })
    }

    pub(super) fn terminate(&mut self) {
        drop(self.stop.take());
    }

    pub(super) fn is_up(&self) -> bool {
        let status = self.status();
        status.phase == MemberPhase::Running && status.health.is_some_and(|health| health.healthy)
    }

    pub(super) fn status(&self) -> om_backend::MemberStatus {
        match futures::FutureExt::now_or_never(self.member.answer(Request::Status)) {
            Some(Reply::Status(status)) => status,
            other => panic!("the status is told at once, not {other:?}"),
        }
    }
}

#[test]
fn it_comes_up_and_tells_role_and_configuration() {
    for (index, role) in [(0, Role::Primary), (1, Role::Standby)] {
        let world = World::new(index);
        let mut life = Life::begin(&world);
        assert_eq!(life.go_on(50), None);
        assert!(life.is_up(), "{:?}", life.status());
        let status = life.status();
        assert_eq!((status.configuration, status.starts), (1, 1));
        assert_eq!(status.health.and_then(|health| health.role), Some(role));
    }
}

#[test]
fn cut_off_after_any_action_it_comes_up_again() {
    for index in [0, 1] {
        let mut cut = 0;
        loop {
            let world = World::new(index);
            world.cut_after.store(cut, Ordering::SeqCst);
            let mut first = Life::begin(&world);
            first.go_on(50);
            let was_up = first.is_up();
            drop(first);
            // The container is gone: its processes, and what was in memory.
            world.running.store(false, Ordering::SeqCst);
            world.cut_after.store(usize::MAX, Ordering::SeqCst);
            let mut second = Life::begin(&world);
            second.go_on(50);
            assert!(second.is_up(), "member {index} cut after {cut}: {:?}", second.status());
            assert!(world.files()["/data/postgresql.state"].starts_with("proven 7"));
            if was_up {
                break;
            }
            cut += 1;
        }
        assert!(cut > 15, "only {cut} actions were cut");
    }
}

#[test]
fn asked_to_stop_it_ends_the_server_gracefully_and_leaves_with_0() {
    let world = World::new(0);
    let mut life = Life::begin(&world);
    life.go_on(50);
    life.terminate();
    assert_eq!(life.go_on(50), Some(0));
    assert_eq!(*world.signals.lock().expect("not poisoned"), [Signal::Interrupt]);
    assert!(!world.running.load(Ordering::SeqCst));
}

#[test]
fn asked_to_stop_while_initialising_or_copying_it_ends_the_program_and_begins_cleanly_next_time() {
    for (index, program) in [(0, "initdb"), (1, "pg_basebackup")] {
        let world = World::new(index);
        *world.hanging.lock().expect("not poisoned") = Some(program);
        let mut life = Life::begin(&world);
        assert_eq!(life.go_on(50), None);
        assert_eq!(life.status().phase, MemberPhase::Starting);
        life.terminate();
        assert_eq!(life.go_on(5), Some(0));
        assert_eq!(world.killed.load(Ordering::SeqCst), 1, "{program} was left running");
        *world.hanging.lock().expect("not poisoned") = None;
        let mut again = Life::begin(&world);
        again.go_on(50);
        assert!(again.is_up(), "{program}: {:?}", again.status());
    }
}

#[test]
fn a_server_that_dies_ends_the_container_with_its_code_and_never_with_0() {
    for (code, told) in [(137, 137), (0, 1)] {
        let world = World::new(0);
        let mut life = Life::begin(&world);
        life.go_on(50);
        world.server_dies(code);
        assert_eq!(life.go_on(50), Some(told));
        assert!(world.has_said(&format!("ended by itself with code {code}")));
    }
}

#[test]
fn a_failed_start_is_told_and_tried_again() {
    let world = World::new(0);
    let config = world.files().remove(CONFIG).expect("there");
    let mut life = Life::begin(&world);
    assert_eq!(life.go_on(30), None);
    assert!(life.status().detail.contains("member.json is missing"), "{:?}", life.status());
    world.files().insert(CONFIG.into(), "{".into());
    assert_eq!(life.go_on(30), None);
    assert!(life.status().detail.contains("is not understood"), "{:?}", life.status());
    world.files().insert(CONFIG.into(), config);
    life.go_on(80);
    assert!(life.is_up());
}

#[test]
fn a_reload_takes_up_the_changed_configuration() {
    let world = World::new(0);
    let mut life = Life::begin(&world);
    life.go_on(50);
    world.configure(0, 2);
    let member = life.member.clone();
    let mut asked = Box::pin(async move { member.answer(Request::Reload).await });
    let mut cx = Context::from_waker(Waker::noop());
    assert!(asked.as_mut().poll(&mut cx).is_pending());
    life.go_on(50);
    match asked.as_mut().poll(&mut cx) {
        Poll::Ready(Reply::Status(status)) => assert_eq!((status.configuration, status.starts), (2, 1)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_reload_asked_for_while_starting_is_taken_up_afterwards() {
    let world = World::new(0);
    let config = world.files().remove(CONFIG).expect("there");
    let mut life = Life::begin(&world);
    life.go_on(10);
    let told = futures::FutureExt::now_or_never(life.member.answer(Request::Reload));
    assert!(matches!(told, Some(Reply::Status(_))), "{told:?}");
    let refused = futures::FutureExt::now_or_never(life.member.answer(Request::RestartServer));
    assert!(matches!(refused, Some(Reply::Failed(_))), "{refused:?}");
    world.files().insert(CONFIG.into(), config);
    life.go_on(80);
    assert!(life.is_up());
}

#[test]
fn the_server_is_restarted_when_asked() {
    let world = World::new(0);
    let mut life = Life::begin(&world);
    life.go_on(50);
    let member = life.member.clone();
    let mut asked = Box::pin(async move { member.answer(Request::RestartServer).await });
    assert!(asked.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert_eq!(life.go_on(80), None);
    assert!(life.is_up());
    assert_eq!(life.status().starts, 2);
}

#[test]
fn a_standby_that_lost_its_log_is_mended_after_half_a_minute() {
    let world = World::new(1);
    let mut life = Life::begin(&world);
    life.go_on(50);
    world.streaming.store(false, Ordering::SeqCst);
    let copies = || world.said.lock().expect("not poisoned").iter().filter(|text| text.starts_with("copying")).count();
    life.go_on(20);
    assert_eq!(copies(), 1, "too early");
    assert!((0..200).any(|_| {
        life.go_on(1);
        copies() == 2
    }));
    world.streaming.store(true, Ordering::SeqCst);
    life.go_on(50);
    assert!(life.is_up());
    assert_eq!(copies(), 2, "mended once");
}
