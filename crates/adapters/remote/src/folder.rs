//! Where a process keeps its identity: `identity.pem` (certificate and key), `authority.pem`, and while it joins `joining.key`.
//!
//! **Invariant:** each file is whole or absent, whoever is killed; certificate and key are one file, so that they always
//! belong together; what holds a key has mode 0600 from its first byte on.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use om_backend::{ErrorKind, PortError, Result};

use crate::identity::Identity;

const IDENTITY: &str = "identity.pem";
const AUTHORITY: &str = "authority.pem";
const JOINING: &str = "joining.key";

impl Identity {
    /// The identity kept in `folder`, if the process has joined. Blocks on the file system.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`] if others can read the key, [`ErrorKind::Invalid`] if what is there cannot be used.
    pub fn open(folder: &Path) -> Result<Option<Arc<Self>>> {
        let (Some(own), Some(authority)) = (read_secret(folder, IDENTITY)?, read(folder, AUTHORITY)?) else {
            return Ok(None);
        };
        // Parsers of certificates pass over the key, and the other way round.
        Self::new(&own, &own, &authority).map(Some)
    }

    /// Keeps the identity in `folder`, which is made if need be. Blocks on the file system.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn keep(&self, folder: &Path) -> Result<()> {
        let (certificate, key) = self.pem();
        // As read from a folder, the two are one text already.
        let own = if certificate == key { key } else { format!("{}\n{key}", certificate.trim_end()) };
        write(folder, AUTHORITY, self.authority(), 0o644)?;
        write(folder, IDENTITY, &own, 0o600)
    }
}

/// The key of a join that was begun and may have got as far as the server.
pub(crate) fn joining_key(folder: &Path) -> Result<Option<String>> {
    read_secret(folder, JOINING)
}

pub(crate) fn keep_joining_key(folder: &Path, key: &str) -> Result<()> {
    write(folder, JOINING, key, 0o600)
}

pub(crate) fn drop_joining_key(folder: &Path) -> Result<()> {
    let path = folder.join(JOINING);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", &path, &error)),
        _ => Ok(()),
    }
}

fn read_secret(folder: &Path, name: &str) -> Result<Option<String>> {
    let path = folder.join(name);
    if let Ok(metadata) = fs::metadata(&path)
        && metadata.mode() & 0o077 != 0
    {
        let detail = format!("its mode {:04o} lets others use it", metadata.mode() & 0o7777);
        let next = format!("run `chmod 600 {}`, and consider the key known to others: join again", path.display());
        return Err(PortError::new(ErrorKind::Refused, "use", path.display(), detail).advise(next));
    }
    read(folder, name)
}

fn read(folder: &Path, name: &str) -> Result<Option<String>> {
    let path = folder.join(name);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", &path, &error)),
    }
}

/// Written whole under another name, then renamed.
fn write(folder: &Path, name: &str, text: &str, mode: u32) -> Result<()> {
    let (path, fresh) = (folder.join(name), folder.join(format!(".{name}.new")));
    let written = || -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        // What a crash left there may have any mode.
        match fs::remove_file(&fresh) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&fresh)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&fresh, &path)?;
        File::open(folder)?.sync_all()
    };
    written().map_err(|error| failed("write", &path, &error))
}

fn failed(action: &str, path: &Path, error: &io::Error) -> PortError {
    let kind = match error.kind() {
        io::ErrorKind::PermissionDenied => ErrorKind::Refused,
        io::ErrorKind::StorageFull => ErrorKind::Exhausted,
        _ => ErrorKind::Unavailable,
    };
    PortError::new(kind, action, path.display(), error).advise("check that the folder belongs to this user")
}
