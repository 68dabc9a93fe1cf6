//! What dies, and what must hold all the same.

use std::time::Duration;

use om_tests::client::Writer;
use om_tests::world::HEALTHY_WITHIN;
use om_tests::{World, docker, eventually, same};

pub(crate) fn a_killed_primary_comes_back_with_its_name_address_and_data(world: &mut World) {
    world.service("orders");
    let primary = world.member_with_role("orders", "primary");
    world.sql("orders", &primary, "CREATE TABLE IF NOT EXISTS kept (id int PRIMARY KEY)");
    world.sql("orders", &primary, "INSERT INTO kept VALUES (1) ON CONFLICT DO NOTHING");
    let address = world.address(&primary);
    let container = world.container(&primary);
    let started = docker::started_at(&container);
    docker::docker(&["kill", &container]).expect("the container can be killed");
    eventually(HEALTHY_WITHIN, "the container runs again", || {
        let again = world.container(&primary);
        if docker::started_at(&again) != started && docker::pid(&again) != 0 { Ok(()) } else { Err(again) }
    });
    world.healthy("orders", 3);
    assert_eq!(world.address(&primary), address);
    assert_eq!(world.sql("orders", &primary, "SELECT count(*) FROM kept"), "1");
    world.sql("orders", &primary, "INSERT INTO kept VALUES (2) ON CONFLICT DO NOTHING");
    let standby = world.target("orders", &world.member_with_role("orders", "standby"));
    eventually(Duration::from_secs(30), "standbys follow the primary again", || {
        same(standby.query("SELECT count(*) FROM kept")?, "2".to_owned())
    });
}

pub(crate) fn a_killed_standby_follows_again(world: &mut World) {
    world.service("orders");
    let standby = world.member_with_role("orders", "standby");
    docker::docker(&["kill", &world.container(&standby)]).expect("the container can be killed");
    world.sql("orders", "orders-primary", "CREATE TABLE IF NOT EXISTS while_away AS SELECT 1 AS id");
    world.healthy("orders", 3);
    let target = world.target("orders", &standby);
    eventually(Duration::from_secs(30), "the standby catches up", || {
        same(target.query("SELECT count(*) FROM while_away")?, "1".to_owned())
    });
}

pub(crate) fn a_standby_whose_data_is_damaged_copies_it_anew(world: &mut World) {
    world.service("orders");
    let standby = world.member_with_role("orders", "standby");
    world.sql("orders", "orders-primary", "CREATE TABLE IF NOT EXISTS precious AS SELECT 1 AS id");
    let identity = "SELECT system_identifier FROM pg_control_system()";
    let container = world.container(&standby);
    let damage = "rm -rf /data/data/global /data/data/base/1 && touch /data/data/damaged";
    docker::docker(&["exec", &container, "sh", "-c", damage]).expect("root may do that");
    docker::docker(&["kill", &container]).expect("the container can be killed");
    let target = world.target("orders", &standby);
    eventually(HEALTHY_WITHIN, "the standby has a copy again", || {
        same(target.query("SELECT count(*) FROM precious")?, "1".to_owned())
    });
    world.healthy("orders", 3);
    assert_eq!(target.query(identity).ok(), Some(world.sql("orders", "orders-primary", identity)));
    let old = docker::docker(&["exec", &world.container(&standby), "test", "-e", "/data/data/damaged"]);
    assert!(old.is_err(), "the damaged copy was mended somehow, not made anew");
}

pub(crate) fn a_member_that_dies_while_the_server_is_away_comes_back_with_it(world: &mut World) {
    world.service("orders");
    let standby = world.member_with_role("orders", "standby");
    let container = world.container(&standby);
    let started = docker::started_at(&container);
    world.kill_server();
    docker::docker(&["kill", &container]).expect("the container can be killed");
    std::thread::sleep(Duration::from_secs(1));
    world.start_server();
    world.healthy("orders", 3);
    assert_ne!(docker::started_at(&world.container(&standby)), started);
}

pub(crate) fn a_killed_server_stops_no_database_and_drops_no_connection(world: &mut World) {
    world.service("orders");
    world.sql("orders", "orders-primary", "CREATE TABLE IF NOT EXISTS written (id bigint PRIMARY KEY)");
    world.sql("orders", "orders-primary", "TRUNCATE written");
    let members = ["orders-0", "orders-1", "orders-2"];
    let target = world.target("orders", "orders-primary");
    let postmaster = "SELECT pg_postmaster_start_time()";
    let seen = |world: &World| members.map(|member| docker::started_at(&world.container(member)));
    let containers = seen(world);
    let server_began = target.query(postmaster).expect("the primary answers");
    let service = world.json(&["get", "orders"]);

    let writer = Writer::begin(&target, "written");
    std::thread::sleep(Duration::from_secs(1));
    world.kill_server();
    std::thread::sleep(Duration::from_secs(5));
    // The databases answer while the control plane is gone.
    assert_eq!(target.query(postmaster).as_deref(), Ok(server_began.as_str()));
    world.start_server();
    world.healthy("orders", 3);
    std::thread::sleep(Duration::from_secs(2));
    let (acknowledged, error) = writer.end();

    assert_eq!(error, None, "the one connection held");
    assert!(acknowledged > 100, "only {acknowledged} rows in over 8 s: the writer hung");
    assert_eq!(world.sql("orders", "orders-primary", "SELECT count(*) FROM written"), acknowledged.to_string());
    assert_eq!(seen(world), containers, "no container was restarted");
    assert_eq!(target.query(postmaster).as_deref(), Ok(server_began.as_str()), "no database was restarted");
    assert_eq!(world.json(&["get", "orders"]), service, "the state is the same");
    assert!(world.address("orders-0").is_ok(), "names answer again");
}
