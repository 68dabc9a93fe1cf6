//! Inodes that the kernel knows of a host's storage: each one a handle on the file itself, so that no name can go stale.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use fuser::{FileAttr, FileType, INodeNo};
use rustix::fs::{CWD, Mode, OFlags, openat};

/// A handle that reads and writes nothing, on a file or directory or link.
const HANDLE: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

pub(super) struct Nodes {
    table: Mutex<BTreeMap<u64, Node>>,
}

struct Node {
    handle: Arc<File>,
    lookups: u64,
}

impl Nodes {
    pub(super) fn new(root: &Path) -> io::Result<Self> {
        let handle = Arc::new(File::from(openat(CWD, root, HANDLE, Mode::empty())?));
        let root = Node { handle, lookups: 1 };
        Ok(Self { table: Mutex::new([(INodeNo::ROOT.0, root)].into()) })
    }

    /// The handle of an inode that the kernel was told of.
    pub(super) fn get(&self, number: u64) -> io::Result<Arc<File>> {
        let table = self.table.lock().expect("no panic while held");
        table.get(&number).map(|node| Arc::clone(&node.handle)).ok_or_else(|| rustix::io::Errno::STALE.into())
    }

    /// What is called `name` in a directory; the kernel is told of it and will say when it has forgotten it.
    pub(super) fn find(&self, parent: u64, name: &OsStr) -> io::Result<Metadata> {
        let parent = self.get(parent)?;
        let handle: OwnedFd = openat(&*parent, name, HANDLE, Mode::empty())?;
        let handle = File::from(handle);
        let metadata = handle.metadata()?;
        let mut table = self.table.lock().expect("no panic while held");
        let new = || Node { handle: Arc::new(handle), lookups: 0 };
        table.entry(metadata.ino()).or_insert_with(new).lookups += 1;
        Ok(metadata)
    }

    /// The kernel has forgotten an inode so many times.
    pub(super) fn forget(&self, number: u64, times: u64) {
        let mut table = self.table.lock().expect("no panic while held");
        if let Some(node) = table.get_mut(&number).filter(|_| number != INodeNo::ROOT.0) {
            node.lookups = node.lookups.saturating_sub(times);
            if node.lookups == 0 {
                table.remove(&number);
            }
        }
    }
}

/// A path by which this process reaches the file behind a handle.
pub(super) fn path_of(handle: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", handle.as_raw_fd()))
}

/// Attributes for the kernel, which keeps none of them.
pub(super) fn attributes(metadata: &Metadata) -> FileAttr {
    let time = |seconds: i64, nanos: i64| {
        SystemTime::UNIX_EPOCH + Duration::new(seconds.unsigned_abs(), u32::try_from(nanos).unwrap_or(0))
    };
    FileAttr {
        ino: INodeNo(metadata.ino()),
        size: metadata.len(),
        blocks: metadata.blocks(),
        atime: time(metadata.atime(), metadata.atime_nsec()),
        mtime: time(metadata.mtime(), metadata.mtime_nsec()),
        ctime: time(metadata.ctime(), metadata.ctime_nsec()),
        crtime: SystemTime::UNIX_EPOCH,
        kind: FileType::from_std(metadata.file_type()).unwrap_or(FileType::RegularFile),
        perm: u16::try_from(metadata.mode() & 0o7777).unwrap_or(0o600),
        nlink: u32::try_from(metadata.nlink()).unwrap_or(1),
        uid: metadata.uid(),
        gid: metadata.gid(),
        rdev: 0,
        blksize: 4096,
        flags: 0,
    }
}
