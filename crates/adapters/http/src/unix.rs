//! Unix sockets: bound with their final mode, over a stale file but never over a live server, and removed at the end.
//!
//! **Invariant:** at no moment does the path lead to a socket with another mode than the one asked for: the socket is
//! bound beside it under a temporary name, given its mode, then renamed. Two processes that bind the same path are
//! ordered by a lock on the folder, so that neither takes the other's fresh socket for a stale one.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};

use crate::error::HttpError;

/// How long to wait for another process that is binding in the same folder.
const LOCK_WAIT: Duration = Duration::from_secs(5);

/// The socket file on disk; removed when dropped, if it is still ours.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    inode: (u64, u64),
}

/// Binds `path` with `mode`. Blocks for a moment: it talks to the file system and perhaps to a socket's present owner.
pub(crate) fn bind(path: &Path, mode: u32) -> Result<(UnixListener, SocketFile), HttpError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let lock = File::open(folder)
        .map_err(|error| HttpError::unix(path, error, format!("make the folder {} first", folder.display())))?;
    lock_folder(&lock, path)?;
    refuse_live(path)?;
    let fresh = sibling(path);
    let failed = |error: io::Error| {
        let _ = fs::remove_file(&fresh);
        HttpError::unix(path, error, "check the folder's owner and mode; a socket's path has at most 103 characters")
    };
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let listener = UnixListener::bind(&fresh).map_err(failed)?;
    fs::set_permissions(&fresh, Permissions::from_mode(mode)).map_err(failed)?;
    let metadata = fs::symlink_metadata(&fresh).map_err(failed)?;
    fs::rename(&fresh, path).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    Ok((listener, SocketFile { path: path.to_owned(), inode: (metadata.dev(), metadata.ino()) }))
}

fn sibling(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    PathBuf::from(name)
}

/// The lock is given back when the file is closed, also when the process is killed.
fn lock_folder(folder: &File, path: &Path) -> Result<(), HttpError> {
    let deadline = Instant::now() + LOCK_WAIT;
    loop {
        match flock(folder, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(()),
            Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(error) => {
                return Err(HttpError::unix(path, format!("its folder is locked: {error}"), "try again in a moment"));
            }
        }
    }
}

/// Refuses a path where somebody listens, or that is no socket at all.
fn refuse_live(path: &Path) -> Result<(), HttpError> {
    let found = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(HttpError::unix(path, error, "check the folder's owner and mode")),
    };
    if !found.file_type().is_socket() {
        return Err(HttpError::unix(path, "a file that is not a socket is there", "move it away"));
    }
    match UnixStream::connect(path) {
        Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound) => Ok(()),
        Err(error) => Err(HttpError::unix(path, error, "`ss -lxp` shows who listens there")),
        Ok(_) => Err(HttpError::unix(path, "somebody listens there", "`ss -lxp` shows who; stop it first")),
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let ours = fs::symlink_metadata(&self.path).is_ok_and(|now| (now.dev(), now.ino()) == self.inode);
        if ours {
            let _ = fs::remove_file(&self.path);
        }
    }
}
