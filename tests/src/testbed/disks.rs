//! Disks: one XFS on a loop device for all runs of this machine, and on it an ext4 image per host.
//!
//! A host's image is a reflink clone of one that was prepared once: a Docker data-root which holds the images. Cloning
//! takes milliseconds whatever its size. Images are named after what is in them, so a new image makes a new base.
//!
//! **Invariant:** the XFS lies under cargo's target folder and is mounted only while a run needs it.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::shell::{must, run};

/// The room that all disks together may grow to, and each of them; sparse.
const POOL_SIZE: &str = "60G";
const DISK_SIZE: &str = "12G";

/// The folder of everything that the test bed keeps.
pub(super) fn home() -> PathBuf {
    workspace().join("target/testbed")
}

/// The root of the workspace, which every host sees.
pub(super) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests lie below the workspace's root").to_owned()
}

/// Where the XFS is mounted.
pub(super) fn pool() -> PathBuf {
    home().join("pool")
}

/// Held while something is changed that all runs share.
fn lock() -> File {
    std::fs::create_dir_all(pool()).expect("the test bed's folder can be made");
    let lock = File::create(home().join("lock")).expect("the lock can be made");
    lock.lock().expect("the lock can be had");
    lock
}

/// Mounts the XFS if it is not, and makes the run's folder on it.
pub(super) fn hold(run_name: &str) {
    let _lock = lock();
    let (image, pool) = (home().join("pool.img"), pool());
    let (image, target) = (image.display().to_string(), pool.display().to_string());
    if crate::leftovers::mounts(&pool).is_empty() {
        let mount = || run(&["mount", "-o", "loop,discard,noatime", &image, &target]);
        if mount().is_err() {
            // Not there yet, or left in pieces by a machine that lost power.
            let _ = std::fs::remove_file(&image);
            must(&["truncate", "--size", POOL_SIZE, &image]);
            must(&["mkfs.xfs", "-q", "-m", "reflink=1", &image]);
            mount().unwrap_or_else(|error| panic!("{error}"));
        }
    }
    std::fs::create_dir_all(pool.join(run_name)).expect("the run's folder can be made");
}

/// Unmounts the XFS unless another run needs it.
pub(super) fn let_go() {
    let _lock = lock();
    let runs = std::fs::read_dir(pool()).into_iter().flatten().filter_map(Result::ok);
    if runs.filter(|entry| entry.path().is_dir()).count() == 0 {
        let _ = run(&["umount", &pool().display().to_string()]);
    }
}

/// The prepared disk with these images of the machine's Docker on it; `prepare` fills a new one if there is none.
///
/// # Panics
/// If Docker does not have one of the images.
pub(super) fn base(images: &[&str], prepare: impl FnOnce(&Path)) -> PathBuf {
    let _lock = lock();
    let ids = images.iter().map(|image| {
        let id = crate::docker::docker(&["image", "inspect", "--format", "{{.Id}}", image]);
        id.unwrap_or_else(|error| panic!("{error}: build it first (openmanage image build …)"))
    });
    let key: Vec<String> = ids.map(|id| id.trim_start_matches("sha256:").chars().take(12).collect()).collect();
    let base = pool().join(format!("base-{}.img", key.join("-")));
    if !base.exists() {
        let unfinished = base.with_extension("unfinished");
        let path = unfinished.display().to_string();
        let _ = std::fs::remove_file(&unfinished);
        must(&["truncate", "--size", DISK_SIZE, &path]);
        must(&["mkfs.ext4", "-q", "-E", "lazy_itable_init=0,nodiscard", &path]);
        prepare(&unfinished);
        std::fs::rename(&unfinished, &base).expect("the prepared disk can be renamed");
        must(&["sync", "--file-system", &pool().display().to_string()]);
        must(&["sync", &home().join("pool.img").display().to_string()]);
    }
    base
}

/// A host's own disk: a clone of a base.
pub(super) fn clone(base: &Path, run_name: &str, host: &str) -> PathBuf {
    let disk = pool().join(run_name).join(format!("{host}.img"));
    must(&["cp", "--reflink=always", &base.display().to_string(), &disk.display().to_string()]);
    disk
}

/// Loop devices on files below folders of this run.
pub(super) fn loop_devices_of(run_name: &str) -> Vec<String> {
    let listed = run(&["losetup", "--noheadings", "--list", "--output", "NAME,BACK-FILE"]).unwrap_or_default();
    let part = format!("/{run_name}/");
    let ours = listed.lines().filter(|line| line.contains(&part));
    ours.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}
