//! The operations of one host on the shared storage, as they are once they got through the gate.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Instant, SystemTime};

use rustix::fs::{AtFlags, FallocateFlags, Gid, Mode, OFlags, RenameFlags, Uid};

use super::Kind;
use super::cache::{Dirty, read_what_is_there};
use super::gate::Gate;
use super::nodes::{Nodes, path_of};
use super::record::{Object, Records, Target, Writer};

/// One host's view of the storage.
pub(super) struct Files {
    pub(super) gate: Gate,
    pub(super) nodes: Nodes,
    host: String,
    kind: Kind,
    root: PathBuf,
    records: Arc<Records>,
    /// By inode: a file's inode number is not used again while blocks of it are kept, since they keep it open.
    cache: Mutex<BTreeMap<u64, Dirty>>,
    open: Mutex<BTreeMap<u64, Arc<Open>>>,
    listed: Mutex<BTreeMap<u64, Vec<Entry>>>,
}

/// An open file.
pub(super) struct Open {
    pub(super) file: File,
    object: Arc<Object>,
    writer: Arc<Writer>,
    /// Whether it may write.
    write: bool,
}

/// A name in a directory.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) number: u64,
    pub(super) kind: std::fs::FileType,
    pub(super) name: OsString,
}

impl Open {
    /// Where its writes go.
    pub(super) fn target(&self) -> Target<'_> {
        Target { file: &self.file, object: &self.object, writer: &self.writer }
    }
}

/// Tells openings and listings of all hosts apart.
fn next_number() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}

fn gone() -> io::Error {
    rustix::io::Errno::BADF.into()
}

impl Files {
    pub(super) fn new(host: &str, kind: Kind, root: &Path, records: Arc<Records>) -> io::Result<Self> {
        Ok(Self {
            gate: Gate::new(),
            nodes: Nodes::new(root)?,
            host: host.to_owned(),
            kind,
            root: root.to_owned(),
            records,
            cache: Mutex::default(),
            open: Mutex::default(),
            listed: Mutex::default(),
        })
    }

    /// Forgets what was not flushed.
    pub(super) fn forget(&self) {
        self.cached().clear();
    }

    fn cached(&self) -> MutexGuard<'_, BTreeMap<u64, Dirty>> {
        self.cache.lock().expect("no panic while held")
    }

    /// An open file by its handle.
    pub(super) fn opened(&self, handle: u64) -> io::Result<Arc<Open>> {
        self.open.lock().expect("no panic while held").get(&handle).cloned().ok_or_else(gone)
    }

    // Names.

    pub(super) fn find(&self, parent: u64, name: &OsStr) -> io::Result<(Metadata, u64)> {
        let metadata = self.nodes.find(parent, name)?;
        let size = self.size(&metadata);
        Ok((metadata, size))
    }

    pub(super) fn look_at(&self, number: u64) -> io::Result<(Metadata, u64)> {
        let metadata = self.nodes.get(number)?.metadata()?;
        let size = self.size(&metadata);
        Ok((metadata, size))
    }

    /// How long this host sees the file.
    fn size(&self, metadata: &Metadata) -> u64 {
        let end = self.cached().get(&metadata.ino()).map_or(0, |dirty| dirty.end);
        if metadata.is_file() { end.max(metadata.len()) } else { metadata.len() }
    }

    pub(super) fn make_folder(
        &self,
        parent: u64,
        name: &OsStr,
        mode: u32,
        owner: (u32, u32),
    ) -> io::Result<(Metadata, u64)> {
        let folder = self.nodes.get(parent)?;
        rustix::fs::mkdirat(&*folder, name, Mode::from_raw_mode(mode))?;
        let (user, group) = (Uid::from_raw(owner.0), Gid::from_raw(owner.1));
        rustix::fs::chownat(&*folder, name, Some(user), Some(group), AtFlags::SYMLINK_NOFOLLOW)?;
        self.find(parent, name)
    }

    pub(super) fn remove(&self, parent: u64, name: &OsStr, flags: AtFlags) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&*self.nodes.get(parent)?, name, flags)?)
    }

    pub(super) fn rename(&self, from: (u64, &OsStr), to: (u64, &OsStr), flags: u32) -> io::Result<()> {
        let (old, new) = (self.nodes.get(from.0)?, self.nodes.get(to.0)?);
        Ok(rustix::fs::renameat_with(&*old, from.1, &*new, to.1, RenameFlags::from_bits_retain(flags))?)
    }

    pub(super) fn link(&self, number: u64, parent: u64, name: &OsStr) -> io::Result<(Metadata, u64)> {
        let path = path_of(&*self.nodes.get(number)?);
        let folder = self.nodes.get(parent)?;
        rustix::fs::linkat(rustix::fs::CWD, path, &*folder, name, AtFlags::SYMLINK_FOLLOW)?;
        self.find(parent, name)
    }

    pub(super) fn list(&self, number: u64) -> io::Result<u64> {
        let entries = std::fs::read_dir(path_of(&*self.nodes.get(number)?))?;
        let entry = |entry: std::fs::DirEntry| {
            Ok(Entry { number: entry.metadata()?.ino(), kind: entry.file_type()?, name: entry.file_name() })
        };
        // What is removed while it is listed is not there.
        let entries = entries.filter_map(|found| found.and_then(entry).ok()).collect();
        let handle = next_number();
        self.listed.lock().expect("no panic while held").insert(handle, entries);
        Ok(handle)
    }

    pub(super) fn listed(&self, handle: u64) -> io::Result<Vec<Entry>> {
        self.listed.lock().expect("no panic while held").get(&handle).cloned().ok_or_else(gone)
    }

    pub(super) fn close_folder(&self, handle: u64) {
        self.listed.lock().expect("no panic while held").remove(&handle);
    }

    // Opening and closing.

    pub(super) fn open(&self, number: u64, flags: i32, process: u32) -> io::Result<u64> {
        let path = path_of(&*self.nodes.get(number)?);
        let flags = OFlags::from_bits_retain(flags.unsigned_abs());
        let write = flags.intersects(OFlags::WRONLY | OFlags::RDWR);
        // What is written in part is read first.
        let file = File::options().read(true).write(write).open(path)?;
        let metadata = file.metadata()?;
        let born = metadata.created().unwrap_or(SystemTime::UNIX_EPOCH);
        let name = std::fs::read_link(path_of(&file))?;
        let name = name.strip_prefix(&self.root).map(Path::to_owned).unwrap_or(name.clone());
        let object = Arc::new(Object { identity: (metadata.ino(), born), path: name });
        let opening = next_number();
        let line = std::fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
        let process = String::from_utf8_lossy(&line).trim_end_matches('\0').replace('\0', " ");
        let writer = Arc::new(Writer { host: self.host.clone(), opening, opened: Instant::now(), process });
        let open = Arc::new(Open { file, object, writer, write });
        self.open.lock().expect("no panic while held").insert(opening, open);
        Ok(opening)
    }

    pub(super) fn create(
        &self,
        parent: u64,
        name: &OsStr,
        mode: u32,
        flags: i32,
        process: u32,
        owner: (u32, u32),
    ) -> io::Result<(Metadata, u64)> {
        let asked = OFlags::from_bits_retain(flags.unsigned_abs());
        let how = OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDWR | (asked & OFlags::EXCL);
        let made = rustix::fs::openat(&*self.nodes.get(parent)?, name, how, Mode::from_raw_mode(mode))?;
        let made = File::from(made);
        // The kernel asks for this only where it found nothing.
        std::os::unix::fs::fchown(&made, Some(owner.0), Some(owner.1))?;
        if asked.contains(OFlags::TRUNC) {
            made.set_len(0)?;
        }
        let metadata = self.nodes.find(parent, name)?;
        let handle = self.open(metadata.ino(), flags, process)?;
        Ok((metadata, handle))
    }

    pub(super) fn close(&self, handle: u64) {
        self.open.lock().expect("no panic while held").remove(&handle);
    }

    // Content.

    pub(super) fn read(&self, handle: u64, offset: u64, size: u32) -> io::Result<Vec<u8>> {
        let open = self.opened(handle)?;
        let cache = self.cached();
        let dirty = cache.get(&open.object.identity.0);
        let mut buffer = vec![0; size as usize];
        let read = read_what_is_there(&open.file, offset, &mut buffer)?;
        let end = dirty.map_or(0, |dirty| dirty.end).saturating_sub(offset);
        buffer.truncate(read.max(usize::try_from(end).unwrap_or(usize::MAX).min(buffer.len())));
        if let Some(dirty) = dirty {
            dirty.overlay(offset, &mut buffer);
        }
        Ok(buffer)
    }

    pub(super) fn write(&self, open: &Arc<Open>, offset: u64, data: &[u8], flags: i32) -> io::Result<()> {
        if self.kind == Kind::Direct {
            return self.records.write(&open.target(), offset, data);
        }
        self.cached().entry(open.object.identity.0).or_default().write(open, offset, data)?;
        // O_SYNC contains O_DSYNC.
        if OFlags::from_bits_retain(flags.unsigned_abs()).contains(OFlags::DSYNC) {
            self.flush_object(open.object.identity.0)?;
        }
        Ok(())
    }

    pub(super) fn flush(&self, handle: u64) -> io::Result<()> {
        self.flush_object(self.opened(handle)?.object.identity.0)
    }

    /// What the closing of a file does: who only read flushes nothing.
    pub(super) fn flush_at_close(&self, handle: u64) -> io::Result<()> {
        if self.opened(handle)?.write { self.flush(handle) } else { Ok(()) }
    }

    fn flush_object(&self, number: u64) -> io::Result<()> {
        // Held until all is written: a read meanwhile would find the blocks in neither place.
        let mut cache = self.cached();
        cache.remove(&number).map_or(Ok(()), |dirty| dirty.flush(&self.records))
    }

    pub(super) fn resize(&self, number: u64, handle: Option<u64>, size: u64) -> io::Result<()> {
        let node = self.nodes.get(number)?;
        self.flush_object(node.metadata()?.ino())?;
        match handle.and_then(|handle| self.opened(handle).ok()) {
            Some(open) => self.records.change(&open.target(), size, 0, || open.file.set_len(size)),
            None => File::options().write(true).open(path_of(&node))?.set_len(size),
        }
    }

    pub(super) fn change_mode(&self, number: u64, mode: u32) -> io::Result<()> {
        Ok(rustix::fs::chmod(path_of(&*self.nodes.get(number)?), Mode::from_raw_mode(mode))?)
    }

    pub(super) fn change_owner(&self, number: u64, user: Option<u32>, group: Option<u32>) -> io::Result<()> {
        std::os::unix::fs::chown(path_of(&*self.nodes.get(number)?), user, group)
    }

    pub(super) fn allocate(&self, handle: u64, offset: u64, length: u64, mode: i32) -> io::Result<()> {
        let open = self.opened(handle)?;
        self.flush_object(open.object.identity.0)?;
        let mode = FallocateFlags::from_bits_retain(mode.unsigned_abs());
        let allocate = || Ok(rustix::fs::fallocate(&open.file, mode, offset, length)?);
        self.records.change(&open.target(), offset, length, allocate)
    }

    /// Copies what reached the backing, by reference; a whole file onto an empty one at once.
    pub(super) fn copy(&self, from: (u64, u64), to: (u64, u64), length: u64) -> io::Result<u32> {
        let (source, target) = (self.opened(from.0)?, self.opened(to.0)?);
        self.flush_object(source.object.identity.0)?;
        self.flush_object(target.object.identity.0)?;
        let length = length.min(u64::from(u32::MAX) & !0xfff);
        let size = source.file.metadata()?.len();
        let whole = from.1 == 0 && to.1 == 0 && length >= size && target.file.metadata()?.len() <= size;
        self.records.change(&target.target(), to.1, length.min(size), || {
            if whole {
                rustix::fs::ioctl_ficlone(&target.file, &source.file)?;
                return Ok(u32::try_from(size).unwrap_or(u32::MAX));
            }
            let (mut at, mut onto) = (from.1, to.1);
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            let copied =
                rustix::fs::copy_file_range(&source.file, Some(&mut at), &target.file, Some(&mut onto), length)?;
            Ok(u32::try_from(copied).unwrap_or(u32::MAX))
        })
    }

    pub(super) fn room(&self) -> io::Result<rustix::fs::StatVfs> {
        Ok(rustix::fs::statvfs(&self.root)?)
    }
}
