//! What the other modules say to the operating system, with errors that name the file. Blocking.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use om_backend::{ErrorKind, PortError};
use rustix::io::Errno;

/// What `action` on `path` failed with, as the port's error.
pub(crate) fn failed(action: &str, path: &Path, error: &io::Error) -> PortError {
    let kind = match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::NOSPC | Errno::DQUOT | Errno::FBIG) => ErrorKind::Exhausted,
        Some(Errno::NOENT) => ErrorKind::NotFound,
        _ => ErrorKind::Unavailable,
    };
    let failure = PortError::new(kind, action, path.display(), error);
    if kind == ErrorKind::Exhausted { failure.advise("free some room in the pool, or ask for less") } else { failure }
}

/// Makes the names in a folder survive a power cut.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// `Ok(false)` where the thing was gone already.
pub(crate) fn done_if_gone(result: io::Result<()>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// `Ok(false)` where the thing was there already.
pub(crate) fn done_if_there(result: io::Result<()>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// The names in a folder; none if it is gone. Names that are no text are none of ours.
pub(crate) fn names(folder: &Path) -> io::Result<Vec<String>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| Ok(entry?.file_name().into_string().unwrap_or_default())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// A word that nobody else uses: several nodes may make the same thing at the same moment.
#[allow(clippy::disallowed_methods, reason = "names must differ between nodes, and nothing else depends on them")]
pub(crate) fn nonce() -> io::Result<String> {
    getrandom::u64().map(|number| format!("{number:016x}")).map_err(|error| io::Error::other(error.to_string()))
}
