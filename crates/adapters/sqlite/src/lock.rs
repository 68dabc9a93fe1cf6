//! One process at a time: an exclusive lock on a file beside the database.
//!
//! A second process would not harm SQLite's file, but its writes would wake no watch of the first. The lock is the
//! kernel's, on the open file: it ends with the process, however that ends, and a left-over lock file means nothing.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind as Io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use om_controldb::{Error, ErrorKind, Result};

/// Held until dropped.
pub(crate) struct ProcessLock {
    _file: File,
}

impl ProcessLock {
    /// Takes the lock of the database at `path`, without waiting.
    pub(crate) fn acquire(path: &Path) -> Result<Self> {
        let mut name = path.as_os_str().to_owned();
        name.push(".lock");
        let refused = |detail: String| Error::new(ErrorKind::Unavailable, "open", path.display(), detail);
        let shown = name.display().to_string();
        // Not SQLite's own file: closing any descriptor of that would drop SQLite's POSIX locks.
        let opened = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&name);
        let file =
            opened.map_err(|error| refused(format!("cannot open the lock file {shown}: {error}{}", hint(&error))))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(refused(format!(
                "another process has this database open (it holds the lock on {shown}); stop that server first, or give \
                 this one a state directory of its own"
            ))),
            Err(TryLockError::Error(error)) => Err(refused(format!("cannot lock {shown}: {error}"))),
        }
    }
}

/// What to do about a failure to open or make a file.
pub(crate) fn hint(error: &std::io::Error) -> &'static str {
    match error.kind() {
        Io::NotFound => "; make the directory first",
        Io::PermissionDenied => "; run as the owner of the directory",
        Io::StorageFull => "; free some space on this disk",
        _ => "",
    }
}
