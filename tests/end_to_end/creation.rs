//! Creating a service: what is there afterwards, and what a repeated request does.

use std::process::Command;
use std::time::Duration;

use om_tests::{World, docker, eventually, names, same};

pub(crate) fn a_service_of_three_has_one_primary_and_two_standbys(world: &mut World) {
    let members = world.service("orders");
    let roles: Vec<&str> = members.iter().filter_map(|member| member["role"].as_str()).collect();
    assert_eq!(roles.iter().filter(|role| **role == "standby").count(), 2, "{roles:?}");
    let named: Vec<&str> = members.iter().filter_map(|member| member["name"].as_str()).collect();
    assert_eq!(named, ["orders-0", "orders-1", "orders-2"]);
    let service = world.json(&["get", "orders"]);
    assert_eq!(service["phase"], "active", "{service}");
    assert_eq!(service["id"].as_str().map(str::len), Some(32), "{service}");
    let primary = service["primary"].as_str().expect("a primary");
    assert_eq!(world.sql("orders", primary, "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"), "2");
}

pub(crate) fn every_member_has_a_name_and_the_address_of_its_container(world: &mut World) {
    for member in world.service("orders") {
        let name = member["name"].as_str().expect("a name");
        let address = world.address(name).expect("a name has an address");
        assert_eq!(Some(address.as_str()), member["address"].as_str(), "{member}");
        let networks = docker::inspect(&world.container(name))["NetworkSettings"]["Networks"].clone();
        let addresses: Vec<_> =
            networks.as_object().expect("networks").values().map(|n| n["IPAddress"].clone()).collect();
        assert_eq!(addresses, [address.as_str()], "{name}");
    }
    let zone = world.zone();
    let srv = names::ask(&world.dns(), &format!("_postgresql._tcp.orders.{zone}"), "SRV").expect("an answer");
    assert_eq!(srv.len(), 3, "{srv:?}");
    assert!(srv.iter().all(|answer| answer.contains(" 5432 orders-")), "{srv:?}");
    let primary = world.member_with_role("orders", "primary");
    assert_eq!(world.address("orders-primary"), world.address(&primary));
    for transport in ["+notcp", "+tcp"] {
        let unknown = names::status(&world.dns(), &format!("orders-7.{zone}"), "A", transport);
        assert_eq!(unknown.as_deref(), Ok("NXDOMAIN"));
    }
}

pub(crate) fn members_resolve_names_by_the_dns_of_their_containers(world: &mut World) {
    world.service("orders");
    for other in ["orders-1", "orders-primary"] {
        let host = format!("{other}.{}", world.zone());
        let answer = docker::docker(&["exec", &world.container("orders-0"), "getent", "ahostsv4", &host]);
        let answer = answer.unwrap_or_else(|error| panic!("{host} in the container: {error}"));
        assert!(answer.starts_with(&world.address(other).expect("an address")), "{answer}");
    }
}

pub(crate) fn a_row_written_at_the_primary_is_read_at_every_standby(world: &mut World) {
    world.service("orders");
    world.sql("orders", "orders-primary", "CREATE TABLE IF NOT EXISTS menu (id int PRIMARY KEY, item text)");
    world.sql("orders", "orders-primary", "INSERT INTO menu VALUES (1, 'coffee') ON CONFLICT DO NOTHING");
    for member in ["orders-0", "orders-1", "orders-2"] {
        let target = world.target("orders", member);
        eventually(Duration::from_secs(10), "the row arrives", || {
            same(target.query("SELECT item FROM menu WHERE id = 1")?, "coffee".to_owned())
        });
    }
    let standby = world.target("orders", &world.member_with_role("orders", "standby"));
    let refusal = standby.query("INSERT INTO menu VALUES (2, 'tea')").expect_err("a standby takes no writes");
    assert!(refusal.contains("read-only"), "{refusal}");
}

pub(crate) fn a_client_without_tls_or_password_is_turned_away(world: &mut World) {
    world.service("orders");
    let target = world.target("orders", "orders-primary");
    let psql = |conninfo: &str, password: &str| {
        let conninfo = format!("hostaddr={} user={} dbname=postgres {conninfo}", target.address, target.user);
        let output = Command::new("psql").args(["-c", "SELECT 1", &conninfo]).env("PGPASSWORD", password).output();
        output.expect("psql can be run").status.success()
    };
    assert!(psql("sslmode=require", &target.password), "a client with both gets in");
    assert!(!psql("sslmode=disable", &target.password), "a client without TLS gets in");
    assert!(!psql("sslmode=require", "wrong"), "a client with a wrong password gets in");
    let stranger = om_tests::client::Target { host: format!("orders.invalid.{}", world.zone()), ..target.clone() };
    let refusal = stranger.query("SELECT 1").expect_err("the certificate is not good for another name");
    assert!(refusal.contains("does not match host name"), "{refusal}");
}

pub(crate) fn the_same_create_again_is_the_same_service_and_another_is_a_conflict(world: &mut World) {
    world.service("orders");
    let before = world.json(&["get", "orders"]);
    world.create("orders", 3);
    assert_eq!(world.json(&["get", "orders"])["id"], before["id"]);
    let other = world.call(&["create", "postgresql", "orders", "--replicas", "2", "--volume-size", "512MiB"]);
    let refusal = other.refused();
    assert!(refusal.contains("orders") && refusal.contains("exist"), "{refusal}");
    assert_eq!(world.json(&["get", "orders"]), before);
}

pub(crate) fn the_same_create_many_times_at_once_makes_one_service(world: &mut World) {
    let create = ["create", "postgresql", "once", "--replicas", "1", "--volume-size", "512MiB", "--memory", "256MiB"];
    for called in world.call_at_once(&vec![create.to_vec(); 5]) {
        called.ok();
    }
    let id = world.json(&["get", "once"])["id"].as_str().expect("an id").to_owned();
    assert_eq!(docker::containers(&format!("com.openmanage.service={id}")).len(), 1);
    let creates = world.rows(&["operations", "list", "--service", "once"]);
    assert_eq!(creates.len(), 1, "{creates:#?}");
    world.call(&["delete", "once", "--delete-volumes", "--yes"]).ok();
}
