//! The folder of volumes. Blocking.
//!
//! In it: `<volume id>.img` (an image) or `<volume id>` and `<volume id>.size` (a directory), `<volume id>.epoch`, and
//! `.new-…` and `.gone-…` while something is made or deleted, so that a crash leaves nothing that looks like a volume and is not one.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use om_backend::{Attachment, ErrorKind, MountName, PortError, Result};
use om_model::{ByteSize, Epoch, VolumeId};
use rustix::io::Errno;

use crate::{Kind, in_use};

/// Numbers kept beside a volume: the highest epoch it was attached under, and, where the volume itself does not show it,
/// its size.
const EPOCH: &str = "epoch";
const SIZE: &str = "size";

/// The folder.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    pub(crate) root: PathBuf,
    pub(crate) kind: Kind,
}

fn failed(action: &str, path: &Path, error: &io::Error) -> PortError {
    let kind = match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::NOSPC | Errno::DQUOT | Errno::FBIG) => ErrorKind::Exhausted,
        Some(Errno::NOENT) => ErrorKind::NotFound,
        _ => ErrorKind::Unavailable,
    };
    let failure = PortError::new(kind, action, path.display(), error);
    if kind == ErrorKind::Exhausted { failure.advise("free some room on that disk, or ask for less") } else { failure }
}

/// Makes the names in a folder survive a power cut.
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// `Ok(false)` where the thing was gone already.
fn done_if_gone(result: io::Result<()>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

impl Disk {
    fn path(&self, id: &VolumeId) -> PathBuf {
        self.root.join(match self.kind {
            Kind::Images => format!("{id}.img"),
            Kind::Directories => id.to_string(),
        })
    }

    fn note_path(&self, id: &VolumeId, what: &str) -> PathBuf {
        self.root.join(format!("{id}.{what}"))
    }

    /// A number kept beside the volume; zero if there is none.
    fn noted(&self, id: &VolumeId, what: &str) -> Result<u64> {
        let path = self.note_path(id, what);
        match fs::read_to_string(&path) {
            Ok(text) => text.trim().parse().map_err(|problem| {
                PortError::new(ErrorKind::Refused, "read the number in", path.display(), problem)
                    .advise(format!("write the volume's {what} there, or remove the file if it was never used"))
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(failed("read", &path, &error)),
        }
    }

    /// Keeps a number beside the volume, durably.
    fn note(&self, id: &VolumeId, what: &str, number: u64) -> Result<()> {
        let (path, fresh) = (self.note_path(id, what), self.root.join(format!(".new-{id}.{what}")));
        let written =
            File::create(&fresh).and_then(|mut file| writeln!(file, "{number}").and_then(|()| file.sync_all()));
        let renamed = written.and_then(|()| fs::rename(&fresh, &path)).and_then(|()| sync_folder(&self.root));
        renamed.map_err(|error| failed("write", &path, &error))
    }

    fn present(&self, action: &str, id: &VolumeId) -> Result<PathBuf> {
        let path = self.path(id);
        match path.try_exists() {
            Ok(true) => Ok(path),
            Ok(false) => {
                Err(PortError::new(ErrorKind::NotFound, action, format!("volume {id}"), "there is no such volume")
                    .advise(format!("its place would be {}", path.display())))
            }
            Err(error) => Err(failed(action, &path, &error)),
        }
    }

    /// Refuses a size that the disk could never hold. Less is promised lightly: an image takes room as it is filled.
    fn refuse_impossible(&self, action: &str, id: &VolumeId, size: ByteSize) -> Result<()> {
        let disk = rustix::fs::statvfs(&self.root).map_err(|error| failed("look at", &self.root, &error.into()))?;
        let whole = ByteSize::bytes(disk.f_blocks.saturating_mul(disk.f_frsize));
        if size <= whole {
            return Ok(());
        }
        let detail = format!("it is to have {size}, but all of the disk has {whole}");
        Err(PortError::new(ErrorKind::Exhausted, action, format!("volume {id}"), detail)
            .advise("ask for a smaller volume, or give the state directory a larger disk"))
    }

    pub(crate) fn create(&self, id: &VolumeId, size: ByteSize) -> Result<()> {
        let path = self.path(id);
        let wrong = |error: io::Error| failed("create volume at", &path, &error);
        DirBuilder::new().recursive(true).mode(0o700).create(&self.root).map_err(wrong)?;
        if path.try_exists().map_err(wrong)? {
            return Ok(());
        }
        self.refuse_impossible("create", id, size)?;
        let made = match self.kind {
            Kind::Directories => {
                self.note(id, SIZE, size.as_bytes())?;
                done_if_made(DirBuilder::new().mode(0o755).create(&path))
            }
            Kind::Images => {
                let fresh = self.root.join(format!(".new-{id}.img"));
                let image = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh);
                let made = image.and_then(|image| image.set_len(size.as_bytes()).and_then(|()| image.sync_all()));
                made.and_then(|()| fs::rename(&fresh, &path)).inspect_err(|_| drop(fs::remove_file(&fresh)))
            }
        };
        made.and_then(|()| sync_folder(&self.root)).map_err(wrong)
    }

    pub(crate) fn refuse_if_used(&self, action: &str, id: &VolumeId) -> Result<()> {
        let path = self.path(id);
        match in_use::user_of(&path).map_err(|error| failed(action, &path, &error))? {
            None => Ok(()),
            Some(user) => {
                Err(PortError::new(ErrorKind::Refused, action, format!("volume {id}"), format!("it is in use: {user}"))
                    .advise("stop the container that uses it"))
            }
        }
    }

    pub(crate) fn delete(&self, id: &VolumeId) -> Result<()> {
        self.refuse_if_used("delete", id)?;
        let (path, gone) = (self.path(id), self.root.join(format!(".gone-{id}")));
        let deleted = (|| {
            match self.kind {
                Kind::Images => drop(done_if_gone(fs::remove_file(&path))?),
                Kind::Directories => {
                    // What an earlier, interrupted deletion left.
                    done_if_gone(fs::remove_dir_all(&gone))?;
                    if done_if_gone(fs::rename(&path, &gone))? {
                        fs::remove_dir_all(&gone)?;
                    }
                }
            }
            done_if_gone(fs::remove_file(self.note_path(id, EPOCH)))?;
            done_if_gone(fs::remove_file(self.note_path(id, SIZE)))?;
            done_if_gone(sync_folder(&self.root))
        })();
        deleted.map(drop).map_err(|error| failed("delete volume at", &path, &error))
    }

    pub(crate) fn attach(&self, id: &VolumeId, epoch: Epoch) -> Result<Attachment> {
        let path = self.present("attach", id)?;
        self.note_epoch(id, epoch)?;
        Ok(match self.kind {
            Kind::Images => Attachment::Image { path, direct: false },
            Kind::Directories => Attachment::Directory(path),
        })
    }

    /// Keeps the highest epoch seen, durably, before the volume is used under it; refuses a lower one.
    fn note_epoch(&self, id: &VolumeId, epoch: Epoch) -> Result<()> {
        let seen = Epoch::new(self.noted(id, EPOCH)?);
        if epoch < seen {
            let detail = format!("epoch {epoch} is over: the volume was attached under epoch {seen} already");
            return Err(PortError::new(ErrorKind::Refused, "attach", format!("volume {id}"), detail)
                .advise("if the control database was restored from a backup, raise the member's epoch"));
        }
        if epoch == seen { Ok(()) } else { self.note(id, EPOCH, epoch.get()) }
    }

    pub(crate) fn grow(&self, id: &VolumeId, size: ByteSize) -> Result<()> {
        let path = self.present("enlarge", id)?;
        let wrong = |error: io::Error| failed("enlarge", &path, &error);
        let present = ByteSize::bytes(match self.kind {
            Kind::Images => fs::metadata(&path).map_err(wrong)?.len(),
            Kind::Directories => self.noted(id, SIZE)?,
        });
        if size < present {
            let detail = format!("it has {present}, and volumes do not shrink to {size}");
            return Err(PortError::new(ErrorKind::Invalid, "enlarge", format!("volume {id}"), detail));
        }
        if size == present {
            return Ok(());
        }
        self.refuse_impossible("enlarge", id, size)?;
        if self.kind == Kind::Directories {
            return self.note(id, SIZE, size.as_bytes());
        }
        let image = OpenOptions::new().write(true).open(&path).map_err(wrong)?;
        image.set_len(size.as_bytes()).and_then(|()| image.sync_all()).map_err(wrong)
    }

    pub(crate) fn list(&self) -> Result<Vec<VolumeId>> {
        let wrong = |error: io::Error| failed("list", &self.root, &error);
        let entries = match fs::read_dir(&self.root) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(wrong(error)),
        };
        let mut found = Vec::new();
        for entry in entries {
            let name = entry.map_err(wrong)?.file_name();
            let Some(name) = name.to_str() else { continue };
            let stem = if self.kind == Kind::Images { name.strip_suffix(".img") } else { Some(name) };
            found.extend(stem.and_then(volume_id));
        }
        found.sort();
        Ok(found)
    }
}

fn done_if_made(result: io::Result<()>) -> io::Result<()> {
    result.or_else(|error| if error.kind() == io::ErrorKind::AlreadyExists { Ok(()) } else { Err(error) })
}

/// The volume whose name this is; none for anything else in the folder.
fn volume_id(name: &str) -> Option<VolumeId> {
    let MountName { service, member, role } = name.parse().ok()?;
    Some(VolumeId { service, member: member?, role })
}
