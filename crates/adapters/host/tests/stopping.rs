//! Stopping the holders of a file system from outside, as root, with real containers' worth of processes.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]
#![allow(clippy::disallowed_methods, reason = "an adapter's own tests: real time passes")]

mod scratch;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use om_backend::{Host, Source};
use om_host::SystemHost;

use scratch::{ALONE, Holder, Scratch};

const SHORT: Duration = Duration::from_millis(200);
const LONG: Duration = Duration::from_secs(10);

/// A control group that can be frozen, as `docker pause` does; of the first version where that is mounted.
struct Freezer {
    parent: PathBuf,
    folder: PathBuf,
    first_version: bool,
}

impl Freezer {
    fn new() -> Self {
        let root = Path::new("/sys/fs/cgroup");
        let first_version = root.join("freezer/cgroup.procs").exists();
        let parent = if first_version { root.join("freezer") } else { root.to_owned() };
        let folder = parent.join(format!("openmanage-test-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        Self { parent, folder, first_version }
    }

    fn set(&self, frozen: bool) {
        let (file, content, told, wanted) = match (self.first_version, frozen) {
            (true, true) => ("freezer.state", "FROZEN", "freezer.state", "FROZEN"),
            (true, false) => ("freezer.state", "THAWED", "freezer.state", "THAWED"),
            (false, true) => ("cgroup.freeze", "1", "cgroup.events", "frozen 1"),
            (false, false) => ("cgroup.freeze", "0", "cgroup.events", "frozen 0"),
        };
        fs::write(self.folder.join(file), content).unwrap();
        wait(|| fs::read_to_string(self.folder.join(told)).unwrap().contains(wanted), "its freezing is done");
    }
}

impl Drop for Freezer {
    fn drop(&mut self) {
        self.set(false);
        // Those inside fork meanwhile.
        for _ in 0..1000 {
            for pid in fs::read_to_string(self.folder.join("cgroup.procs")).unwrap_or_default().lines() {
                let _ = fs::write(self.parent.join("cgroup.procs"), pid);
            }
            if fs::remove_dir(&self.folder).is_ok() {
                break;
            }
        }
    }
}

fn wait(check: impl Fn() -> bool, what: &str) {
    let since = Instant::now();
    while !check() {
        assert!(since.elapsed() < LONG, "waited for: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// How far two counters in a container have come: one that runs, and one that forks all the time.
fn counts(folder: &Path) -> [u64; 2] {
    ["runs", "forks"].map(|name| fs::metadata(folder.join(name)).map_or(0, |file| file.len()))
}

/// A container in that control group, with counters; its PID 1 continues everybody each time it is told to.
fn container(freezer: &Freezer, folder: &Path) -> Holder {
    let script = "echo 0 >GROUP/cgroup.procs; cd FOLDER; mkfifo go
        (n=0; while :; do n=$((n+1)); echo $n >>runs; done) &
        setsid sh -c 'while :; do (echo x >>forks) & wait; done' &
        echo ready; while :; do read go <go; kill -CONT -1; done";
    let script =
        script.replace("GROUP", &freezer.folder.display().to_string()).replace("FOLDER", &folder.display().to_string());
    Holder::new(&["-p", "-f", "--mount-proc", "--kill-child=KILL"], &script)
}

fn grow(folder: &Path) {
    let before = counts(folder);
    wait(|| counts(folder).iter().zip(before).all(|(now, before)| *now > before), "everybody to go on");
}

fn is_stopped(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).unwrap().contains(") T ")
}

async fn mounted(scratch: &Scratch, host: &SystemHost) -> (PathBuf, (u32, u32)) {
    let target = scratch.path().join("m");
    let image = Source::Image { path: scratch.image(64 << 20), format: true, direct: false };
    host.mount(&image, &target).await.unwrap();
    let device = host.mounts(&target).await.unwrap()[0].device;
    (target, device)
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_a_pause_froze_runs_not_an_instruction_when_it_is_resumed_until_pid_1_says_so() {
    let _alone = ALONE.lock().await;
    let (scratch, host) = (Scratch::new(), SystemHost::detect().unwrap());
    let mut bystander = Holder::new(&["-p", "-f", "--kill-child=KILL"], "echo ready; sleep 60; :");
    let (target, device) = mounted(&scratch, &host).await;
    let folder = scratch.path();
    let freezer = Freezer::new();
    let holding = container(&freezer, &folder);
    // It has the volume, but is in our PID namespace: nobody would continue it.
    let ours = Holder::new(&[], "echo ready; exec sleep 60");
    for _ in 0..10 {
        grow(&folder);
        freezer.set(true);
        let paused = counts(&folder);
        host.stop_holders(device).await.unwrap();
        host.stop_holders(device).await.expect("again is no matter");
        freezer.set(false);
        std::thread::sleep(SHORT);
        assert_eq!(counts(&folder), paused, "somebody ran when it was resumed");
        assert!(!is_stopped(ours.0.id()));
        fs::write(folder.join("go"), "\n").unwrap();
        grow(&folder);
    }
    assert!(!bystander.ended());
    let inside = fs::read_to_string(format!("/proc/{0}/task/{0}/children", bystander.0.id())).unwrap();
    let all = |pid: &str| fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    let shell = inside.trim().to_owned();
    for pid in [shell.as_str(), all(&shell).trim()] {
        assert!(!is_stopped(pid.parse().unwrap()), "it does not have the volume");
    }
    drop((freezer, holding, ours));
    host.kill_holders(device).await.unwrap();
    host.unmount(&target).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn running_holders_are_stopped_too() {
    let _alone = ALONE.lock().await;
    let (scratch, host) = (Scratch::new(), SystemHost::detect().unwrap());
    let (target, device) = mounted(&scratch, &host).await;
    let folder = scratch.path();
    let freezer = Freezer::new();
    let holding = container(&freezer, &folder);
    for _ in 0..10 {
        grow(&folder);
        let since = Instant::now();
        loop {
            host.stop_holders(device).await.unwrap();
            let before = counts(&folder);
            std::thread::sleep(SHORT);
            if counts(&folder) == before {
                break;
            }
            assert!(since.elapsed() < LONG, "somebody goes on");
        }
        fs::write(folder.join("go"), "\n").unwrap();
    }
    drop((freezer, holding));
    host.kill_holders(device).await.unwrap();
    host.unmount(&target).await.unwrap();
}
