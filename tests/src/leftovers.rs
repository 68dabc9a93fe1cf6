//! What must not remain after a run: found, and removed, from outside, whatever our own code believes.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::docker;

/// The label on everything that Docker holds of a cluster.
pub fn label(cluster: &str) -> String {
    format!("com.openmanage.cluster={cluster}")
}

/// Everything of a cluster that is still there, in words; empty if nothing is.
///
/// Docker is not asked for volumes: it would ask our plugin, and wait 15 s for it once that is gone. What the plugin
/// answers is what is mounted, and that the kernel tells.
pub fn find(cluster: &str, state: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut add = |kind: &str, names: Vec<String>| found.extend(names.iter().map(|name| format!("{kind} {name}")));
    add("container", docker::containers(&label(cluster)));
    add("network", docker::networks(&label(cluster)));
    add("mount", mounts(state).iter().map(|path| path.display().to_string()).collect());
    add("loop device", loop_devices(state));
    add("process", processes(state));
    add("plugin socket", plugin_sockets(cluster).iter().map(|path| path.display().to_string()).collect());
    found
}

/// Removes everything of a cluster, in the order in which it lets go of one another.
pub fn remove(cluster: &str, state: &Path) {
    for process in processes(state) {
        let id = process.split(' ').next().unwrap_or_default();
        let _ = Command::new("kill").args(["-9", id]).status();
    }
    for container in docker::containers(&label(cluster)) {
        let _ = docker::docker(&["rm", "--force", &container]);
    }
    for network in docker::networks(&label(cluster)) {
        let _ = docker::docker(&["network", "rm", &network]);
    }
    for mount in mounts(state).iter().rev() {
        let _ = Command::new("umount").arg(mount).status();
    }
    for device in loop_devices(state) {
        let _ = Command::new("losetup").args(["--detach", &device]).status();
    }
    for socket in plugin_sockets(cluster) {
        let _ = std::fs::remove_file(socket);
    }
    // Never across a mount that would not go.
    let _ = Command::new("rm").args(["-rf", "--one-file-system"]).arg(state).status();
}

/// Mounts at or below `folder`, parents first.
pub fn mounts(folder: &Path) -> Vec<PathBuf> {
    let table = std::fs::read_to_string("/proc/self/mountinfo").expect("the kernel lists its mounts");
    let target = |line: &str| line.split(' ').nth(4).map(|path| PathBuf::from(path.replace("\\040", " ")));
    table.lines().filter_map(target).filter(|path| path.starts_with(folder)).collect()
}

fn loop_devices(folder: &Path) -> Vec<String> {
    let blocks = std::fs::read_dir("/sys/block").expect("the kernel lists its devices");
    let backed = blocks.filter_map(Result::ok).filter(|block| {
        let file = std::fs::read_to_string(block.path().join("loop/backing_file")).unwrap_or_default();
        Path::new(file.trim()).starts_with(folder)
    });
    backed.map(|block| format!("/dev/{}", block.file_name().to_string_lossy())).collect()
}

/// Processes whose command line names `folder` or that work in it, but this one.
fn processes(folder: &Path) -> Vec<String> {
    let folder = folder.display().to_string();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("the kernel lists its processes").filter_map(Result::ok) {
        let id = entry.file_name().to_string_lossy().into_owned();
        if !id.bytes().all(|b| b.is_ascii_digit()) || id == std::process::id().to_string() {
            continue;
        }
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(&folder) {
            found.push(format!("{id} {line}"));
        }
    }
    found
}

fn plugin_sockets(cluster: &str) -> Vec<PathBuf> {
    let folder = std::fs::read_dir("/run/docker/plugins").into_iter().flatten().filter_map(Result::ok);
    folder.map(|entry| entry.path()).filter(|path| path.display().to_string().contains(cluster)).collect()
}

/// Containers, mounts and files of one service, by its uuid, that are still there; empty if nothing is.
pub fn of_service(id: &str, state: &Path) -> Vec<String> {
    let containers = docker::containers(&format!("com.openmanage.service={id}"));
    let mut paths = mounts(state);
    for folder in ["volumes", "mnt"] {
        let entries = std::fs::read_dir(state.join(folder)).into_iter().flatten().filter_map(Result::ok);
        paths.extend(entries.map(|entry| entry.path()));
    }
    let paths = paths.into_iter().map(|path| path.display().to_string()).filter(|path| path.contains(id));
    containers.into_iter().chain(paths).collect()
}

/// Clears away what runs left behind that were killed before they could: their process is gone, their cluster is not.
pub fn of_former_runs(folder: &Path, prefix: &str) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(rest) = name.strip_prefix(prefix) else { continue };
        let id: String = rest.chars().take_while(char::is_ascii_digit).collect();
        if !Path::new("/proc").join(&id).exists() {
            println!("clearing away {}, left by a run that was killed", entry.path().display());
            remove(&name, &entry.path());
        }
    }
}
