//! The `shared-file` volume provider: image files in a folder that all nodes see (NFS 4.2, CephFS, a cluster file system…).
//!
//! [`SharedFileVolumes`] is the provider; `pool` is the folder of volumes, `volume` one volume's folder, `clone` makes a
//! file the copy of another at one instant, `in_use` reads from the kernel whether this node uses an image.
//!
//! **One writer holds** because every epoch has an image file of its own, a reflink of the one before, made when the epoch
//! first attaches, or when the one before is revoked. The agent revokes once the former holder's lease is over, by which time
//! its processes are stopped; whatever that node still writes, or wrote before it died, reaches a file that nobody reads. The loop device goes past the page cache (direct I/O), so that what the
//! former holder had flushed is in the file that is cloned.
//!
//! **Invariant:** all state is in names, and numbers in names only rise (`volume`). So nodes need no lock between them,
//! every call can be repeated, and a crash between any two of its steps leaves the volume as it was before or after.
//!
//! Where the pool cannot clone, volumes work but [`Fencing::None`] holds: no member moves by itself, no snapshots.

#![forbid(unsafe_code)]

mod clone;
mod in_use;
mod os;
mod pool;
mod volume;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use om_backend::{Attachment, ErrorKind, Fencing, PortError, Result, SnapshotId, VolumeProvider};
use om_model::{ByteSize, Epoch, VolumeId};

use clone::Cloning;
use pool::Pool;

/// Where the volumes are, and what the operator knows of that storage.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The folder; every node sees the same one, at whatever path. It has to exist: an unmounted pool is not an empty one.
    pub pool: PathBuf,
    /// The operator vouches that one `copy_file_range` over a whole file copies it as it was at one instant, though the
    /// file system knows no `FICLONE`. Some network file systems clone on the server in this way.
    pub server_side_copy: bool,
}

/// The provider. Clones share the folder.
#[derive(Clone, Debug)]
pub struct SharedFileVolumes {
    pool: Pool,
    server_side_copy: bool,
    /// How the pool clones files, once it was tried.
    cloning: Arc<OnceLock<Cloning>>,
}

impl SharedFileVolumes {
    /// Volumes in a pool. Touches nothing yet; call [`Self::probe`] when the pool is there.
    pub fn new(settings: Settings) -> Self {
        let Settings { pool, server_side_copy } = settings;
        Self { pool: Pool { root: pool }, server_side_copy, cloning: Arc::default() }
    }

    /// Tries with two small files how the pool clones, and keeps the answer; also sweeps up what crashes left. To be called,
    /// again and again until it succeeds, before an agent is made: until then [`VolumeProvider::fencing`] answers
    /// [`Fencing::None`], and an agent that takes no lease for its members would not stop them when another node revokes.
    pub async fn probe(&self) -> Result<Fencing> {
        self.cloning().await?;
        Ok(self.fencing())
    }

    async fn cloning(&self) -> Result<Cloning> {
        if let Some(known) = self.cloning.get() {
            return Ok(*known);
        }
        let server_side_copy = self.server_side_copy;
        let found = self.in_pool(move |pool| {
            pool.sweep()?;
            clone::probe(&pool.root, server_side_copy)
        });
        let found = found.await?;
        Ok(*self.cloning.get_or_init(|| found))
    }

    /// How to clone, or a refusal of `action`, which needs it.
    async fn able_to_clone(&self, action: &str, id: &VolumeId) -> Result<Cloning> {
        match self.cloning().await? {
            Cloning::Not => {
                let detail = format!("the file system of {} does not clone files", self.pool.root.display());
                Err(PortError::new(ErrorKind::Refused, action, format!("volume {id}"), detail).advise(
                    "use a pool with reflinks (XFS, Btrfs, or NFS 4.2 over one), or, if your storage copies a file \
                     at one instant by copy_file_range, say so with server-side-copy",
                ))
            }
            able => Ok(able),
        }
    }

    async fn in_pool<T: Send + 'static>(&self, work: impl FnOnce(&Pool) -> Result<T> + Send + 'static) -> Result<T> {
        let pool = self.pool.clone();
        tokio::task::spawn_blocking(move || work(&pool)).await.unwrap_or_else(|error| {
            Err(PortError::new(ErrorKind::Unavailable, "run", "a call to the operating system", error))
        })
    }
}

#[async_trait]
impl VolumeProvider for SharedFileVolumes {
    fn name(&self) -> &'static str {
        "shared-file"
    }

    fn single_writer_by(&self) -> &'static str {
        "the image is reflinked for the next holder once the former one's lease is over, and both use direct I/O: late \
         writes reach a file that nobody reads"
    }

    fn fencing(&self) -> Fencing {
        match self.cloning.get() {
            None | Some(Cloning::Not) => Fencing::None,
            Some(Cloning::Reflink | Cloning::ServerCopy) => Fencing::AfterLease,
        }
    }

    async fn create(&self, id: &VolumeId, size: ByteSize) -> Result<()> {
        let id = id.clone();
        self.in_pool(move |pool| pool.create(&id, size)).await
    }

    async fn delete(&self, id: &VolumeId) -> Result<()> {
        let id = id.clone();
        self.in_pool(move |pool| pool.delete(&id)).await
    }

    async fn revoke(&self, id: &VolumeId, epoch: Epoch) -> Result<()> {
        let cloning = self.able_to_clone("revoke", id).await?;
        let id = id.clone();
        self.in_pool(move |pool| pool.present("revoke", &id)?.revoke(epoch, cloning)).await
    }

    async fn snapshot(&self, id: &SnapshotId) -> Result<()> {
        id.check()?;
        let cloning = self.able_to_clone("snapshot", &id.volume).await?;
        let id = id.clone();
        self.in_pool(move |pool| pool.snapshot(&id, cloning)).await
    }

    async fn delete_snapshot(&self, id: &SnapshotId) -> Result<()> {
        id.check()?;
        let id = id.clone();
        self.in_pool(move |pool| pool.delete_snapshot(&id)).await
    }

    async fn snapshots(&self, id: &VolumeId) -> Result<Vec<SnapshotId>> {
        let id = id.clone();
        self.in_pool(move |pool| pool.snapshots(&id)).await
    }

    async fn restore(&self, id: &VolumeId, from: &SnapshotId, size: ByteSize) -> Result<()> {
        from.check()?;
        let cloning = self.cloning().await?;
        let (id, from) = (id.clone(), from.clone());
        self.in_pool(move |pool| pool.restore(&id, &from, size, cloning)).await
    }

    async fn attach(&self, id: &VolumeId, epoch: Epoch) -> Result<Attachment> {
        let cloning = self.cloning().await?;
        let id = id.clone();
        let attach = move |pool: &Pool| pool.present("attach", &id)?.attach(epoch, cloning);
        Ok(Attachment::Image { path: self.in_pool(attach).await?, direct: true })
    }

    async fn detach(&self, id: &VolumeId) -> Result<()> {
        let id = id.clone();
        self.in_pool(move |pool| pool.detach(&id)).await
    }

    async fn grow(&self, id: &VolumeId, size: ByteSize) -> Result<()> {
        let id = id.clone();
        self.in_pool(move |pool| pool.grow(&id, size)).await
    }

    async fn list(&self) -> Result<Vec<VolumeId>> {
        self.in_pool(Pool::list).await
    }
}
