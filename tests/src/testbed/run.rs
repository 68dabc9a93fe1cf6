//! One run of the test bed: its name, its folder, and the end of everything that carries its name.
//!
//! **Invariant:** whatever a run makes is found by the run's name alone (network namespaces `<run>-…`, control groups
//! `<run>-…`, files below folders called `<run>`), so that the next run can end one that was killed.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use super::disks;
use super::network::namespaces_of;
use super::shell::run;

/// Beginning of every run's name; the process id of its test follows.
const PREFIX: &str = "tb";

/// A run. Dropped, it ends everything of it.
pub(super) struct Run {
    /// `tb<process id>` and, for the second and later of one process, `x<number>`.
    pub(super) name: String,
    /// Whether its logs stay.
    keep: AtomicBool,
}

impl Run {
    /// A new run, after ending those whose tests are gone.
    pub(super) fn begin() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        end_of_former_runs();
        let name = match COUNT.fetch_add(1, Ordering::Relaxed) {
            0 => format!("{PREFIX}{}", std::process::id()),
            n => format!("{PREFIX}{}x{n}", std::process::id()),
        };
        let run = Self { name, keep: AtomicBool::new(false) };
        std::fs::create_dir_all(run.logs()).expect("the run's folder can be made");
        run
    }

    /// Leaves its logs when it ends.
    pub(super) fn keep_logs(&self) {
        self.keep.store(true, Ordering::Relaxed);
    }

    /// Where its logs and mount points are.
    pub(super) fn folder(&self) -> PathBuf {
        disks::home().join(&self.name)
    }

    /// Where the programs in its hosts write to.
    pub(super) fn logs(&self) -> PathBuf {
        disks::home().join("logs").join(&self.name)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        end(&self.name);
        if !std::thread::panicking() && !self.keep.load(Ordering::Relaxed) {
            let _ = std::fs::remove_dir_all(self.logs());
        }
    }
}

/// Ends runs whose process is gone.
fn end_of_former_runs() {
    let entries = |folder: PathBuf| std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let folders = entries(disks::home()).chain(entries(disks::pool()));
    let mut names: Vec<String> = folders.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.extend(all_namespaces().iter().filter_map(|name| name.split('-').next().map(str::to_owned)));
    names.sort_unstable();
    names.dedup();
    for name in names {
        let Some(rest) = name.strip_prefix(PREFIX) else { continue };
        let id: String = rest.chars().take_while(char::is_ascii_digit).collect();
        if !id.is_empty() && !Path::new("/proc").join(&id).exists() {
            println!("ending {name}, a run of the test bed that was killed");
            end(&name);
        }
    }
}

fn all_namespaces() -> Vec<String> {
    let entries = std::fs::read_dir("/run/netns").into_iter().flatten().filter_map(Result::ok);
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// Everything of a run that is still there, in words.
pub(super) fn left_of(name: &str) -> Vec<String> {
    let mut found: Vec<String> = namespaces_of(name).iter().map(|space| format!("network namespace {space}")).collect();
    found.extend(processes_of(name).iter().map(|id| format!("process {id}")));
    found.extend(control_groups_of(name).iter().map(|path| format!("control group {}", path.display())));
    found.extend(disks::loop_devices_of(name).iter().map(|device| format!("loop device {device}")));
    let mounts = crate::leftovers::mounts(&disks::home().join(name));
    found.extend(mounts.iter().map(|path| format!("mount {}", path.display())));
    for folder in [disks::home().join(name), disks::pool().join(name)] {
        found.extend(folder.exists().then(|| format!("folder {}", folder.display())));
    }
    found
}

/// Ends everything of a run, in the order in which it lets go of one another.
pub(super) fn end(name: &str) {
    // A host's first process takes all of the host with it; a second look finds what was being started meanwhile.
    for _ in 0..50 {
        let processes = processes_of(name);
        if processes.is_empty() {
            break;
        }
        for id in processes {
            let _ = run(&["kill", "-9", &id]);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    for namespace in namespaces_of(name) {
        let _ = run(&["ip", "netns", "delete", &namespace]);
    }
    for mount in crate::leftovers::mounts(&disks::home().join(name)).iter().rev() {
        let _ = run(&["umount", &mount.display().to_string()]);
    }
    // Loop devices go with the last mount, a moment after it.
    for _ in 0..100 {
        if disks::loop_devices_of(name).is_empty() {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    for device in disks::loop_devices_of(name) {
        let _ = run(&["losetup", "--detach", &device]);
    }
    for group in control_groups_of(name) {
        let _ = run(&["find", &group.display().to_string(), "-depth", "-type", "d", "-exec", "rmdir", "{}", ";"]);
    }
    for folder in [disks::home().join(name), disks::pool().join(name)] {
        let _ = run(&["rm", "-rf", "--one-file-system", &folder.display().to_string()]);
    }
    disks::let_go();
}

/// Processes in the run's network namespaces: the first one of every host, and what was started inside.
fn processes_of(name: &str) -> Vec<String> {
    let mut found = Vec::new();
    for namespace in namespaces_of(name) {
        let listed = run(&["ip", "netns", "pids", &namespace]).unwrap_or_default();
        found.extend(listed.lines().map(str::to_owned));
    }
    found
}

/// Control groups, in every hierarchy, that dockerd made for the run's hosts.
fn control_groups_of(name: &str) -> Vec<PathBuf> {
    let below = |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let root = Path::new("/sys/fs/cgroup");
    let hierarchies = below(root).map(|entry| entry.path()).chain([root.to_owned()]);
    let groups = hierarchies.flat_map(|folder| below(&folder).map(|entry| entry.path()).collect::<Vec<_>>());
    let prefix = format!("{name}-");
    groups.filter(|path| path.file_name().is_some_and(|own| own.to_string_lossy().starts_with(&prefix))).collect()
}
