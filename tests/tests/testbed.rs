//! The test bed does what the tests of node loss rely on: power-off loses what was not flushed and nothing else, what is
//! held comes late, two writers are seen, and nothing of it all remains.

#![allow(clippy::disallowed_methods, reason = "tests run in real time, outside every port")]

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use om_tests::testbed::writer::{Database, Writer};
use om_tests::testbed::{Host, Hosts, IMAGE, Way, left_of, run};
use om_tests::{eventually, same};

/// Runs a shell script in a host.
#[track_caller]
fn sh(host: &Host, script: &str) -> String {
    host.run(&["bash", "-euc", script]).unwrap_or_else(|error| panic!("{}: {error}", host.name))
}

/// Attaches an image of the shared storage, past the page cache, and mounts it; the device goes with the last mount.
const MOUNT: &str = "mkdir -p /v; device=$(losetup --find --show --direct-io=on /pool/v/e1.img); mount $device /v; \
                     losetup --detach $device";

#[test]
fn three_hosts_with_a_swarm_and_storage_that_can_be_cut() {
    let began = Instant::now();
    let hosts = Hosts::start(3);
    let step = |what: &str| println!("{:6.1?} {what}", began.elapsed());
    step("three hosts");
    power_off_loses_what_was_not_flushed(&hosts);
    step("power off");
    cut_storage_hangs_and_heals(&hosts);
    step("cut and healed");
    a_held_write_comes_late_and_two_writers_are_seen(&hosts);
    step("held and released");
    a_copy_is_a_clone_of_what_was_flushed(&hosts);
    the_storage_host_tells_its_processes_apart(&hosts);
    step("clones and epochs");
    the_network_can_be_cut(&hosts);
    step("network");
    a_writer_tells_what_was_lost(&hosts);
    step("rows");
    a_service_runs_on_every_node(&hosts);
    step("swarm");
    let name = hosts.name();
    drop(hosts);
    step("gone");
    assert_eq!(left_of(&name), Vec::<String>::new());
}

/// Run by the test below, which kills it.
#[test]
#[ignore = "only the test of what it leaves runs it"]
fn a_run_that_is_killed() {
    let hosts = Hosts::start(1);
    hosts.start_docker();
    println!("name {}", hosts.name());
    std::thread::sleep(Duration::from_secs(60));
}

#[test]
fn the_next_run_ends_one_that_was_killed() {
    let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
    command.args(["--ignored", "--exact", "a_run_that_is_killed", "--nocapture"]);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("it can be run again");
    let mut lines = BufReader::new(child.stdout.take().expect("its output is a pipe")).lines();
    let name = lines.find_map(|line| line.ok()?.strip_prefix("name ").map(str::to_owned)).expect("it is up");
    child.kill().and_then(|()| child.wait()).expect("it is killed");
    let left = left_of(&name);
    for kind in ["network namespace", "process", "loop device", "folder"] {
        assert!(left.iter().any(|thing| thing.starts_with(kind)), "no {kind} among {left:#?}");
    }
    drop(Hosts::start(0));
    assert_eq!(left_of(&name), Vec::<String>::new());
}

fn power_off_loses_what_was_not_flushed(hosts: &Hosts) {
    let [first, second, _] = &hosts.nodes[..] else { panic!("three nodes") };
    sh(first, "mkdir /pool/v; truncate -s 64M /pool/v/e1.img; mkfs.ext4 -q /pool/v/e1.img");
    sh(first, MOUNT);
    let device = sh(first, "losetup --noheadings --list --output DIO,BACK-FILE | grep e1.img");
    assert!(device.starts_with('1'), "no direct I/O on the witness: {device}");
    sh(first, "cd /v; for f in kept over; do echo first >$f; done; sync");
    // One row that is only in the page cache, one that is acknowledged by the device and not flushed.
    sh(first, "cd /v; echo second >lost; head -c 512 /dev/zero | dd of=over oflag=direct conv=notrunc status=none");
    assert_eq!(sh(first, "head -c 1 /v/over | xxd -p"), "00", "the host reads back what it wrote");
    first.power_off();
    sh(second, MOUNT);
    assert_eq!(sh(second, "cd /v; cat kept over; cat lost 2>/dev/null || true"), "first\nfirst");
    sh(second, "umount /v");
    first.power_on();
    assert_eq!(sh(first, "ls /pool/v"), "e1.img");
    assert_eq!(hosts.witness.overlaps(), Vec::<String>::new());
}

fn cut_storage_hangs_and_heals(hosts: &Hosts) {
    let host = &hosts.nodes[0];
    sh(host, "echo one >/pool/x");
    host.cut_storage();
    let began = Instant::now();
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| sh(host, "cat /pool/x"));
        std::thread::sleep(Duration::from_millis(300));
        assert!(!reader.is_finished(), "it did not hang");
        // The others go on meanwhile.
        assert_eq!(sh(&hosts.nodes[1], "cat /pool/x"), "one");
        host.heal_storage();
        assert_eq!(reader.join().expect("it goes on"), "one");
    });
    assert!(began.elapsed() < Duration::from_secs(5), "it did not go on at once");
}

fn a_held_write_comes_late_and_two_writers_are_seen(hosts: &Hosts) {
    let [_, second, third] = &hosts.nodes[..] else { panic!("three nodes") };
    let image = hosts.backing().join("v/e1.img").display().to_string();
    let wrote = |word: &str| run(&["grep", "-qaF", &word.repeat(100), &image]).is_ok();
    let block = |word: &str| format!("yes {word} | tr -d '\\n' | dd of=/v/f bs=4k count=1 iflag=fullblock status=none");
    sh(second, MOUNT);
    sh(second, &format!("{} conv=fsync", block("ab")));
    assert!(wrote("ab"));
    second.hold_writes();
    let held = second.spawn("held", &["bash", "-c", &format!("{} oflag=direct conv=notrunc", block("cd"))]);
    std::thread::sleep(Duration::from_millis(300));
    second.power_off();
    drop(held);
    sh(third, MOUNT);
    sh(third, "echo mine >/v/g; sync; cat /v/f | head -c 8");
    assert!(!wrote("cd"), "a write that was held is there");
    assert_eq!(hosts.witness.overlaps(), Vec::<String>::new());
    assert!(second.release_writes() > 0, "nothing was held");
    assert!(wrote("cd"), "a write that was released is not there");
    let overlaps = hosts.witness.overlaps();
    assert!(overlaps.iter().any(|text| text.contains("v/e1.img")), "the double writer is not seen: {overlaps:?}");
    second.power_on();
    // A frozen file system does not outlive its host either.
    sh(third, "fsfreeze --freeze /v");
    third.power_off();
    third.power_on();
}

fn a_copy_is_a_clone_of_what_was_flushed(hosts: &Hosts) {
    let [first, second, _] = &hosts.nodes[..] else { panic!("three nodes") };
    sh(first, "yes old | head -c 1M >/pool/c1; sync /pool/c1");
    // It has the file open and a write that is not flushed while the other makes the clone.
    let writer = first.spawn("unflushed", &["bash", "-c", "exec 1<>/pool/c1; echo new; sleep 60"]);
    eventually(Duration::from_secs(5), "the write is in the cache", || {
        same(sh(first, "head -n1 /pool/c1"), "new".into())
    });
    sh(second, "cp /pool/c1 /pool/c2");
    assert_eq!(sh(second, "head -n1 /pool/c2; stat -c %s /pool/c2"), "old\n1048576");
    drop(writer);
    let clone = hosts.backing().join("c2").display().to_string();
    let extents = run(&["filefrag", "-v", &clone]).expect("extents can be listed");
    assert!(extents.contains("shared"), "copied, not cloned: {extents}");
    sh(second, "mv --no-clobber /pool/c2 /pool/c1; ln /pool/c2 /pool/c3; mv /pool/c3 /pool/c4; rm /pool/c1 /pool/c2");
    assert_eq!(sh(first, "cd /pool; ls c?; truncate -s 3 c4; cat c4"), "c4\nold");
}

fn the_storage_host_tells_its_processes_apart(hosts: &Hosts) {
    // What a process serves is in its command line.
    let epoch = |line: &str| {
        let (_, served) = line.split_once("serve ")?;
        let (volume, epoch) = served.split_once(' ')?;
        Some((volume.to_owned(), epoch.parse().ok()?))
    };
    let storage = &hosts.storage;
    let serve = |epoch: &str, pause: &str| {
        let script = format!("exec 3<>/pool/nbd; echo a >&3; sleep {pause}; echo b >&3");
        storage.spawn("serve", &["bash", "-c", &script, "serve", "v1", epoch])
    };
    sh(storage, "echo nothing >/pool/nbd");
    let mut former = serve("1", "1");
    std::thread::sleep(Duration::from_millis(150));
    let mut next = serve("2", "0.3");
    std::thread::sleep(Duration::from_millis(150));
    assert_eq!(hosts.witness.epoch_overlaps(epoch), Vec::<String>::new());
    eventually(Duration::from_secs(5), "both have ended", || same((former.runs(), next.runs()), (false, false)));
    let overlaps = hosts.witness.epoch_overlaps(epoch);
    assert_eq!(overlaps, ["v1: a write for epoch 1 after the first for epoch 2"]);
}

fn the_network_can_be_cut(hosts: &Hosts) {
    let [first, second, third] = &hosts.nodes[..] else { panic!("three nodes") };
    // Nobody listens at this port: who is there says so.
    let hears = |from: &Host, to: &Host| {
        let knock = format!("timeout 1 bash -c 'exec 3<>/dev/tcp/{}/9' 2>&1 | grep -q refused", to.address);
        from.run(&["bash", "-c", &knock]).is_ok()
    };
    assert!(hears(first, second));
    first.cut_link();
    assert!(!hears(second, first) && hears(second, third));
    first.heal_link();
    eventually(Duration::from_secs(5), "the link is healed", || same(hears(second, first), true));
    first.cut_one_way(Way::Out);
    assert!(!hears(second, first));
    first.heal_link();
    first.cut_from(second);
    assert!(!hears(second, first) && hears(third, first));
    hosts.heal_network();
    assert!(hears(second, first));
}

fn a_writer_tells_what_was_lost(hosts: &Hosts) {
    let (node, client) = (&hosts.nodes[0], &hosts.client);
    node.start_docker();
    let bin = "PATH=/usr/lib/postgresql/15/bin:$PATH; cd /tmp";
    let access = "echo host all all 10.77.0.0/24 trust >>d/pg_hba.conf";
    let serve = "exec postgres -D d -k /tmp -h 0.0.0.0 -c password_encryption=md5";
    let script = format!("{bin}; [ -d d ] || {{ initdb -D d >/dev/null; {access}; }}; {serve}");
    let words = ["run", "--detach", "--name", "pg", "--network", "host", "--user", "postgres"];
    node.docker(&[&words[..], &["--entrypoint", "bash", IMAGE, "-c", &script]].concat()).expect("a server");
    sh(client, &format!("echo {} pg.test >>/etc/hosts", node.address));
    let database = Database { conninfo: "host=pg.test user=postgres".into(), password: String::new() };
    eventually(Duration::from_secs(20), "PostgreSQL answers", || database.query(client, "SELECT 1"));
    let writer = Writer::begin(client, &database, Duration::from_millis(5));
    std::thread::sleep(Duration::from_millis(500));
    let moment = Instant::now();
    node.docker(&["kill", "pg"]).expect("it can be killed");
    std::thread::sleep(Duration::from_millis(500));
    node.docker(&["start", "pg"]).expect("it starts again");
    eventually(Duration::from_secs(20), "rows are written again", || {
        writer.first_after(moment + Duration::from_millis(500)).ok_or("none yet".to_owned())
    });
    let written = writer.end();
    assert!(written.rows.len() > 20 && written.gap() > Duration::from_millis(500), "{:?}", written.gap());
    written.verify(client, &database).expect("every row is there, once");
    let (first, last) = (written.rows[0].id, written.rows[1].id);
    database.query(client, &format!("DELETE FROM rows WHERE id = {first}")).expect("a row is deleted");
    database.query(client, &format!("INSERT INTO rows VALUES ({last})")).expect("a row is there twice");
    let verdict = written.verify(client, &database).expect_err("a row is missing and one is there twice");
    assert!(
        verdict.contains(&format!("lost: [{first}]")) && verdict.contains(&format!("twice: [{last}]")),
        "{verdict}"
    );
    node.docker(&["rm", "--force", "pg"]).expect("it can be removed");
}

fn a_service_runs_on_every_node(hosts: &Hosts) {
    hosts.swarm();
    let first = &hosts.nodes[0];
    let create = ["service", "create", "--detach", "--no-resolve-image", "--mode", "global", "--name", "trivial"];
    first.docker(&[&create[..], &[IMAGE, "sleep", "1000"]].concat()).expect("a service");
    eventually(Duration::from_secs(30), "a task runs on every node", || {
        let replicas = first.docker(&["service", "ls", "--format", "{{.Replicas}}"])?;
        same(replicas.as_str(), "3/3")
    });
    hosts.nodes[2].power_off();
    hosts.nodes[2].power_on();
}
