//! The harness can tell a clean end from an unclean one: what is planted is found, and removed.

#![allow(clippy::disallowed_methods, reason = "tests run in real time, outside every port")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use om_tests::{docker, leftovers};

fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).stdout(Stdio::null()).status().expect("the program can be run");
    assert!(status.success(), "{program} {arguments:?}");
}

/// What a run that died would leave: a network, a process, a mount, a loop device and files.
fn plant(cluster: &str) -> (PathBuf, Child) {
    let state = Path::new("/var/tmp").join(cluster);
    let (tmpfs, image) = (state.join("tmpfs"), state.join("image"));
    std::fs::create_dir_all(&tmpfs).expect("the folder can be made");
    let words = [tmpfs.display().to_string(), image.display().to_string()];
    run("mount", &["-t", "tmpfs", "-o", "size=1m", "leftover", &words[0]]);
    std::fs::File::create(&image).and_then(|file| file.set_len(1 << 20)).expect("the image can be made");
    run("losetup", &["--find", &words[1]]);
    docker::docker(&["network", "create", "--label", &leftovers::label(cluster), cluster]).expect("a network");
    let process = Command::new("tail").args(["-f", &words[1]]).stdout(Stdio::null()).spawn().expect("a process");
    (state, process)
}

#[test]
fn what_is_left_is_found_and_removed() {
    let cluster = format!("leftover-{}", std::process::id());
    let (state, mut process) = plant(&cluster);
    let found = leftovers::find(&cluster, &state);
    leftovers::remove(&cluster, &state);
    process.wait().expect("the process was ended");
    for kind in ["network", "process", "mount", "loop device"] {
        assert!(found.iter().any(|thing| thing.starts_with(kind)), "no {kind} among {found:#?}");
    }
    assert_eq!(leftovers::find(&cluster, &state), Vec::<String>::new());
    assert!(!state.exists(), "{} is still there", state.display());
}

#[test]
fn a_stranger_has_nothing_to_find() {
    assert_eq!(leftovers::find("no-such-cluster", Path::new("/var/tmp/no-such-cluster")), Vec::<String>::new());
}
