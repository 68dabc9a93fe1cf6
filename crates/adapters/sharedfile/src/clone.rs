//! Making a file the copy of another at one instant, without copying its data. Blocking.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use om_backend::Result;
use rustix::io::Errno;

use crate::os::{failed, nonce};

/// How the pool's file system does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cloning {
    /// By `FICLONE`.
    Reflink,
    /// By one `copy_file_range` over the whole file, for which the operator vouches.
    ServerCopy,
    /// It does not.
    Not,
}

/// Makes the empty file `to` a clone of `from`, durably.
pub(crate) fn clone(from: &File, to: &File, how: Cloning) -> io::Result<()> {
    match how {
        Cloning::Reflink => rustix::fs::ioctl_ficlone(to, from)?,
        Cloning::ServerCopy => copy_at_once(from, to)?,
        Cloning::Not => return Err(Errno::OPNOTSUPP.into()),
    }
    to.sync_all()
}

/// One call or nothing: a second one would see the file at a second instant.
fn copy_at_once(from: &File, to: &File) -> io::Result<()> {
    let length = from.metadata()?.len();
    let whole = usize::try_from(length).map_err(io::Error::other)?;
    let copied = rustix::fs::copy_file_range(from, None, to, None, whole)?;
    if copied == whole {
        return Ok(());
    }
    Err(io::Error::other(format!("the storage copied {copied} of {length} bytes at once: it does not clone files")))
}

/// Finds out how the file system of `folder` clones, by cloning a small file there.
pub(crate) fn probe(folder: &Path, server_side_copy: bool) -> Result<Cloning> {
    let wrong = |error: io::Error| failed("try to clone a file in", folder, &error);
    let word = nonce().map_err(wrong)?;
    let [from, to] = ["a", "b"].map(|end| folder.join(format!(".new-probe.{word}.{end}")));
    let tried = try_between(&from, &to, server_side_copy);
    for path in [&from, &to] {
        drop(fs::remove_file(path));
    }
    tried.map_err(wrong)
}

fn try_between(from: &Path, to: &Path, server_side_copy: bool) -> io::Result<Cloning> {
    let content = [0xa5; 64 << 10];
    fs::write(from, content)?;
    let source = File::open(from)?;
    let fresh = || OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(to);
    match clone(&source, &fresh()?, Cloning::Reflink) {
        Ok(()) if fs::read(to)? == content => return Ok(Cloning::Reflink),
        Ok(()) => return Err(io::Error::other("a cloned file has other content than its origin")),
        Err(error) if is_missing(&error) => {}
        Err(error) => return Err(error),
    }
    if !server_side_copy {
        return Ok(Cloning::Not);
    }
    match clone(&source, &fresh()?, Cloning::ServerCopy) {
        Ok(()) if fs::read(to)? == content => Ok(Cloning::ServerCopy),
        Ok(()) => Err(io::Error::other("a copied file has other content than its origin")),
        Err(error) if is_missing(&error) => Ok(Cloning::Not),
        Err(error) => Err(error),
    }
}

/// What file systems answer that do not know the call.
fn is_missing(error: &io::Error) -> bool {
    let number = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(number, Some(Errno::OPNOTSUPP | Errno::XDEV | Errno::NOTTY | Errno::INVAL | Errno::NOSYS))
}
