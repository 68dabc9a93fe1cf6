//! What a service may be asked to have beside the usual: a journal volume, synchronous commits; and a full disk.

use std::sync::mpsc::channel;
use std::time::Duration;

use om_tests::{World, docker, eventually, leftovers};

/// A service of two whose log is on a volume of its own, and whose commits wait for the standby.
fn pair(world: &World) {
    if world.call(&["get", "pair"]).code != 0 {
        let sizes = ["--volume-size", "512MiB", "--journal-size", "256MiB", "--memory", "256MiB"];
        let create = ["create", "postgresql", "pair", "--replicas", "2", "--synchronous"];
        world.call(&[&create[..], &sizes[..]].concat()).ok();
    }
    world.healthy("pair", 2);
}

pub(crate) fn the_log_is_on_the_journal_volume_if_asked(world: &mut World) {
    pair(world);
    let written = "CREATE TABLE IF NOT EXISTS logged (id int); INSERT INTO logged VALUES (1)";
    world.sql("pair", "pair-primary", written);
    let segment = world.sql("pair", "pair-primary", "SELECT pg_walfile_name(pg_current_wal_insert_lsn())");
    for member in ["pair-0", "pair-1"] {
        let container = world.container(member);
        let inside = |command: &str| {
            docker::docker(&["exec", &container, "sh", "-c", command])
                .unwrap_or_else(|error| panic!("{member}: {error}"))
        };
        assert_eq!(inside("readlink -f /data/data/pg_wal"), "/journal/wal", "{member}");
        assert_ne!(inside("stat -c %d /journal/wal"), inside("stat -c %d /data/data"), "{member}: one file system");
        eventually(Duration::from_secs(20), "the present segment of the log is there", || {
            let files = inside("ls /journal/wal");
            if files.lines().any(|file| file == segment) { Ok(()) } else { Err(files) }
        });
    }
}

pub(crate) fn a_synchronous_commit_waits_for_a_standby(world: &mut World) {
    pair(world);
    let standby = world.container(&world.member_with_role("pair", "standby"));
    let target = world.target("pair", "pair-primary");
    target.query("CREATE TABLE IF NOT EXISTS safe (id int)").expect("a table");
    docker::docker(&["pause", &standby]).expect("the standby can be paused");
    let (done, commit) = channel();
    let thread = std::thread::spawn(move || done.send(target.query("INSERT INTO safe VALUES (1)")));
    let alone = commit.recv_timeout(Duration::from_secs(3));
    docker::docker(&["unpause", &standby]).expect("the standby can go on");
    let together = commit.recv_timeout(Duration::from_secs(60));
    thread.join().expect("the thread ends").ok();
    assert!(alone.is_err(), "ended while no standby could have the row: {alone:?}");
    assert_eq!(together, Ok(Ok(String::new())), "the commit went through once the standby had it");
}

pub(crate) fn a_full_volume_breaks_nothing_else_and_growth_mends_it(world: &mut World) {
    world.service("orders");
    world.create("full", 1);
    world.healthy("full", 1);
    let id = world.json(&["get", "full"])["id"].as_str().expect("an id").to_owned();
    let target = world.target("full", "full-0");
    target.query("CREATE TABLE fill (text text)").expect("a table");
    let write = || target.query("INSERT INTO fill SELECT repeat('x', 1900) FROM generate_series(1, 20000)");
    let mut acknowledged = 0;
    let refusal = loop {
        match write() {
            Ok(_) => acknowledged += 20_000,
            Err(error) => break error,
        }
        assert!(acknowledged < 1_000_000, "a volume of 512 MiB takes 2 GB");
    };
    assert!(acknowledged > 0, "full from the start: {refusal}");
    // The client that is told why may be another one: whoever needs room first. The output tells it to all.
    eventually(Duration::from_secs(10), "the member's output tells", || {
        let output = world.call(&["logs", "full-0"]).ok();
        if output.contains("No space left on device") { Ok(()) } else { Err(output) }
    });
    eventually(Duration::from_secs(10), "the service tells what to do", || {
        let members = world.json(&["members", "full"]).to_string();
        if members.contains("openmanage volume grow full --data SIZE") { Ok(()) } else { Err(members) }
    });
    world.healthy("orders", 3);

    world.call(&["volume", "grow", "full", "--data", "1GiB"]).ok();
    world.healthy("full", 1);
    write().expect("there is room again");
    let rows = target.query("SELECT count(*) FROM fill").expect("the database answers");
    assert_eq!(rows, (acknowledged + 20_000).to_string(), "acknowledged rows are there, others are not");
    world.call(&["delete", "full", "--delete-volumes", "--yes"]).ok();
    assert_eq!(leftovers::of_service(&id, &world.state), Vec::<String>::new());
}
