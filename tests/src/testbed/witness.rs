//! The storage that the hosts share, and what it saw.
//!
//! Each host sees one directory of the machine, the *backing*, through a user-space file system (FUSE) of its own, served
//! by threads of its own outside the host. It models a disk with a volatile cache: a write is acknowledged once it is in
//! the host's cache, the host reads it back from there, and it reaches the backing, and with it the other hosts, at
//! `fsync`, at a write that asks for it (`O_SYNC`, `O_DSYNC`) and at the `close` of a file open for writing. Names, sizes and clones change at once.
//! A `copy_file_range` over a whole file is an atomic reflink clone of what reached the backing.
//!
//! A test can cut a host off (every operation hangs until it is healed), hold its writes back (the same, but at power-off
//! they stay on their way until they are released) and take its power away (the cache is forgotten).
//!
//! Main pieces: [`Witness`], one for all hosts; [`Storage`], what one life of a host is attached to; `gate` (cut, hold,
//! heal), `cache`, `files` (the operations), `nodes` (inodes), `protocol` (FUSE), [`Record`] (who wrote what when).
//!
//! **Invariant:** a write reaches the backing and is recorded under one lock, so the order of records is the order of
//! writes; once [`Storage::power_off`] has returned, nothing of that life reaches the backing but what was held.

mod cache;
mod files;
mod gate;
mod nodes;
mod protocol;
mod record;

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

pub use record::{Object, Record, Writer};

use super::host::POOL;
use files::Files;
use gate::Late;
use record::Records;

/// What a host sees of the shared storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing.
    None,
    /// All of it, behind a volatile cache.
    Cached,
    /// All of it; every write reaches the backing before it is acknowledged.
    Direct,
}

/// The shared storage and all that was written to it.
pub struct Witness {
    backing: PathBuf,
    records: Arc<Records>,
    /// Writes of dead hosts that are still on their way.
    late: Mutex<BTreeMap<String, Vec<Late>>>,
}

impl Witness {
    pub(super) fn new(backing: &Path) -> Self {
        Self { backing: backing.to_owned(), records: Arc::new(Records::new()), late: Mutex::default() }
    }

    /// The directory that everything ends up in.
    pub fn backing(&self) -> &Path {
        &self.backing
    }

    /// Mounts the storage in a host whose first process is `pid`, and serves it until the mount is gone.
    ///
    /// # Panics
    /// If it cannot be mounted.
    pub(super) fn attach(self: &Arc<Self>, host: &str, kind: Kind, pid: u32) -> Option<Storage> {
        if kind == Kind::None {
            return None;
        }
        let device = File::options().read(true).write(true).open("/dev/fuse").expect("the kernel has FUSE");
        let mut command = Command::new("nsenter");
        command.args(["-t", &pid.to_string(), "-m", "mount", "-i", "-t", "fuse"]);
        command.args(["-o", "fd=0,rootmode=40000,user_id=0,group_id=0,allow_other", "witness", POOL]);
        command.stdin(Stdio::from(device.try_clone().expect("a second handle")));
        let status = command.status().expect("mount can be run");
        assert!(status.success(), "the storage cannot be mounted in {host}: {status}");
        let files = Files::new(host, kind, &self.backing, Arc::clone(&self.records));
        let files = Arc::new(files.unwrap_or_else(|error| panic!("{}: {error}", self.backing.display())));
        protocol::serve(&files, OwnedFd::from(device));
        Some(Storage { host: host.to_owned(), files, witness: Arc::clone(self) })
    }

    /// Performs the writes of a dead host that were held back. Yields how many.
    pub(super) fn release(&self, host: &str) -> usize {
        let late = self.late.lock().expect("no panic while held").remove(host).unwrap_or_default();
        for write in &late {
            // A file may be gone by now; its blocks are nobody's then.
            let _ = self.records.write(&write.open.target(), write.offset, &write.data);
        }
        late.len()
    }

    /// All writes so far, in the order in which they reached the backing.
    pub fn records(&self) -> Vec<Record> {
        self.records.all()
    }

    /// Every sign of two hosts that wrote to one object at a time, in words; empty if there is none.
    ///
    /// A host is the writer of an object from its opening for writing to the last write through that opening. Another
    /// host's write in between is an overlap.
    pub fn overlaps(&self) -> Vec<String> {
        record::overlaps(&self.records.all())
    }

    /// The same for what processes of the storage host wrote. `epoch` tells, by the command line of the process that
    /// opened the file, which volume it serves and for which epoch. A write for a lower epoch after one for a higher is an
    /// overlap.
    pub fn epoch_overlaps(&self, epoch: impl Fn(&str) -> Option<(String, u64)>) -> Vec<String> {
        record::epoch_overlaps(&self.records.all(), epoch)
    }

    /// Writes all records to a file, one a line: microseconds, host, opening, path, offset, length, process.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_log(&self, path: &Path) -> std::io::Result<()> {
        self.records.write_log(path)
    }
}

/// The storage as one life of a host sees it.
pub(super) struct Storage {
    host: String,
    files: Arc<Files>,
    witness: Arc<Witness>,
}

impl Storage {
    pub(super) fn cut(&self) {
        self.files.gate.shut(false);
    }

    pub(super) fn hold(&self) {
        self.files.gate.shut(true);
    }

    pub(super) fn heal(&self) {
        self.files.gate.open();
    }

    /// Forgets the cache and whatever hangs, but for writes that are held; all else fails from now on.
    pub(super) fn power_off(&self) {
        let late = self.files.gate.power_off();
        self.files.forget();
        self.witness.late.lock().expect("no panic while held").entry(self.host.clone()).or_default().extend(late);
    }
}
