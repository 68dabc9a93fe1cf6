//! Files of the container, with their owners.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, chown, fchown, symlink};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use om_backend::process::{Account, Files, Room};
use om_backend::{ErrorKind, PortError, Result};

/// The files of the container.
#[derive(Clone, Debug)]
pub struct ContainerFiles {
    passwd: PathBuf,
}

impl Default for ContainerFiles {
    fn default() -> Self {
        Self { passwd: "/etc/passwd".into() }
    }
}

impl ContainerFiles {
    /// With accounts from another file than `/etc/passwd`; for tests.
    pub fn with_accounts_of(passwd: impl Into<PathBuf>) -> Self {
        Self { passwd: passwd.into() }
    }
}

#[async_trait]
impl Files for ContainerFiles {
    async fn account(&self, user: &str) -> Result<Account> {
        let text = blocking("read", &self.passwd, |path| fs::read_to_string(path)).await?;
        account_in(&text, user).ok_or_else(|| {
            PortError::new(ErrorKind::NotFound, "find the user", user, "the image's /etc/passwd does not have it")
                .advise("choose an image that holds the database server")
        })
    }

    async fn make_dir(&self, path: &str, account: &Account, mode: u32) -> Result<()> {
        let account = account.clone();
        blocking("make the directory", path, move |path| {
            fs::create_dir_all(path)?;
            own(path, &account, mode)
        })
        .await
    }

    async fn write(&self, path: &str, content: &str, account: &Account, mode: u32) -> Result<()> {
        let (account, content) = (account.clone(), content.to_owned());
        blocking("write", path, move |path| write_whole(path, &content, &account, mode)).await
    }

    async fn grant(&self, path: &str, account: &Account, mode: u32) -> Result<()> {
        let account = account.clone();
        blocking("change owner and mode of", path, move |path| own(path, &account, mode)).await
    }

    async fn room(&self, path: &str) -> Result<Option<Room>> {
        blocking("look at the file system of", path, |path| {
            let system = rustix::fs::statvfs(path)?;
            Ok(Some(Room { free: system.f_bavail * system.f_frsize, total: system.f_blocks * system.f_frsize }))
        })
        .await
    }

    async fn read(&self, path: &str) -> Result<Option<String>> {
        blocking("read", path, |path| match fs::read_to_string(path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if absent(&error) => Ok(None),
            Err(error) => Err(error),
        })
        .await
    }

    async fn empty_dir(&self, path: &str) -> Result<()> {
        blocking("empty", path, |path| match fs::read_dir(path) {
            Ok(mut entries) => entries.try_for_each(|entry| remove(&entry?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        })
        .await
    }

    async fn link(&self, path: &str, target: &str) -> Result<()> {
        let target = target.to_owned();
        blocking("link", path, move |path| {
            let temporary = beside(path);
            remove_if_there(&temporary)?;
            symlink(target, &temporary)?;
            fs::rename(&temporary, path)?;
            sync_parent(path)
        })
        .await
    }
}

/// Runs `work` where it may block: storage can hang, and the socket has to answer all the same.
async fn blocking<T: Send + 'static>(
    action: &str,
    path: impl AsRef<Path>,
    work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
) -> Result<T> {
    let path = path.as_ref().to_owned();
    let subject = path.display().to_string();
    let done =
        tokio::task::spawn_blocking(move || work(&path)).await.unwrap_or_else(|error| Err(io::Error::other(error)));
    done.map_err(|error| {
        let kind = match error.kind() {
            io::ErrorKind::NotFound => ErrorKind::NotFound,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::Exhausted,
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => ErrorKind::Refused,
            _ => ErrorKind::Unavailable,
        };
        PortError::new(kind, action, subject, error)
    })
}

fn account_in(passwd: &str, user: &str) -> Option<Account> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let (uid, gid) = (fields.nth(1)?, fields.next()?);
        (name == user).then_some(())?;
        Some(Account { uid: uid.parse().ok()?, gid: gid.parse().ok()? })
    })
}

fn own(path: &Path, account: &Account, mode: u32) -> io::Result<()> {
    chown(path, Some(account.uid), Some(account.gid))?;
    fs::set_permissions(path, Permissions::from_mode(mode))
}

fn write_whole(path: &Path, content: &str, account: &Account, mode: u32) -> io::Result<()> {
    let temporary = beside(path);
    remove_if_there(&temporary)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    file.write_all(content.as_bytes())?;
    fchown(&file, Some(account.uid), Some(account.gid))?;
    file.set_permissions(Permissions::from_mode(mode))?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    sync_parent(path)
}

/// A name in the same directory, so that a rename stays within one file system.
fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    path.with_file_name(format!(".{name}.new"))
}

fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |parent| fs::File::open(parent)?.sync_all())
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn remove(entry: &fs::DirEntry) -> io::Result<()> {
    // A link to a directory is a link here: what it points to is left alone.
    if entry.file_type()?.is_dir() { fs::remove_dir_all(entry.path()) } else { fs::remove_file(entry.path()) }
}

fn absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
