//! Restart, stop and start.

use std::time::Duration;

use om_tests::{World, docker, eventually, same};

const MEMBERS: [&str; 3] = ["orders-0", "orders-1", "orders-2"];

fn started(world: &World) -> [String; 3] {
    MEMBERS.map(|member| docker::started_at(&world.container(member)))
}

fn write(world: &World, table: &str) {
    world.sql("orders", "orders-primary", &format!("CREATE TABLE IF NOT EXISTS {table} AS SELECT 1 AS id"));
}

fn written_everywhere(world: &World, table: &str) {
    for member in MEMBERS {
        let target = world.target("orders", member);
        eventually(Duration::from_secs(20), "the row is at every member", || {
            same(target.query(&format!("SELECT count(*) FROM {table}"))?, "1".to_owned())
        });
    }
}

pub(crate) fn a_rolling_restart_restarts_every_member_and_keeps_the_data(world: &mut World) {
    world.service("orders");
    write(world, "restarted");
    let before = started(world);
    world.call(&["restart", "orders"]).ok();
    world.healthy("orders", 3);
    let after = started(world);
    for (member, (before, after)) in MEMBERS.iter().zip(before.iter().zip(&after)) {
        assert_ne!(before, after, "{member} was not restarted");
    }
    written_everywhere(world, "restarted");
}

pub(crate) fn one_member_is_restarted_alone(world: &mut World) {
    world.service("orders");
    let before = started(world);
    world.call(&["restart", "orders", "--member", "orders-2"]).ok();
    world.healthy("orders", 3);
    let after = started(world);
    assert_eq!(before[..2], after[..2], "others were restarted");
    assert_ne!(before[2], after[2], "orders-2 was not restarted");
}

pub(crate) fn a_stopped_service_starts_again_with_its_data(world: &mut World) {
    world.service("orders");
    write(world, "stopped");
    let addresses = MEMBERS.map(|member| world.address(member));
    world.call(&["stop", "orders"]).ok();
    assert_eq!(world.json(&["get", "orders"])["phase"], "stopped");
    for member in MEMBERS {
        assert_eq!(docker::pid(&world.container(member)), 0, "{member} still runs");
    }
    // Nothing that repairs may start what was stopped on purpose.
    std::thread::sleep(Duration::from_secs(3));
    assert!(MEMBERS.iter().all(|member| docker::pid(&world.container(member)) == 0), "a member was started again");
    world.call(&["start", "orders"]).ok();
    world.healthy("orders", 3);
    assert_eq!(MEMBERS.map(|member| world.address(member)), addresses);
    written_everywhere(world, "stopped");
}
