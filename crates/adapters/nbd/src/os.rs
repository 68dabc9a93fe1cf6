//! What the other modules say to the operating system, with errors that name the file. Blocking.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use om_backend::{ErrorKind, PortError, Result};
use rustix::io::Errno;

/// What `action` on `path` failed with, as the port's error.
pub(crate) fn failed(action: &str, path: &Path, error: &io::Error) -> PortError {
    let kind = match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::NOSPC | Errno::DQUOT | Errno::FBIG) => ErrorKind::Exhausted,
        Some(Errno::NOENT) => ErrorKind::NotFound,
        _ => ErrorKind::Unavailable,
    };
    let failure = PortError::new(kind, action, path.display(), error);
    if kind == ErrorKind::Exhausted { failure.advise("free some room on that disk, or ask for less") } else { failure }
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

/// Makes a folder that only we may enter.
pub(crate) fn private_folder(path: &Path) -> Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|error| failed("make the folder", path, &error))
}

/// Writes a file that only we may read, durably and at once.
pub(crate) fn write_private(path: &Path, content: &str) -> Result<()> {
    let fresh = path.with_extension("new");
    let folder = path.parent().unwrap_or(path);
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(content.as_bytes())?;
        file.sync_all()?;
        fs::rename(&fresh, path)?;
        sync_folder(folder)
    })();
    written.map_err(|error| failed("write", path, &error))
}

/// The content of a file, if it exists.
pub(crate) fn read(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", path, &error)),
    }
}

/// The names in a folder; none if it is gone. Names that are no text are none of ours.
pub(crate) fn names(folder: &Path) -> Result<Vec<String>> {
    let named = match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| Ok(entry?.file_name().into_string().unwrap_or_default())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    };
    named.map_err(|error: io::Error| failed("list", folder, &error))
}

/// Random bytes, as hexadecimal digits.
pub(crate) fn random<const BYTES: usize>() -> Result<String> {
    let mut bytes = [0_u8; BYTES];
    getrandom::fill(&mut bytes).map_err(|error| PortError::new(ErrorKind::Unavailable, "draw", "a key", error))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Runs blocking work off the runtime's threads.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        Err(PortError::new(ErrorKind::Unavailable, "run", "a call to the operating system", error))
    })
}
