//! Start, mend, stop, reload: whatever happens, data that matters is kept and the member comes up.

use std::time::Duration;

use super::super::Postgresql;
use super::config;
use super::world::{Primary, World};
use crate::engine::Engine;
use crate::member::{Health, Role};

const ENOUGH: usize = 500;

fn start(world: &mut World, index: u16) -> Result<(), String> {
    world.drive(Postgresql.start(&config(index)), ENOUGH).expect("it ends")
}

fn follow_badly(detail: &str) -> Health {
    Health { role: Some(Role::Standby), healthy: false, detail: detail.into(), lag_bytes: None }
}

fn mend(world: &mut World) -> Result<(), String> {
    world.streaming = false;
    let machine =
        Postgresql.mend(&config(1), &follow_badly("not connected"), Duration::from_secs(31)).expect("a standby");
    world.drive(machine, ENOUGH).expect("it ends")
}

#[test]
fn a_primary_crashed_after_any_action_comes_up_and_keeps_a_completed_cluster() {
    let mut cuts = 0;
    for cut in 0.. {
        let mut world = World::new();
        let ended = world.drive(Postgresql.start(&config(0)), cut).is_some();
        let completed = world.state().starts_with("seeded") || world.state().starts_with("proven");
        let before = completed.then(|| world.cluster().map(ToOwned::to_owned));
        world.crash();
        start(&mut world, 0).unwrap_or_else(|reason| panic!("cut after {cut}: {reason}"));
        assert!(world.server && world.state().starts_with("proven"), "cut after {cut}: {}", world.state());
        if let Some(before) = before {
            assert_eq!(world.cluster(), before.as_deref(), "cut after {cut}: initialised twice");
        }
        if ended {
            break;
        }
        cuts += 1;
    }
    assert!(cuts > 15, "only {cuts} actions: the test cut nothing");
}

#[test]
fn a_standby_crashed_after_any_action_comes_up_as_a_copy_of_the_primary() {
    for cut in 0.. {
        let mut world = World::with_primary("77");
        let ended = world.drive(Postgresql.start(&config(1)), cut).is_some();
        world.crash();
        start(&mut world, 1).unwrap_or_else(|reason| panic!("cut after {cut}: {reason}"));
        assert_eq!((world.cluster(), world.state()), (Some("77"), "proven 77"), "cut after {cut}");
        assert!(world.files.contains_key("/data/data/standby.signal"));
        if ended {
            assert!(cut > 15, "only {cut} actions: the test cut nothing");
            break;
        }
    }
}

#[test]
fn a_primary_never_initialises_over_lost_data_nor_starts_a_standbys() {
    let mut world = World::new();
    start(&mut world, 0).expect("starts");
    world.crash();
    world.files.retain(|path, _| !path.starts_with("/data/data/"));
    assert!(start(&mut world, 0).is_err_and(|reason| reason.contains("lost data")));
    assert_eq!(world.made, 1);

    let mut world = World::with_primary("77");
    start(&mut world, 1).expect("starts");
    world.crash();
    assert!(start(&mut world, 0).is_err_and(|reason| reason.contains("standby's cluster")));
}

#[test]
fn a_complete_cluster_without_our_mark_is_taken_as_it_is() {
    let mut world = World::new();
    world.files.insert("/data/data/PG_VERSION".into(), "15\n".into());
    world.files.insert("/data/data/global/pg_control".into(), "999".into());
    start(&mut world, 0).expect("starts");
    assert_eq!((world.made, world.cluster(), world.state()), (0, Some("999"), "proven 999"));
}

#[test]
fn another_version_is_not_started() {
    let mut world = World::new();
    start(&mut world, 0).expect("starts");
    world.crash();
    world.files.insert("/data/data/PG_VERSION".into(), "14\n".into());
    assert!(start(&mut world, 0).is_err_and(|reason| reason.contains("PostgreSQL 14, not 15")));
}

#[test]
fn a_standby_waits_for_its_primary_and_says_so_once() {
    let mut world = World::new();
    assert!(world.drive(Postgresql.start(&config(1)), 100).is_none(), "it cannot have ended");
    let waiting =
        world.said.iter().filter(|text| text.contains("waiting for the primary orders-0: connection refused"));
    assert_eq!(waiting.count(), 1);
    assert_eq!(world.cluster(), None);
}

#[test]
fn a_standby_whose_data_is_broken_is_seeded_anew_but_a_primary_is_not() {
    let mut world = World::with_primary("77");
    start(&mut world, 1).expect("starts");
    world.crash();
    world.files.insert("/data/data/global/pg_control".into(), "rubbish".into());
    world.broken = Some("rubbish".into());
    start(&mut world, 1).expect("seeded anew");
    assert_eq!((world.cluster(), world.state()), (Some("77"), "proven 77"));

    let mut world = World::new();
    start(&mut world, 0).expect("starts");
    world.crash();
    world.broken = world.cluster().map(ToOwned::to_owned);
    assert!(start(&mut world, 0).is_err_and(|reason| reason.contains("its log")));
    assert_eq!(world.made, 1);
}

#[test]
fn a_copy_that_never_ran_is_not_copied_for_ever() {
    let mut world = World::with_primary("77");
    world.broken = Some("77".into());
    assert!(start(&mut world, 1).is_err());
    assert_eq!(world.said.iter().filter(|text| text.starts_with("copying")).count(), 1);
}

#[test]
fn mending_waits_until_it_is_certain() {
    let engine = &Postgresql;
    let bad = follow_badly("not connected");
    assert!(engine.mend(&config(1), &bad, Duration::from_secs(29)).is_none(), "too early");
    assert!(engine.mend(&config(0), &bad, Duration::from_secs(99)).is_none(), "a primary");
    let healthy = Health { healthy: true, ..bad };
    assert!(engine.mend(&config(1), &healthy, Duration::from_secs(99)).is_none(), "healthy");

    let mut world = World::with_primary("77");
    start(&mut world, 1).expect("starts");
    let copies = |world: &World| world.said.iter().filter(|text| text.starts_with("copying")).count();
    for (primary, why) in [
        (None, "the primary is away"),
        (Some(Primary { system: "77".into(), slot: Some((false, true)) }), "its slot is read from"),
        (Some(Primary { system: "77".into(), slot: None }), "its slot is missing and is made"),
    ] {
        world.primary = primary;
        mend(&mut world).expect("nothing to do");
        assert_eq!((copies(&world), world.server), (1, true), "{why}");
    }
    assert_eq!(world.primary.as_ref().and_then(|primary| primary.slot), Some((false, false)));
}

#[test]
fn a_standby_that_lost_its_log_or_cannot_follow_is_seeded_anew() {
    for slot in [(true, false), (false, false)] {
        let mut world = World::with_primary("77");
        start(&mut world, 1).expect("starts");
        world.primary = Some(Primary { system: "77".into(), slot: Some(slot) });
        mend(&mut world).expect("mended");
        assert_eq!(world.said.iter().filter(|text| text.starts_with("copying")).count(), 2, "{slot:?}");
        assert!(world.server && world.state() == "proven 77");
    }
}

#[test]
fn a_standby_keeps_its_data_from_a_primary_of_other_origin() {
    let mut world = World::with_primary("77");
    start(&mut world, 1).expect("starts");
    world.primary = Some(Primary { system: "88".into(), slot: Some((true, false)) });
    assert!(mend(&mut world).is_err_and(|reason| reason.contains("only copy")));
    assert_eq!((world.cluster(), world.server), (Some("77"), true));
}

#[test]
fn reload_makes_slots_and_stop_ends_the_server() {
    let mut world = World::new();
    start(&mut world, 0).expect("starts");
    world.queries.clear();
    let pending = world.drive(Postgresql.reload(&config(0)), ENOUGH).expect("it ends");
    assert_eq!(pending, Ok(false));
    assert!(world.queries.iter().any(|sql| sql.contains("'orders_1', 'orders_2'")), "{:?}", world.queries);
    world.drive(Postgresql.stop(&config(0)), ENOUGH).expect("it ends").expect("stops");
    assert!(!world.server);
}

#[test]
fn a_standby_runs_with_at_least_what_its_primary_had() {
    let mut world = World::with_primary("77");
    start(&mut world, 1).expect("starts");
    assert!(world.files["/data/.openmanage/engine/postgresql.conf"].contains("max_connections = '400'"));
}
