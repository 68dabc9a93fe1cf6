//! Stopping a mounted file system: for a while (freeze), or for good (shut down, journal not flushed).
//!
//! **Invariant:** only a file system that is mounted whole, and in one place of our namespace, is touched. A bind of a
//! directory of the machine's own file system would take the machine with it.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use om_backend::{ErrorKind, PortError, Result};
use rustix::io::Errno;
use rustix::ioctl::{NoArg, Opcode, Setter, ioctl};

use crate::mount::{failed, mounted_at};
use crate::mountinfo;

// linux/fs.h. The argument of the first two is declared but not looked at.
const FIFREEZE: Opcode = 0xC004_5877;
const FITHAW: Opcode = 0xC004_5878;
/// `EXT4_IOC_SHUTDOWN` and `XFS_IOC_GOINGDOWN` are the same request.
const FS_IOC_SHUTDOWN: Opcode = 0x8004_587D;
/// `EXT4_GOING_FLAGS_NOLOGFLUSH`, `XFS_FSOP_GOING_FLAGS_NOLOGFLUSH`: neither the data nor the journal is written.
const NO_LOG_FLUSH: u32 = 2;

/// What is mounted at `target`, opened; `None` if nothing is.
fn open(action: &str, target: &Path) -> Result<Option<File>> {
    let Some(entry) = mounted_at(target)? else { return Ok(None) };
    let all = mountinfo::own_of(entry.device).map_err(|error| failed("read the mounts at", target, &error))?;
    if entry.root != Path::new("/") || all.len() > 1 {
        let detail = "it is part of a file system that this machine uses in other places too";
        return Err(PortError::new(ErrorKind::Refused, action, target.display(), detail)
            .advise("keep volumes that are to be fenced on file systems of their own (images)"));
    }
    let wrong = |error: io::Error| failed(action, target, &error);
    let opened = File::open(target).map_err(wrong)?;
    // Between the look and the opening somebody may have unmounted it: this is then the directory below.
    let number = opened.metadata().map_err(wrong)?.dev();
    let device = (rustix::fs::major(number), rustix::fs::minor(number));
    if device != entry.device {
        let detail = format!("the mount changed from device {:?} to {device:?} meanwhile", entry.device);
        return Err(PortError::new(ErrorKind::Unavailable, action, target.display(), detail));
    }
    Ok(Some(opened))
}

/// The outcome of a request, where `done` says that there was nothing to do.
fn outcome(action: &str, target: &Path, asked: rustix::io::Result<()>, done: &[Errno]) -> Result<()> {
    match asked {
        Ok(()) => Ok(()),
        Err(error) if done.contains(&error) => Ok(()),
        Err(Errno::NOTTY | Errno::OPNOTSUPP) => {
            Err(PortError::new(ErrorKind::Refused, action, target.display(), "this kind of file system cannot"))
        }
        Err(error) => Err(failed(action, target, &error.into())),
    }
}

/// Ends the file system at `target`, nothing more being written; done also if it is ended or not mounted. Works on a
/// frozen one, does not wait for the storage, and so comes before everything that might.
pub(crate) fn shut_down(target: &Path) -> Result<()> {
    const ACTION: &str = "shut down the file system at";
    let opened = match open(ACTION, target) {
        Ok(Some(opened)) => opened,
        Ok(None) => return Ok(()),
        Err(_) if is_ended(target) => return Ok(()),
        Err(error) => return Err(error),
    };
    // SAFETY: the request reads one u32 through the pointer.
    #[allow(unsafe_code, reason = "no safe crate offers FS_IOC_SHUTDOWN")]
    let asked = unsafe { ioctl(&opened, Setter::<FS_IOC_SHUTDOWN, u32>::new(NO_LOG_FLUSH)) };
    outcome(ACTION, target, asked, &[])
}

/// xfs that is ended cannot even be opened. What is asked here lies in memory: the only errors are of that kind.
fn is_ended(target: &Path) -> bool {
    let asked = std::fs::symlink_metadata(target).err().and_then(|error| Errno::from_io_error(&error));
    asked == Some(Errno::IO)
}

/// Flushes the file system at `target` and makes writers wait. Waits for the storage: where that hangs, so does this.
pub(crate) fn freeze(target: &Path) -> Result<()> {
    const ACTION: &str = "freeze the file system at";
    let Some(opened) = open(ACTION, target)? else { return Ok(()) };
    // SAFETY: the request reads and writes nothing through its argument.
    #[allow(unsafe_code, reason = "no safe crate offers FIFREEZE")]
    let asked = unsafe { ioctl(&opened, NoArg::<FIFREEZE>::new()) };
    outcome(ACTION, target, asked, &[Errno::BUSY])
}

/// Lets writers go on.
pub(crate) fn thaw(target: &Path) -> Result<()> {
    const ACTION: &str = "thaw the file system at";
    let Some(opened) = open(ACTION, target)? else { return Ok(()) };
    // SAFETY: the request reads and writes nothing through its argument.
    #[allow(unsafe_code, reason = "no safe crate offers FITHAW")]
    let asked = unsafe { ioctl(&opened, NoArg::<FITHAW>::new()) };
    outcome(ACTION, target, asked, &[Errno::INVAL])
}

/// Thaws the file system `device` if it has been shut down: then nothing is written any more, and those who wait in it can
/// end. May wait for the storage.
pub(crate) fn thaw_if_ended(device: (u32, u32)) {
    for entry in mountinfo::own_of(device).unwrap_or_default() {
        let Ok(opened) = File::open(&entry.target) else { continue };
        // An ended file system refuses this before it does anything.
        let ended = opened.sync_all().is_err_and(|error| Errno::from_io_error(&error) == Some(Errno::IO));
        if ended {
            // What comes of it shows in whether they end.
            let _ = thaw(&entry.target);
        }
    }
}
