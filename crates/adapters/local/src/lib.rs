//! The `local` volume provider: volumes in a folder of the node's own disk.
//!
//! [`LocalVolumes`] keeps each volume as a sparse image of bounded size, or as a plain directory. Beside it lies the
//! highest epoch the volume was attached under, so that a restored control database cannot send it backwards.
//!
//! **One writer holds** because nobody but this node can reach the folder, and on the node the agent mounts a volume for
//! one container at a time. A member on such a volume never moves to another node.

#![forbid(unsafe_code)]

mod disk;
mod in_use;

use std::path::PathBuf;

use async_trait::async_trait;
use om_backend::{Attachment, ErrorKind, PortError, Result, VolumeProvider};
use om_model::{ByteSize, Epoch, VolumeId};

use disk::Disk;

/// What a volume is on the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// A sparse image file with a file system of its own: its size binds.
    #[default]
    Images,
    /// A directory: its size is a wish, the disk's own free space is the bound.
    Directories,
}

/// The provider. Clones share the folder.
#[derive(Clone, Debug)]
pub struct LocalVolumes {
    disk: Disk,
}

impl LocalVolumes {
    /// Volumes in the folder `root`, which is made when first needed.
    pub fn new(root: PathBuf, kind: Kind) -> Self {
        Self { disk: Disk { root, kind } }
    }

    async fn on_disk<T: Send + 'static>(&self, work: impl FnOnce(&Disk) -> Result<T> + Send + 'static) -> Result<T> {
        let disk = self.disk.clone();
        tokio::task::spawn_blocking(move || work(&disk)).await.unwrap_or_else(|error| {
            Err(PortError::new(ErrorKind::Unavailable, "run", "a call to the operating system", error))
        })
    }
}

#[async_trait]
impl VolumeProvider for LocalVolumes {
    fn name(&self) -> &'static str {
        "local"
    }

    fn single_writer_by(&self) -> &'static str {
        "the volume is on the node's own disk, which no other node can reach"
    }

    async fn create(&self, id: &VolumeId, size: ByteSize) -> Result<()> {
        let id = id.clone();
        self.on_disk(move |disk| disk.create(&id, size)).await
    }

    async fn delete(&self, id: &VolumeId) -> Result<()> {
        let id = id.clone();
        self.on_disk(move |disk| disk.delete(&id)).await
    }

    async fn attach(&self, id: &VolumeId, epoch: Epoch) -> Result<Attachment> {
        let id = id.clone();
        self.on_disk(move |disk| disk.attach(&id, epoch)).await
    }

    async fn detach(&self, id: &VolumeId) -> Result<()> {
        let id = id.clone();
        self.on_disk(move |disk| disk.refuse_if_used("detach", &id)).await
    }

    async fn grow(&self, id: &VolumeId, size: ByteSize) -> Result<()> {
        let id = id.clone();
        self.on_disk(move |disk| disk.grow(&id, size)).await
    }

    async fn list(&self) -> Result<Vec<VolumeId>> {
        self.on_disk(Disk::list).await
    }
}
