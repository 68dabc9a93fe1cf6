//! The folder of volumes. Blocking.
//!
//! In it: a folder per volume (`volume`), `.snapshots/<volume>/<name>.img`, and `.new-…` and `.gone-…` while something is
//! made or deleted, so that a crash leaves nothing that looks like a volume and is not one.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use om_backend::{ErrorKind, MountName, PortError, Result, SnapshotId};
use om_model::{ByteSize, VolumeId};

use crate::clone::Cloning;
use crate::in_use;
use crate::os::{done_if_gone, failed, names, nonce, sync_folder};
use crate::volume::Volume;

const SNAPSHOTS: &str = ".snapshots";
/// What is unfinished for so long, whoever made it has died.
const ABANDONED_AFTER: Duration = Duration::from_secs(3600);

/// The folder.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    pub(crate) root: PathBuf,
}

impl Pool {
    /// `action` on the pool itself failed. A pool that is not there is no answer about any volume.
    pub(crate) fn failed(&self, action: &str, error: &io::Error) -> PortError {
        if error.kind() != io::ErrorKind::NotFound {
            return failed(action, &self.root, error);
        }
        PortError::new(ErrorKind::Unavailable, action, format!("pool {}", self.root.display()), error)
            .advise("mount the shared storage there, or name another folder as the pool")
    }

    fn volume(&self, id: &VolumeId) -> Volume {
        Volume { id: id.clone(), folder: self.root.join(id.to_string()) }
    }

    /// The volume, if it exists; else that `action` cannot be.
    pub(crate) fn present(&self, action: &str, id: &VolumeId) -> Result<Volume> {
        let volume = self.volume(id);
        match volume.folder.try_exists() {
            Ok(true) => Ok(volume),
            Ok(false) => {
                Err(PortError::new(ErrorKind::NotFound, action, format!("volume {id}"), "there is no such volume")
                    .advise(format!("its place would be {}", volume.folder.display())))
            }
            Err(error) => Err(failed(action, &volume.folder, &error)),
        }
    }

    /// Refuses a size that the pool could never hold. Less is promised lightly: an image takes room as it is filled.
    fn refuse_impossible(&self, action: &str, id: &VolumeId, size: ByteSize) -> Result<()> {
        let pool = rustix::fs::statvfs(&self.root).map_err(|error| self.failed("look at", &error.into()))?;
        let whole = ByteSize::bytes(pool.f_blocks.saturating_mul(pool.f_frsize));
        if size <= whole {
            return Ok(());
        }
        let detail = format!("it is to have {size}, but all of the pool has {whole}");
        Err(PortError::new(ErrorKind::Exhausted, action, format!("volume {id}"), detail)
            .advise("ask for a smaller volume, or give the pool more room"))
    }

    pub(crate) fn create(&self, id: &VolumeId, size: ByteSize) -> Result<()> {
        self.make("create", id, size, |image| {
            let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(image);
            let made = made.and_then(|file| file.set_len(size.as_bytes()).and_then(|()| file.sync_all()));
            made.map_err(|error| failed("make", image, &error))
        })
    }

    /// Makes a volume whose first image `content` provides, unless the volume is there.
    fn make(
        &self,
        action: &str,
        id: &VolumeId,
        size: ByteSize,
        content: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<()> {
        let place = self.volume(id).folder;
        let wrong = |error: io::Error| failed(&format!("{action} volume at"), &place, &error);
        if place.try_exists().map_err(wrong)? {
            return Ok(());
        }
        self.refuse_impossible(action, id, size)?;
        let folder = self.root.join(format!(".new-{id}.{}", nonce().map_err(wrong)?));
        DirBuilder::new().mode(0o700).create(&folder).map_err(wrong)?;
        let fresh = Volume { id: id.clone(), folder };
        let image = fresh.folder.join("e0.img");
        let filled = content(&image).and_then(|()| fresh.raise("size", size.as_bytes()));
        let made = filled.and_then(|()| fresh.fill_up(&image)).and_then(|()| {
            // A volume's folder is never empty, so that this fails if another node was faster.
            match fs::rename(&fresh.folder, &place) {
                Err(error) if is_there(&error) => fs::remove_dir_all(&fresh.folder),
                renamed => renamed,
            }
            .map_err(wrong)
        });
        if made.is_err() {
            drop(fs::remove_dir_all(&fresh.folder));
        }
        made.and_then(|()| sync_folder(&self.root).map_err(wrong))
    }

    /// Refuses while this node uses the present image. A former one may stay in use: that loses nothing that counts.
    fn refuse_if_used(&self, action: &str, id: &VolumeId) -> Result<()> {
        let image = match self.volume(id).present() {
            Ok((_, image)) => image,
            Err(error) if error.kind == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        match in_use::loop_device_of(&image).map_err(|error| failed(action, &image, &error))? {
            None => Ok(()),
            Some(device) => {
                let detail = format!("it is in use here: bound to {device}");
                Err(PortError::new(ErrorKind::Refused, action, format!("volume {id}"), detail)
                    .advise("stop the container that uses it"))
            }
        }
    }

    pub(crate) fn delete(&self, id: &VolumeId) -> Result<()> {
        self.refuse_if_used("delete", id)?;
        let place = self.volume(id).folder;
        let deleted = (|| {
            let gone = self.root.join(format!(".gone-{id}.{}", nonce()?));
            if done_if_gone(fs::rename(&place, &gone))? {
                sync_folder(&self.root)?;
            }
            // Also what an earlier, interrupted deletion left, and what another node is deleting right now.
            let prefix = format!(".gone-{id}.");
            for name in names(&self.root)?.iter().filter(|name| name.starts_with(&prefix)) {
                done_if_gone(fs::remove_dir_all(self.root.join(name)))?;
            }
            Ok(())
        })();
        deleted.map_err(|error| failed("delete volume at", &place, &error))
    }

    /// There is nothing to take back: the file is where it was. Says nothing of who uses it, who may be the next holder.
    pub(crate) fn detach(&self, id: &VolumeId) -> Result<()> {
        match self.present("detach", id).and_then(|volume| volume.tidy()) {
            Err(error) if error.kind == ErrorKind::NotFound => Ok(()),
            done => done,
        }
    }

    pub(crate) fn grow(&self, id: &VolumeId, size: ByteSize) -> Result<()> {
        let volume = self.present("enlarge", id)?;
        self.refuse_impossible("enlarge", id, size)?;
        volume.grow(size)
    }

    pub(crate) fn list(&self) -> Result<Vec<VolumeId>> {
        let names =
            fs::read_dir(&self.root).and_then(|_| names(&self.root)).map_err(|error| self.failed("list", &error))?;
        let mut found: Vec<_> = names.iter().filter_map(|name| volume_id(name)).collect();
        found.sort();
        Ok(found)
    }

    fn snapshot_folder(&self, id: &VolumeId) -> PathBuf {
        self.root.join(SNAPSHOTS).join(id.to_string())
    }

    fn snapshot_path(&self, id: &SnapshotId) -> PathBuf {
        self.snapshot_folder(&id.volume).join(format!("{}.img", id.name))
    }

    pub(crate) fn snapshot(&self, id: &SnapshotId, how: Cloning) -> Result<()> {
        let target = self.snapshot_path(id);
        let wrong = |error: io::Error| failed("make", &target, &error);
        if target.try_exists().map_err(wrong)? {
            return Ok(());
        }
        let volume = self.present("snapshot", &id.volume)?;
        let folder = self.snapshot_folder(&id.volume);
        DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(wrong)?;
        sync_folder(&self.root.join(SNAPSHOTS)).and_then(|()| sync_folder(&self.root)).map_err(wrong)?;
        let (_, image) = volume.present()?;
        volume.make_clone(&image, &target, how)
    }

    pub(crate) fn delete_snapshot(&self, id: &SnapshotId) -> Result<()> {
        let (path, folder) = (self.snapshot_path(id), self.snapshot_folder(&id.volume));
        let removed = done_if_gone(fs::remove_file(&path)).and_then(|_| done_if_gone(sync_folder(&folder)));
        removed.map_err(|error| failed("delete", &path, &error))?;
        // Fails while there are others, which is right.
        drop(fs::remove_dir(&folder));
        drop(fs::remove_dir(self.root.join(SNAPSHOTS)));
        Ok(())
    }

    pub(crate) fn snapshots(&self, id: &VolumeId) -> Result<Vec<SnapshotId>> {
        let folder = self.snapshot_folder(id);
        let names = names(&folder).map_err(|error| failed("list", &folder, &error))?;
        let named = |name: &String| {
            let snapshot = SnapshotId { volume: id.clone(), name: name.strip_suffix(".img")?.to_owned() };
            snapshot.check().is_ok().then_some(snapshot)
        };
        let mut found: Vec<_> = names.iter().filter_map(named).collect();
        found.sort();
        Ok(found)
    }

    pub(crate) fn restore(&self, id: &VolumeId, from: &SnapshotId, size: ByteSize, how: Cloning) -> Result<()> {
        if self.volume(id).folder.exists() {
            return Ok(());
        }
        let source = self.snapshot_path(from);
        let wrong = |error: io::Error| failed("restore", &source, &error);
        let least = match fs::metadata(&source) {
            Ok(found) => found.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let detail = format!("volume {} has no such snapshot", from.volume);
                return Err(PortError::new(ErrorKind::NotFound, "restore", format!("snapshot {}", from.name), detail));
            }
            Err(error) => return Err(wrong(error)),
        };
        let size = size.max(ByteSize::bytes(least));
        self.make("restore", id, size, |image| self.volume(id).make_clone(&source, image, how))
    }

    /// Removes what crashed makers and deleters left long ago, anywhere in the pool.
    pub(crate) fn sweep(&self) -> Result<()> {
        let wrong = |error: io::Error| failed("sweep", &self.root, &error);
        let mut folders = vec![self.root.clone()];
        folders.extend(self.list()?.iter().map(|id| self.volume(id).folder));
        folders.extend(paths(&self.root.join(SNAPSHOTS)).map_err(wrong)?);
        for path in folders.iter().map(|folder| paths(folder)).collect::<io::Result<Vec<_>>>().map_err(wrong)?.concat()
        {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if (name.starts_with(".new-") || name.starts_with(".gone-")) && is_abandoned(&path) {
                drop(fs::remove_dir_all(&path).or_else(|_| fs::remove_file(&path)));
            }
        }
        Ok(())
    }
}

fn paths(folder: &Path) -> io::Result<Vec<PathBuf>> {
    Ok(names(folder)?.iter().map(|name| folder.join(name)).collect())
}

/// Clocks of nodes differ; an hour is far more than they do.
fn is_abandoned(path: &Path) -> bool {
    let age = fs::symlink_metadata(path).and_then(|found| found.modified()).map(|then| then.elapsed());
    matches!(age, Ok(Ok(age)) if age > ABANDONED_AFTER)
}

fn is_there(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists)
}

/// The volume whose name this is; none for anything else in the folder.
fn volume_id(name: &str) -> Option<VolumeId> {
    let MountName { service, member, role } = name.parse().ok()?;
    Some(VolumeId { service, member: member?, role })
}
