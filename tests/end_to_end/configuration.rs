//! Changes of settings and of sizes while the service runs.

use std::time::Duration;

use om_tests::{World, docker, eventually, same};

const MEMBERS: [&str; 3] = ["orders-0", "orders-1", "orders-2"];

fn shown_everywhere(world: &World, setting: &str, value: &str) {
    for member in MEMBERS {
        let target = world.target("orders", member);
        eventually(Duration::from_secs(20), setting, || {
            same(target.query(&format!("SHOW {setting}"))?, value.to_owned())
        });
    }
}

pub(crate) fn a_setting_that_reloads_restarts_nothing(world: &mut World) {
    world.service("orders");
    let began = MEMBERS.map(|member| world.sql("orders", member, "SELECT pg_postmaster_start_time()"));
    world.call(&["config", "set", "orders", "work_mem=7MB"]).ok();
    shown_everywhere(world, "work_mem", "7MB");
    assert_eq!(MEMBERS.map(|member| world.sql("orders", member, "SELECT pg_postmaster_start_time()")), began);
    world.call(&["config", "set", "orders", "--unset", "work_mem"]).ok();
    let service = world.json(&["get", "orders"]);
    assert_eq!(service["settings"].as_object().map(serde_json::Map::len), Some(0), "{service}");
}

pub(crate) fn a_setting_that_needs_a_restart_gets_one(world: &mut World) {
    world.service("orders");
    world.call(&["config", "set", "orders", "max_connections=123"]).ok();
    world.healthy("orders", 3);
    shown_everywhere(world, "max_connections", "123");
    let refusal = world.call(&["config", "set", "orders", "no_such_setting=1"]).refused();
    assert!(refusal.contains("no_such_setting"), "{refusal}");
}

/// True if this machine lets a mounted ext4 file system grow: it takes CAP_SYS_RESOURCE, which some sandboxes withhold
/// even from root.
fn file_systems_grow_while_mounted() -> bool {
    const CAP_SYS_RESOURCE: u32 = 24;
    let status = std::fs::read_to_string("/proc/self/status").expect("the kernel tells");
    let mask = status.lines().find_map(|line| line.strip_prefix("CapEff:")).expect("capabilities");
    u64::from_str_radix(mask.trim(), 16).expect("a number in hexadecimal") >> CAP_SYS_RESOURCE & 1 == 1
}

pub(crate) fn volumes_grow_while_the_database_runs(world: &mut World) {
    world.service("orders");
    let room = |member: &str| -> u64 {
        let container = world.container(member);
        let printed = docker::docker(&["exec", &container, "df", "--output=size", "-B1", "/data"]).expect("df runs");
        printed.lines().last().and_then(|line| line.trim().parse().ok()).expect("a size in bytes")
    };
    let before = MEMBERS.map(room);
    let began = || MEMBERS.map(|member| world.sql("orders", member, "SELECT pg_postmaster_start_time()"));
    let running_since = began();
    // Where the kernel refuses, members are restarted one by one instead.
    world.call(&["volume", "grow", "orders", "--data", "768MiB"]).ok();
    if file_systems_grow_while_mounted() {
        assert_eq!(began(), running_since, "a database was restarted");
    }
    world.healthy("orders", 3);
    for (member, before) in MEMBERS.iter().zip(before) {
        assert!(room(member) > before + (200 << 20), "{member}: {before} bytes before, {} now", room(member));
    }
    let refusal = world.call(&["volume", "grow", "orders", "--data", "512MiB"]).refused();
    assert!(refusal.contains("volume"), "{refusal}");
}
