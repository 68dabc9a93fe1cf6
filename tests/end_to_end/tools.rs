//! The command line's smaller commands, as the README shows them.

use std::io::Write;
use std::process::{Command, Stdio};

use om_tests::{World, docker};

pub(crate) fn completion_and_manual_pages_are_written(world: &mut World) {
    for shell in ["bash", "zsh", "fish"] {
        let script = world.call(&["completion", shell]).ok();
        assert!(script.contains("openmanage") && script.contains("volume-size"), "{shell}: {script}");
    }
    let script = world.call(&["completion", "bash"]).ok() + "\ncomplete -p openmanage\n";
    let mut bash = Command::new("bash").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("bash can be run");
    bash.stdin.take().expect("a pipe").write_all(script.as_bytes()).expect("bash reads");
    let output = bash.wait_with_output().expect("bash ends");
    assert!(output.status.success() && !output.stdout.is_empty(), "bash does not take the script: {output:?}");

    let folder = world.state.join("manual");
    world.call(&["man", &folder.display().to_string()]).ok();
    let pages = std::fs::read_dir(&folder).expect("the folder is there").count();
    let page = std::fs::read_to_string(folder.join("openmanage-create.1"));
    std::fs::remove_dir_all(&folder).expect("the folder can be removed");
    let page = page.expect("there is a page for create");
    assert!(page.contains(".TH") && page.contains("replicas"), "{page}");
    assert!(pages > 20, "only {pages} pages");
}

pub(crate) fn the_commands_of_the_readme_work(world: &mut World) {
    world.service("orders");
    let answer = world.call(&["connect", "orders", "--", "-At", "-c", "SELECT version()"]).ok();
    assert!(answer.contains("PostgreSQL 15"), "{answer}");
    assert!(world.call(&["connect", "orders", "--uri"]).ok().contains("postgresql://"));
    let address = world.address("orders-1").expect("an address");
    assert!(world.call(&["dns", "resolve", "orders-1"]).ok().contains(&address));
    assert!(world.call(&["engines"]).ok().contains("postgresql"));
    assert!(world.call(&["cluster", "show"]).ok().contains(&world.zone()));
    assert!(world.call(&["list"]).ok().contains("orders"));
    assert!(world.call(&["operations", "list"]).ok().contains("create"));
}

pub(crate) fn a_dry_run_shows_the_steps_and_does_none(world: &mut World) {
    world.service("orders");
    let state = || (world.rows(&["operations", "list"]), world.json(&["get", "orders"]), world.rows(&["list"]));
    let before = state();
    let plan = world.call(&["restart", "orders", "--dry-run"]).ok();
    assert!(["orders-0", "orders-1", "orders-2"].iter().all(|member| plan.contains(member)), "{plan}");
    let plan = world.call(&["delete", "orders", "--delete-volumes", "--dry-run"]).ok();
    assert!(plan.contains("volume") && plan.contains("orders-2"), "{plan}");
    let nine = ["create", "postgresql", "nine", "--replicas", "9", "--volume-size", "1", "--dry-run"];
    assert!(world.call(&nine).ok().contains("nine-8"));
    world.call(&["config", "set", "orders", "work_mem=9MB", "--dry-run"]).ok();
    world.call(&["stop", "orders", "--dry-run"]).ok();
    assert_eq!(state(), before);
}

pub(crate) fn the_member_program_is_small_static_reaps_and_restarts(world: &mut World) {
    world.service("orders");
    let container = world.container("orders-2");
    let inside = |command: &str| docker::docker(&["exec", &container, "sh", "-c", command]).expect("the command runs");
    assert_eq!(inside("readlink /proc/1/exe"), "/data/.openmanage/openmanage-member");
    let size: u64 = inside("stat -c %s /proc/1/exe -L").parse().expect("a size");
    assert!(size <= 5 << 20, "{size} bytes");
    assert_eq!(inside("grep -c -a ld-linux /proc/1/maps || true"), "0", "linked dynamically");
    // An orphan becomes the child of process 1, which must take it when it ends.
    inside("(sh -c 'sleep 0.2' &)");
    std::thread::sleep(std::time::Duration::from_secs(1));
    let zombies = inside("grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null || true");
    assert_eq!(zombies, "", "zombies");
    let inspected = docker::inspect(&container);
    let image =
        docker::docker(&["image", "inspect", inspected["Image"].as_str().expect("an image")]).expect("the image");
    assert!(!image.contains("openmanage-member"), "the image knows of us: {image}");
    assert_eq!(inspected["HostConfig"]["RestartPolicy"]["Name"], "unless-stopped", "it comes back after a reboot");
}
