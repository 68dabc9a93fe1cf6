//! The key file: 32 random bytes, mode 0600, made once.
//!
//! **Invariant:** the path holds a whole key or nothing, whoever is killed or races; a key that others could read is
//! never used, nor is a key ever replaced.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use om_backend::{ErrorKind, PortError, Result};

/// The key's length in bytes.
pub(crate) const KEY_LENGTH: usize = 32;

/// The key at `path`; a new one if there is none.
pub(crate) fn open_or_create(path: &Path) -> Result<[u8; KEY_LENGTH]> {
    match read(path) {
        Err(error) if error.kind == ErrorKind::NotFound => create(path)?,
        read => return read,
    }
    // Ours or that of somebody who was faster: what is on disk counts.
    read(path)
}

fn read(path: &Path) -> Result<[u8; KEY_LENGTH]> {
    let refused = |detail: &str, next: String| {
        Err(PortError::new(ErrorKind::Refused, "use key file", path.display(), detail).advise(next))
    };
    let mut file = File::open(path).map_err(|error| failed("open key file", path, &error))?;
    let metadata = file.metadata().map_err(|error| failed("inspect key file", path, &error))?;
    if !metadata.is_file() {
        return refused("it is not a file", format!("move {} away", path.display()));
    }
    if metadata.mode() & 0o077 != 0 {
        let detail = format!("its mode {:04o} lets others use it", metadata.mode() & 0o7777);
        return refused(&detail, format!("run `chmod 600 {}`, and consider the key known to others", path.display()));
    }
    let mut bytes = Vec::with_capacity(KEY_LENGTH + 1);
    let limit = u64::try_from(KEY_LENGTH + 1).expect("33");
    Read::take(&mut file, limit).read_to_end(&mut bytes).map_err(|error| failed("read key file", path, &error))?;
    let read = bytes.len();
    bytes.try_into().or_else(|_| {
        let length = if read > KEY_LENGTH { "more than 32".to_owned() } else { read.to_string() };
        refused(&format!("it has {length} bytes and not 32"), "restore it from a backup: secrets need this key".into())
    })
}

/// Puts a new key at `path` unless there is one: written whole under another name, then linked, which never replaces.
fn create(path: &Path) -> Result<()> {
    let mut random = [0; KEY_LENGTH + 8];
    getrandom::fill(&mut random)
        .map_err(|error| PortError::new(ErrorKind::Unavailable, "create key file", path.display(), error))?;
    let (key, suffix) = random.split_at(KEY_LENGTH);
    let fresh = sibling(path, suffix);
    let made = write_new(&fresh, key).and_then(|()| match fs::hard_link(&fresh, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    });
    let removed = match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    made.and(removed).and_then(|()| sync_folder(path)).map_err(|error| failed("create key file", path, &error))
}

fn write_new(path: &Path, key: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(key)?;
    file.sync_all()
}

fn sibling(path: &Path, suffix: &[u8]) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    PathBuf::from(name)
}

fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

fn failed(action: &str, path: &Path, error: &io::Error) -> PortError {
    let kind = match error.kind() {
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        io::ErrorKind::PermissionDenied => ErrorKind::Refused,
        io::ErrorKind::StorageFull => ErrorKind::Exhausted,
        _ => ErrorKind::Unavailable,
    };
    PortError::new(kind, action, path.display(), error).advise("check that its folder exists and belongs to this user")
}
