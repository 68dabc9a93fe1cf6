//! What the tests of the real host share: a directory, images in it, and processes that keep mounts.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]
#![allow(dead_code, reason = "each test program uses some of it")]

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A temporary directory that unmounts whatever a failed test left in it.
pub(crate) struct Scratch(tempfile::TempDir);

impl Scratch {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().canonicalize().unwrap()
    }

    pub(crate) fn image(&self, size: u64) -> PathBuf {
        let path = self.path().join("volume.img");
        std::fs::File::create(&path).unwrap().set_len(size).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let below = |line: &&str| line.contains(&format!(" {}/", self.path().display()));
        for line in mounts.lines().rev().filter(below) {
            let target = line.split(' ').nth(4).unwrap_or_default().replace("\\040", " ");
            let _ = Command::new("umount").arg(target).status();
        }
    }
}

/// [`hold`] keeps all mounts of the machine, those of a test beside it too: one at a time.
pub(crate) static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// A process that keeps every mount there is now, in a mount namespace of its own. Killed when dropped.
pub(crate) struct Holder(pub(crate) Child);

impl Holder {
    /// Runs `script` once it says `echo ready`, with these namespaces of its own beside.
    pub(crate) fn new(namespaces: &[&str], script: &str) -> Self {
        let mut child = Command::new("unshare")
            .args(["-m", "--propagation", "private"])
            .args(namespaces)
            .args(["sh", "-c", script])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = [0; 6];
        child.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
        Self(child)
    }

    /// True once it has ended.
    pub(crate) fn ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// For the conformance suite: holds every mount until the returned function is called.
pub(crate) fn hold(_: &Path) -> Box<dyn FnOnce() + Send> {
    let holder = Holder::new(&[], "echo ready; exec sleep 60");
    Box::new(move || drop(holder))
}
