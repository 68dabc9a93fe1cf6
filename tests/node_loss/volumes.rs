//! Volumes that several ask for at once, that are full, that need repair. A service of one member is made for them.

use std::path::PathBuf;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use om_tests::eventually;
use om_tests::fleet::{CLUSTER, Fleet, HEALTHY_WITHIN};
use om_tests::testbed::run;

const SPARE: &str = "spare";
const MEMBER: &str = "spare-0";
const TIMES: usize = 200;
const STORM: Duration = Duration::from_secs(8);

/// A stopped service: nobody holds its volume, and no orchestrator mounts it.
fn stopped(fleet: &Fleet) -> String {
    if fleet.try_call(&["get", SPARE]).is_err() {
        fleet.call(&["create", "postgresql", SPARE, "--replicas", "1", "--volume-size", "1", "--memory", "256MiB"]);
    }
    fleet.call(&["stop", SPARE]);
    let volume = volume(fleet);
    eventually(HEALTHY_WITHIN, "the volume is given back", || {
        let holders: Vec<usize> = (0..3).filter(|at| has(fleet, *at, &volume)).collect();
        if holders.is_empty() { Ok(()) } else { Err(format!("mounted on {holders:?}")) }
    });
    volume
}

fn volume(fleet: &Fleet) -> String {
    let service = fleet.json(&["get", SPARE]);
    let id = service["id"].as_str().unwrap_or_else(|| panic!("no id: {service}"));
    format!("{id}_{MEMBER}")
}

fn has(fleet: &Fleet, at: usize, volume: &str) -> bool {
    let prefix = format!("{volume}.e");
    fleet.mounted(at).iter().any(|name| name.starts_with(&prefix))
}

fn spare(fleet: &Fleet) -> Result<serde_json::Value, String> {
    let members = fleet.try_json(&["members", SPARE])?;
    members.as_array().and_then(|members| members.first()).cloned().ok_or_else(|| members.to_string())
}

fn healthy(fleet: &Fleet) -> serde_json::Value {
    eventually(HEALTHY_WITHIN, "the spare member is healthy", || {
        let member = spare(fleet)?;
        if member["healthy"] == true { Ok(member) } else { Err(member.to_string()) }
    })
}

fn place(fleet: &Fleet, member: &serde_json::Value) -> usize {
    fleet.place(member["node"].as_str().expect("somebody holds it"))
}

/// Makes the member nobody's, as a release does, and has no server choose its node: any node's claim is as good as another's.
fn up_for_grabs(fleet: &Fleet, volume: &str) {
    edit_binding(fleet, volume, ".holder = null | .published = false | .assigned = null");
}

/// The node that the member's deployment is pinned to: the one that the servers had chosen.
fn pinned_to(fleet: &Fleet) -> String {
    let node = &fleet.hosts.nodes[0];
    let filter = format!("name={MEMBER}-");
    let found = node.docker(&["service", "ls", "--quiet", "--filter", &filter]).expect("the Swarm lists services");
    let format = "{{index .Spec.TaskTemplate.Placement.Constraints 0}}";
    let constraint = node.docker(&["service", "inspect", "--format", format, &found]).expect("the service is there");
    let (_, name) = constraint.split_once("node.hostname==").expect("it is pinned to a node");
    name.trim().to_owned()
}

/// Changes the member's binding in the control database.
fn edit_binding(fleet: &Fleet, volume: &str, edit: &str) {
    let node = &fleet.hosts.nodes[0];
    let record = format!("openmanage/{CLUSTER}/records/members/{}", volume.replace('_', "/"));
    let script = r#"
        set -euo pipefail
        key=$(printf %s "$1" | base64 -w0)
        kept=$(curl --silent --fail "$3/v3/kv/range" -d "{\"key\":\"$key\"}")
        value=$(jq -r '.kvs[0].value | @base64d | fromjson | .record.binding |= ('"$2"') | tojson | @base64' <<<"$kept")
        curl --silent --fail "$3/v3/kv/put" -d "{\"key\":\"$key\",\"value\":\"$value\"}"
    "#;
    let url = format!("http://{}:2379", node.address);
    node.run(&["bash", "-c", script, "edit", &record, edit, &url]).expect("the binding can be changed");
}

/// Two nodes at the same instant, again and again: never both, and never none.
pub(crate) fn two_nodes_ask_for_one_volume_two_hundred_times(fleet: &mut Fleet) {
    let (fleet, volume) = (&*fleet, stopped(fleet));
    let (began, start) = (Instant::now(), Barrier::new(2));
    let ask = |at: usize, round: usize| {
        start.wait();
        fleet.mount(at, &volume, &format!("node {at} round {round}"))
    };
    let mut won = [0, 0];
    for round in 0..TIMES {
        up_for_grabs(fleet, &volume);
        let (on_second, on_first) = std::thread::scope(|scope| {
            let first = scope.spawn(|| ask(0, round));
            (ask(1, round), first.join().expect("no panic"))
        });
        let results = [on_first, on_second];
        let winners: Vec<usize> = (0..2).filter(|at| results[*at].is_ok()).collect();
        assert_eq!(winners.len(), 1, "round {round}: one gets it: {results:?}");
        let winner = winners[0];
        won[winner] += 1;
        let mounted: Vec<usize> = (0..3).filter(|at| has(fleet, *at, &volume)).collect();
        assert_eq!(mounted, [winner], "round {round}: it is mounted where the Mount succeeded and nowhere else");
        fleet.unmount(winner, &volume, &format!("node {winner} round {round}")).expect("the winner gives it back");
    }
    println!("{TIMES} times in {:.2?}, won {won:?}", began.elapsed());
    assert!(won.iter().all(|won| *won > 0), "one node always came first: the case shows nothing");
    fleet.one_writer();
}

/// All nodes mount and unmount as fast as they can, asking twice for everything.
pub(crate) fn mount_and_unmount_storms_leave_nothing(fleet: &mut Fleet) {
    let (fleet, volume) = (&*fleet, stopped(fleet));
    up_for_grabs(fleet, &volume);
    let storm = |at: usize| {
        let (mut won, mut asked) = (0, 0);
        let began = Instant::now();
        while began.elapsed() < STORM {
            asked += 1;
            let id = format!("storm {at} {asked}");
            if fleet.mount(at, &volume, &id).is_ok() {
                won += 1;
                let again = fleet.mount(at, &volume, &id);
                assert!(again.is_ok(), "asking twice is asking once: {again:?}");
                fleet.unmount(at, &volume, &id).expect("what was mounted is unmounted");
                up_for_grabs(fleet, &volume);
            }
            // Of what is not mounted there is nothing to unmount.
            fleet.unmount(at, &volume, &id).expect("unmounting twice is unmounting once");
        }
        (won, asked)
    };
    let done: Vec<(usize, usize)> = std::thread::scope(|scope| {
        let storms: Vec<_> = (0..3).map(|at| scope.spawn(move || storm(at))).collect();
        storms.into_iter().map(|storm| storm.join().expect("the storm holds")).collect()
    });
    println!("each node's mounts and attempts: {done:?}");
    assert!(done.iter().map(|(won, _)| won).sum::<usize>() > 0, "nobody ever got it");
    edit_binding(fleet, &volume, &format!(".assigned = {:?}", pinned_to(fleet)));
    for at in 0..3 {
        assert!(!has(fleet, at, &volume), "{} has it mounted still", fleet.hosts.nodes[at].name);
    }
    assert_eq!(on_loop_devices(&volume), Vec::<String>::new());
    fleet.one_writer();
    fleet.call(&["start", SPARE]);
    healthy(fleet);
}

/// A member whose disk is full moves as any other: what it needs to start is not on that disk.
pub(crate) fn a_member_with_a_full_disk_moves(fleet: &mut Fleet) {
    let volume = started(fleet);
    let at = place(fleet, &healthy(fleet));
    let filler = |at: usize| path_of(fleet, at, &volume).join("filler");
    let (node, file) = (&fleet.hosts.nodes[at], filler(at).display().to_string());
    let fill = format!(
        "dd if=/dev/zero of={file} bs=1M 2>/dev/null; dd if=/dev/zero of={file}2 bs=1k 2>/dev/null; sync {file}; df {file}"
    );
    println!("{}", node.run(&["sh", "-c", &fill]).expect("the disk can be filled"));
    let former = spare(fleet).expect("the member")["epoch"].as_u64();
    fleet.power_off(at);
    let to = eventually(HEALTHY_WITHIN, "the member with a full disk has moved", || {
        let member = spare(fleet)?;
        let moved = member["node"] != fleet.hosts.nodes[at].name.as_str() && member["epoch"].as_u64() > former;
        let to = if moved { place(fleet, &member) } else { return Err(member.to_string()) };
        if has(fleet, to, &volume) { Ok(to) } else { Err("not mounted".to_owned()) }
    });
    let file = filler(to).display().to_string();
    fleet.hosts.nodes[to].run(&["sh", "-c", &format!("test -e {file} && rm -f {file} {file}2")]).expect("it was full");
    healthy(fleet);
    fleet.recover();
    fleet.one_writer();
}

fn started(fleet: &Fleet) -> String {
    if fleet.try_call(&["get", SPARE]).is_err() {
        fleet.call(&["create", "postgresql", SPARE, "--replicas", "1", "--volume-size", "1", "--memory", "256MiB"]);
    }
    healthy(fleet);
    volume(fleet)
}

/// The mount point of a volume on a node, as that node sees it.
fn path_of(fleet: &Fleet, at: usize, volume: &str) -> PathBuf {
    let table = std::fs::read_to_string(format!("/proc/{}/mountinfo", fleet.hosts.nodes[at].pid()));
    let table = table.expect("the host has mounts");
    let paths = table.lines().filter(|line| line.contains("- ext4 ")).filter_map(|line| line.split(' ').nth(4));
    let prefix = format!("{volume}.e");
    let own = |path: &&str| path.rsplit('/').next().is_some_and(|name| name.starts_with(&prefix));
    paths.filter(own).map(PathBuf::from).next_back().expect("it is mounted")
}

/// An error that the kernel noted on the file system, and a count that is wrong: both are for the check before the mount.
pub(crate) fn a_file_system_is_repaired_before_it_is_mounted(fleet: &mut Fleet) {
    let volume = stopped(fleet);
    let image = image_of(fleet, &volume);
    let shown = image.display().to_string();
    for request in ["ssv state 2", "ssv free_blocks_count 77", "ssv free_inodes_count 5"] {
        run(&["debugfs", "-w", "-R", request, &shown]).expect("the image can be damaged");
    }
    assert!(state_of(&shown).contains("errors"), "the damage is there: {}", state_of(&shown));
    let name = image.file_name().expect("a name").to_owned();
    fleet.call(&["start", SPARE]);
    let member = healthy(fleet);
    let at = place(fleet, &member);
    fleet.call(&["stop", SPARE]);
    stopped(fleet);
    let image = image_of(fleet, &volume);
    println!("damaged in {}, repaired in {}, on node {at}", name.display(), image.display());
    let after = state_of(&image.display().to_string());
    assert!(after.contains("clean") && !after.contains("errors"), "it was repaired: {after}");
    run(&["e2fsck", "-fn", &image.display().to_string()]).expect("nothing is wrong with it any more");
    fleet.one_writer();
    fleet.call(&["delete", SPARE, "--delete-volumes", "--yes"]);
}

/// The newest image of a volume, as the storage has it in truth.
fn image_of(fleet: &Fleet, volume: &str) -> PathBuf {
    let mut found = Vec::new();
    let mut folders = vec![fleet.hosts.backing().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().filter_map(Result::ok) {
            let (path, kind) = (entry.path(), entry.metadata().expect("the entry is there"));
            if kind.is_dir() {
                folders.push(path);
            } else if path.display().to_string().contains(volume) && kind.len() > 100 << 20 {
                found.push((kind.modified().expect("a time"), path));
            }
        }
    }
    found.into_iter().max().expect("the volume has an image").1
}

fn state_of(image: &str) -> String {
    let shown = run(&["dumpe2fs", "-h", image]).expect("it is a file system");
    shown.lines().find(|line| line.starts_with("Filesystem state")).expect("a state").to_owned()
}

/// Loop devices of the machine whose file's name has this in it.
fn on_loop_devices(part: &str) -> Vec<String> {
    let mut left = Vec::new();
    // They go with their last mount, a moment after it.
    for _ in 0..50 {
        let listed = run(&["losetup", "--noheadings", "--list", "--output", "NAME,BACK-FILE"]).unwrap_or_default();
        left = listed.lines().filter(|line| line.contains(part)).map(str::to_owned).collect();
        if left.is_empty() {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    left
}
