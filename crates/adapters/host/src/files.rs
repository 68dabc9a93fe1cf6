//! Control files: written whole or not at all.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use om_backend::host::ControlFile;
use om_backend::{ErrorKind, PortError, Result};

use crate::mount::failed;

/// Larger files are not control files.
const READ_MAX: u64 = 4 << 20;

/// The path of a control file, which may not lead out of its folder.
fn place(folder: &Path, path: &str) -> Result<PathBuf> {
    let inside = !path.is_empty() && Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
    if inside {
        Ok(folder.join(path))
    } else {
        Err(PortError::new(ErrorKind::Invalid, "write", path, "the path leads out of its folder"))
    }
}

fn write_one(path: &Path, file: &ControlFile) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    }
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let temporary = PathBuf::from(temporary);
    let mut open =
        OpenOptions::new().write(true).create(true).truncate(true).mode(file.mode & 0o700).open(&temporary)?;
    // Of a file left by a crash, the mode is the old one; nor may the umask have a say.
    open.set_permissions(fs::Permissions::from_mode(file.mode))?;
    open.write_all(&file.content)?;
    open.sync_all()?;
    fs::rename(&temporary, path)?;
    // What is said to be written is not to be undone by a loss of power.
    path.parent().map_or(Ok(()), |folder| fs::File::open(folder)?.sync_all())
}

pub(crate) fn write(folder: &Path, files: &[ControlFile]) -> Result<()> {
    for file in files {
        let path = place(folder, &file.path)?;
        write_one(&path, file).map_err(|error| failed("write", &path, &error))?;
    }
    Ok(())
}

pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::metadata(path) {
        Ok(found) if found.len() > READ_MAX => {
            Err(PortError::new(ErrorKind::Invalid, "read", path.display(), "it is no control file: too large"))
        }
        Ok(_) => fs::read(path).map(Some).map_err(|error| failed("read", path, &error)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(failed("read", path, &error)),
    }
}
