//! FUSE: what the kernel asks for a host, handed through the gate to [`Files`].
//!
//! The kernel caches nothing (no attributes, no names, no pages), so what one host does is seen by the next look of
//! another. An operation that waits at the gate keeps no thread: its answer is sent when it has been performed.

use std::ffi::OsStr;
use std::fs::Metadata;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fuser::{
    AccessFlags, BsdFileFlags, Config, CopyFileRangeFlags, Errno, FileAttr, FileHandle, FileType, Filesystem,
    FopenFlags, Generation, INodeNo, InitFlags, KernelConfig, LockOwner, OpenFlags, RenameFlags, ReplyAttr,
    ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request,
    Session, SessionACL, TimeOrNow, WriteFlags,
};
use rustix::fs::AtFlags;

use super::files::Files;
use super::gate::{Late, Operation};
use super::nodes::attributes;

/// How long the kernel may believe what it was told.
const NOT_AT_ALL: Duration = Duration::ZERO;
/// Threads that serve one host.
const THREADS: usize = 3;
/// Reads and writes go past the page cache; those of one file go on beside one another.
const HOW: FopenFlags = FopenFlags::FOPEN_DIRECT_IO.union(FopenFlags::FOPEN_PARALLEL_DIRECT_WRITES);

/// Serves a mount until it is gone.
pub(super) fn serve(files: &Arc<Files>, device: OwnedFd) {
    let mut config = Config::default();
    config.n_threads = Some(THREADS);
    let protocol = Protocol { files: Arc::clone(files) };
    let session = Session::from_fd(protocol, device, SessionACL::All, config).expect("the kernel greets");
    // Ends with the mount; an error then only says that it has ended.
    std::thread::spawn(move || session.run());
}

struct Protocol {
    files: Arc<Files>,
}

/// An answer that may say no.
trait Answer: Send + 'static {
    fn no(self, error: Errno);
}

macro_rules! answers {
    ($($kind:ty),*) => { $(impl Answer for $kind { fn no(self, error: Errno) { self.error(error); } })* };
}
answers!(ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite);

impl Protocol {
    /// Performs `work` once the gate lets it, and answers.
    fn answer<A: Answer, T>(
        &self,
        answer: A,
        work: impl FnOnce(&Files) -> io::Result<T> + Send + 'static,
        yes: impl FnOnce(A, T) + Send + 'static,
    ) {
        self.pass(None, answer, work, yes);
    }

    fn pass<A: Answer, T>(
        &self,
        late: Option<Late>,
        answer: A,
        work: impl FnOnce(&Files) -> io::Result<T> + Send + 'static,
        yes: impl FnOnce(A, T) + Send + 'static,
    ) {
        let files = Arc::clone(&self.files);
        let run = move |alive: bool| match if alive { work(&files) } else { Err(rustix::io::Errno::IO.into()) } {
            Ok(done) => yes(answer, done),
            Err(error) => answer.no(error.into()),
        };
        self.files.gate.pass(Operation { run: Box::new(run), late });
    }
}

/// A file's attributes with the size that this host sees.
fn seen((metadata, size): &(Metadata, u64)) -> FileAttr {
    FileAttr { size: *size, ..attributes(metadata) }
}

fn entry(answer: ReplyEntry, found: (Metadata, u64)) {
    answer.entry(&NOT_AT_ALL, &seen(&found), Generation(0));
}

fn done(answer: ReplyEmpty, (): ()) {
    answer.ok();
}

impl Filesystem for Protocol {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        // Many requests at a time, else those that hang keep others from being asked.
        let _ = config.set_max_background(512);
        let _ = config.add_capabilities(InitFlags::FUSE_ASYNC_DIO);
        let _ = config.add_capabilities(InitFlags::FUSE_PARALLEL_DIROPS);
        Ok(())
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let name = name.to_owned();
        self.answer(reply, move |files| files.find(parent.0, &name), entry);
    }

    fn forget(&self, _: &Request, number: INodeNo, times: u64) {
        self.files.nodes.forget(number.0, times);
    }

    fn getattr(&self, _: &Request, number: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        let yes = |reply: ReplyAttr, found| reply.attr(&NOT_AT_ALL, &seen(&found));
        self.answer(reply, move |files| files.look_at(number.0), yes);
    }

    fn setattr(
        &self,
        _: &Request,
        number: INodeNo,
        mode: Option<u32>,
        user: Option<u32>,
        group: Option<u32>,
        size: Option<u64>,
        _: Option<TimeOrNow>,
        _: Option<TimeOrNow>,
        _: Option<SystemTime>,
        handle: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let work = move |files: &Files| {
            if let Some(mode) = mode {
                files.change_mode(number.0, mode & 0o7777)?;
            }
            if user.is_some() || group.is_some() {
                files.change_owner(number.0, user, group)?;
            }
            if let Some(size) = size {
                files.resize(number.0, handle.map(|handle| handle.0), size)?;
            }
            files.look_at(number.0)
        };
        self.answer(reply, work, |reply, found| reply.attr(&NOT_AT_ALL, &seen(&found)));
    }

    fn mkdir(&self, request: &Request, parent: INodeNo, name: &OsStr, mode: u32, mask: u32, reply: ReplyEntry) {
        let (name, owner) = (name.to_owned(), (request.uid(), request.gid()));
        self.answer(reply, move |files| files.make_folder(parent.0, &name, mode & !mask, owner), entry);
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let name = name.to_owned();
        self.answer(reply, move |files| files.remove(parent.0, &name, AtFlags::empty()), done);
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let name = name.to_owned();
        self.answer(reply, move |files| files.remove(parent.0, &name, AtFlags::REMOVEDIR), done);
    }

    fn symlink(&self, _: &Request, _: INodeNo, _: &OsStr, _: &Path, reply: ReplyEntry) {
        reply.error(Errno::EPERM);
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let (name, new_name) = (name.to_owned(), new_name.to_owned());
        let work = move |files: &Files| files.rename((parent.0, &name), (new_parent.0, &new_name), flags.bits());
        self.answer(reply, work, done);
    }

    fn link(&self, _: &Request, number: INodeNo, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let name = name.to_owned();
        self.answer(reply, move |files| files.link(number.0, parent.0, &name), entry);
    }

    fn open(&self, request: &Request, number: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let process = request.pid();
        let yes = |reply: ReplyOpen, handle| reply.opened(FileHandle(handle), HOW);
        self.answer(reply, move |files| files.open(number.0, flags.0, process), yes);
    }

    fn create(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        mask: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        let (name, process, owner) = (name.to_owned(), request.pid(), (request.uid(), request.gid()));
        let work = move |files: &Files| files.create(parent.0, &name, mode & !mask & 0o7777, flags, process, owner);
        self.answer(reply, work, |reply, (metadata, handle)| {
            reply.created(&NOT_AT_ALL, &attributes(&metadata), Generation(0), FileHandle(handle), HOW);
        });
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        self.answer(reply, move |files| files.read(handle.0, offset, size), |reply, data| reply.data(&data));
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        flags: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let open = match self.files.opened(handle.0) {
            Ok(open) => open,
            Err(error) => return reply.error(error.into()),
        };
        let data: Arc<[u8]> = data.into();
        let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
        let late = Late { open: Arc::clone(&open), offset, data: Arc::clone(&data) };
        let work = move |files: &Files| files.write(&open, offset, &data, flags.0);
        self.pass(Some(late), reply, work, move |reply, ()| reply.written(length));
    }

    fn flush(&self, _: &Request, _: INodeNo, handle: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        self.answer(reply, move |files| files.flush_at_close(handle.0), done);
    }

    fn release(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.files.close(handle.0);
        reply.ok();
    }

    fn fsync(&self, _: &Request, _: INodeNo, handle: FileHandle, _: bool, reply: ReplyEmpty) {
        self.answer(reply, move |files| files.flush(handle.0), done);
    }

    fn opendir(&self, _: &Request, number: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let yes = |reply: ReplyOpen, handle| reply.opened(FileHandle(handle), FopenFlags::empty());
        self.answer(reply, move |files| files.list(number.0), yes);
    }

    fn readdir(&self, _: &Request, _: INodeNo, handle: FileHandle, offset: u64, reply: ReplyDirectory) {
        self.answer(
            reply,
            move |files| files.listed(handle.0),
            move |mut reply, entries| {
                let rest = entries.iter().enumerate().skip(usize::try_from(offset).unwrap_or(usize::MAX));
                for (index, entry) in rest {
                    let kind = FileType::from_std(entry.kind).unwrap_or(FileType::RegularFile);
                    if reply.add(INodeNo(entry.number), index as u64 + 1, kind, &entry.name) {
                        break;
                    }
                }
                reply.ok();
            },
        );
    }

    fn releasedir(&self, _: &Request, _: INodeNo, handle: FileHandle, _: OpenFlags, reply: ReplyEmpty) {
        self.files.close_folder(handle.0);
        reply.ok();
    }

    fn fsyncdir(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.answer(reply, |_| Ok(()), done);
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        self.answer(reply, Files::room, |reply, room| {
            let size = u32::try_from(room.f_frsize).unwrap_or(4096);
            reply.statfs(room.f_blocks, room.f_bfree, room.f_bavail, room.f_files, room.f_ffree, size, 255, size);
        });
    }

    fn access(&self, _: &Request, _: INodeNo, _: AccessFlags, reply: ReplyEmpty) {
        self.answer(reply, |_| Ok(()), done);
    }

    fn fallocate(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        self.answer(reply, move |files| files.allocate(handle.0, offset, length, mode), done);
    }

    fn copy_file_range(
        &self,
        _: &Request,
        _: INodeNo,
        from: FileHandle,
        from_offset: u64,
        _: INodeNo,
        to: FileHandle,
        to_offset: u64,
        length: u64,
        _: CopyFileRangeFlags,
        reply: ReplyWrite,
    ) {
        let work = move |files: &Files| files.copy((from.0, from_offset), (to.0, to_offset), length);
        self.answer(reply, work, |reply, copied| reply.written(copied));
    }
}
