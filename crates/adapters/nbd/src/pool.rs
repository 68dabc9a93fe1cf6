//! The folder of volumes on the storage host. Blocking; one process owns it.
//!
//! | name | meaning |
//! |---|---|
//! | `<volume>/disk.img` | the content |
//! | `<volume>/floor` | epochs below this number are over |
//! | `<volume>/e<n>/` | the export of epoch n (`export`) |
//! | `.snapshots/<volume>/<name>.img` | a snapshot |
//! | `.new-…`, `.gone-…` | something that is being made or deleted |

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use om_backend::{ErrorKind, MountName, PortError, Result, SnapshotId};
use om_model::{ByteSize, Epoch, VolumeId};
use rustix::io::Errno;

use crate::os::{done_if_gone, failed, names, private_folder, read, sync_folder, write_private};

/// The folder.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    pub(crate) root: PathBuf,
}

impl Pool {
    pub(crate) fn folder(&self, id: &VolumeId) -> PathBuf {
        self.root.join(id.to_string())
    }

    pub(crate) fn image(&self, id: &VolumeId) -> PathBuf {
        self.folder(id).join("disk.img")
    }

    /// That the volume exists; else `action` cannot be.
    pub(crate) fn require(&self, action: &str, id: &VolumeId) -> Result<()> {
        match self.folder(id).try_exists() {
            Ok(true) => Ok(()),
            Ok(false) => {
                Err(PortError::new(ErrorKind::NotFound, action, format!("volume {id}"), "there is no such volume")
                    .advise(format!("its place on the storage host would be {}", self.folder(id).display())))
            }
            Err(error) => Err(failed(action, &self.folder(id), &error)),
        }
    }

    /// The lowest epoch that is not over.
    pub(crate) fn floor(&self, id: &VolumeId) -> Result<Epoch> {
        let path = self.folder(id).join("floor");
        let Some(text) = read(&path)? else { return Ok(Epoch::NONE) };
        text.trim().parse().map(Epoch::new).map_err(|problem| {
            PortError::new(ErrorKind::Refused, "read the number in", path.display(), problem)
                .advise("write the member's present epoch there")
        })
    }

    /// Declares all epochs below this one over, durably.
    pub(crate) fn raise_floor(&self, id: &VolumeId, to: Epoch) -> Result<()> {
        if self.floor(id)? >= to {
            return Ok(());
        }
        write_private(&self.folder(id).join("floor"), &format!("{to}\n"))
    }

    /// Refuses a size that the disk could never hold. Less is promised lightly: an image takes room as it is filled.
    fn refuse_impossible(&self, action: &str, id: &VolumeId, size: ByteSize) -> Result<()> {
        let pool = rustix::fs::statvfs(&self.root).map_err(|error| failed("look at", &self.root, &error.into()))?;
        let whole = ByteSize::bytes(pool.f_blocks.saturating_mul(pool.f_frsize));
        if size <= whole {
            return Ok(());
        }
        let detail = format!("it is to have {size}, but all of the pool has {whole}");
        Err(PortError::new(ErrorKind::Exhausted, action, format!("volume {id}"), detail)
            .advise("ask for a smaller volume, or give the pool more room"))
    }

    pub(crate) fn create(&self, id: &VolumeId, size: ByteSize) -> Result<()> {
        self.make("create", id, size, |_| Ok(()))
    }

    /// Makes a volume whose image `content` fills, unless the volume is there.
    fn make(
        &self,
        action: &str,
        id: &VolumeId,
        size: ByteSize,
        content: impl FnOnce(&File) -> io::Result<()>,
    ) -> Result<()> {
        let place = self.folder(id);
        let wrong = |error: io::Error| failed(&format!("{action} volume at"), &place, &error);
        if place.try_exists().map_err(wrong)? {
            return Ok(());
        }
        self.refuse_impossible(action, id, size)?;
        let fresh = self.root.join(format!(".new-{id}"));
        // What an earlier, interrupted call left.
        done_if_gone(fs::remove_dir_all(&fresh)).map_err(wrong)?;
        private_folder(&fresh)?;
        let made = (|| {
            let path = fresh.join("disk.img");
            let image = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
            content(&image)?;
            image.set_len(size.as_bytes())?;
            image.sync_all()?;
            sync_folder(&fresh)?;
            fs::rename(&fresh, &place)?;
            sync_folder(&self.root)
        })();
        made.map_err(wrong)
    }

    /// Deletes what is nobody's any more.
    pub(crate) fn delete(&self, id: &VolumeId) -> Result<()> {
        let (place, gone) = (self.folder(id), self.root.join(format!(".gone-{id}")));
        let deleted = (|| {
            done_if_gone(fs::remove_dir_all(&gone))?;
            if done_if_gone(fs::rename(&place, &gone))? {
                sync_folder(&self.root)?;
                fs::remove_dir_all(&gone)?;
            }
            Ok(())
        })();
        deleted.map_err(|error| failed("delete volume at", &place, &error))
    }

    pub(crate) fn grow(&self, id: &VolumeId, size: ByteSize) -> Result<()> {
        self.require("enlarge", id)?;
        let path = self.image(id);
        let wrong = |error: io::Error| failed("enlarge", &path, &error);
        let present = ByteSize::bytes(fs::metadata(&path).map_err(wrong)?.len());
        if size < present {
            let detail = format!("it has {present}, and volumes do not shrink to {size}");
            return Err(PortError::new(ErrorKind::Invalid, "enlarge", format!("volume {id}"), detail));
        }
        self.refuse_impossible("enlarge", id, size)?;
        let image = OpenOptions::new().write(true).open(&path).map_err(wrong)?;
        image.set_len(size.as_bytes()).and_then(|()| image.sync_all()).map_err(wrong)
    }

    pub(crate) fn list(&self) -> Result<Vec<VolumeId>> {
        let mut found: Vec<_> = names(&self.root)?.iter().filter_map(|name| volume_id(name)).collect();
        found.sort();
        Ok(found)
    }

    fn snapshot_folder(&self, id: &VolumeId) -> PathBuf {
        self.root.join(".snapshots").join(id.to_string())
    }

    fn snapshot_path(&self, id: &SnapshotId) -> PathBuf {
        self.snapshot_folder(&id.volume).join(format!("{}.img", id.name))
    }

    pub(crate) fn snapshot(&self, id: &SnapshotId) -> Result<()> {
        id.check()?;
        let (folder, target) = (self.snapshot_folder(&id.volume), self.snapshot_path(id));
        let wrong = |error: io::Error| failed("make", &target, &error);
        if target.try_exists().map_err(wrong)? {
            return Ok(());
        }
        self.require("snapshot", &id.volume)?;
        private_folder(&folder)?;
        let fresh = folder.join(format!(".new-{}", id.name));
        let made = (|| {
            let source = File::open(self.image(&id.volume))?;
            let copy = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
            rustix::fs::ioctl_ficlone(&copy, &source)?;
            copy.sync_all()?;
            fs::rename(&fresh, &target)?;
            sync_folder(&folder)
        })();
        made.map_err(|error| {
            drop(fs::remove_file(&fresh));
            self.remove_if_empty(&folder);
            if is_missing(&error) { self.no_reflinks(&id.volume) } else { wrong(error) }
        })
    }

    fn no_reflinks(&self, id: &VolumeId) -> PortError {
        let detail = format!("the file system of {} on the storage host does not clone files", self.root.display());
        PortError::new(ErrorKind::Refused, "snapshot", format!("volume {id}"), detail)
            .advise("put the pool on a file system with reflinks (XFS or Btrfs)")
    }

    /// Removes a volume's folder of snapshots, and the folder of those, if they are empty.
    fn remove_if_empty(&self, folder: &Path) {
        drop(fs::remove_dir(folder));
        drop(fs::remove_dir(self.root.join(".snapshots")));
    }

    pub(crate) fn delete_snapshot(&self, id: &SnapshotId) -> Result<()> {
        id.check()?;
        let (path, folder) = (self.snapshot_path(id), self.snapshot_folder(&id.volume));
        let removed = done_if_gone(fs::remove_file(&path)).and_then(|_| done_if_gone(sync_folder(&folder)));
        removed.map_err(|error| failed("delete", &path, &error))?;
        self.remove_if_empty(&folder);
        Ok(())
    }

    pub(crate) fn snapshots(&self, id: &VolumeId) -> Result<Vec<SnapshotId>> {
        let named = |name: &String| {
            let snapshot = SnapshotId { volume: id.clone(), name: name.strip_suffix(".img")?.to_owned() };
            snapshot.check().is_ok().then_some(snapshot)
        };
        let mut found: Vec<_> = names(&self.snapshot_folder(id))?.iter().filter_map(named).collect();
        found.sort();
        Ok(found)
    }

    pub(crate) fn restore(&self, id: &VolumeId, from: &SnapshotId, size: ByteSize) -> Result<()> {
        from.check()?;
        if self.folder(id).exists() {
            return Ok(());
        }
        let path = self.snapshot_path(from);
        let source = match File::open(&path) {
            Ok(source) => source,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let detail = format!("volume {} has no such snapshot", from.volume);
                return Err(PortError::new(ErrorKind::NotFound, "restore", format!("snapshot {}", from.name), detail));
            }
            Err(error) => return Err(failed("restore", &path, &error)),
        };
        let least = source.metadata().map_err(|error| failed("restore", &path, &error))?.len();
        self.make("restore", id, size.max(ByteSize::bytes(least)), |image| {
            Ok(rustix::fs::ioctl_ficlone(image, &source)?)
        })
    }
}

/// What file systems answer that do not know `FICLONE`.
fn is_missing(error: &io::Error) -> bool {
    let number = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(number, Some(Errno::OPNOTSUPP | Errno::XDEV | Errno::NOTTY | Errno::INVAL))
}

/// The volume whose name this is; none for anything else in the folder.
fn volume_id(name: &str) -> Option<VolumeId> {
    let MountName { service, member, role } = name.parse().ok()?;
    Some(VolumeId { service, member: member?, role })
}
