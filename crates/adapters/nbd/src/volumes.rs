//! The provider on a node.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use om_backend::{Attachment, ErrorKind, Fencing, PortError, Result, SnapshotId, VolumeProvider};
use om_model::{ByteSize, Epoch, VolumeId};
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::sync::OwnedMutexGuard;

use crate::daemon::{Daemon, Daemons};
use crate::line::{Answer, Call, Exported, PATH, StorageLine};
use crate::os::{blocking, failed, private_folder};

/// What a node is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// A folder of the node's own, best on a tmpfs (`/run/openmanage/nbd`): it holds the credentials of what is attached.
    pub state: PathBuf,
    /// The address or name under which the node reaches the storage host's exports.
    pub storage_host: String,
}

/// The provider. Clones are the same one.
#[derive(Clone)]
pub struct NbdVolumes {
    settings: Settings,
    line: Arc<dyn StorageLine>,
    /// One attach or detach at a time for each volume.
    volumes: Arc<Mutex<BTreeMap<VolumeId, Arc<tokio::sync::Mutex<()>>>>>,
}

/// How long a node that has its daemon running waits for the storage host's word that it is the right one.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(1);

impl NbdVolumes {
    /// Volumes of the storage host at the other end of `line`.
    pub fn new(settings: Settings, line: Arc<dyn StorageLine>) -> Self {
        Self { settings, line, volumes: Arc::default() }
    }

    async fn call<T: DeserializeOwned>(&self, call: Call) -> Result<T> {
        let answer = self.line.call(PATH, json!(call)).await?;
        let misread = |error: serde_json::Error| {
            PortError::new(ErrorKind::Unavailable, "understand", "the storage host's answer", error)
                .advise("see that node and storage host run the same version")
        };
        let answer: Answer = serde_json::from_value(answer).map_err(misread)?;
        serde_json::from_value(answer?).map_err(misread)
    }

    async fn alone(&self, id: &VolumeId) -> OwnedMutexGuard<()> {
        let lock = {
            let mut volumes = self.volumes.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(volumes.entry(id.clone()).or_default())
        };
        lock.lock_owned().await
    }

    async fn with_daemons<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Daemons) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let Settings { state, storage_host } = self.settings.clone();
        blocking(move || {
            private_folder(&state)?;
            let wrong = |error: std::io::Error| failed("use", &state, &error);
            work(&Daemons { state: state.canonicalize().map_err(wrong)?, host: storage_host })
        })
        .await
    }

    /// The file of a daemon of this epoch that runs, unless the storage host says that it leads nowhere. A storage host
    /// that says nothing is away for a while; the daemon waits for it, and so may the member.
    async fn attached(&self, id: &VolumeId, epoch: Epoch) -> Result<Option<PathBuf>> {
        let (own, this) = (id.clone(), epoch);
        let running = self.with_daemons(move |daemons| {
            let running = |daemon: &Daemon| daemon.epoch == this && daemon.is_up();
            Ok(daemons.of(&own)?.into_iter().find(running))
        });
        let Some(daemon) = running.await? else { return Ok(None) };
        let asked = self.call::<Option<Exported>>(Call::Exported { id: id.clone(), epoch });
        let good = match tokio::time::timeout(CONFIRMED_WITHIN, asked).await {
            Ok(Ok(export)) => export.is_some_and(|export| daemon.knows(&export)),
            Ok(Err(error)) if !error.may_pass() => return Err(error),
            Ok(Err(_)) | Err(_) => true,
        };
        Ok(good.then(|| daemon.file()))
    }
}

/// What a daemon's file is to the host. Not past the page cache: then the loop device would have many writes under way at
/// once, which the daemon mixes up (`daemon`). Nothing that was acknowledged is in the page cache alone for that: the kernel
/// writes through it, since QEMU does not ask FUSE for a write-back cache.
fn image(path: PathBuf) -> Attachment {
    Attachment::Image { path, direct: false }
}

/// Refuses while a file system of the volume may be mounted here.
fn refuse_if_used(daemon: &Daemon, action: &str, id: &VolumeId) -> Result<()> {
    let Some(device) = daemon.loop_device() else { return Ok(()) };
    let detail = format!("it is in use under epoch {}: bound to {device}", daemon.epoch);
    Err(PortError::new(ErrorKind::Refused, action, format!("volume {id}"), detail)
        .advise("stop the container that uses it"))
}

#[async_trait]
impl VolumeProvider for NbdVolumes {
    fn name(&self) -> &'static str {
        "nbd"
    }

    fn single_writer_by(&self) -> &'static str {
        "one export process and one credential per epoch: a former holder's are ended before the next one's are made"
    }

    fn fencing(&self) -> Fencing {
        Fencing::AtOnce
    }

    fn grows_in_use(&self) -> bool {
        false
    }

    async fn create(&self, id: &VolumeId, size: ByteSize) -> Result<()> {
        self.call(Call::Create { id: id.clone(), size }).await
    }

    async fn delete(&self, id: &VolumeId) -> Result<()> {
        self.call(Call::Delete { id: id.clone() }).await
    }

    async fn revoke(&self, id: &VolumeId, epoch: Epoch) -> Result<()> {
        self.call(Call::Revoke { id: id.clone(), epoch }).await
    }

    async fn snapshot(&self, id: &SnapshotId) -> Result<()> {
        id.check()?;
        self.call(Call::Snapshot { id: id.clone() }).await
    }

    async fn delete_snapshot(&self, id: &SnapshotId) -> Result<()> {
        id.check()?;
        self.call(Call::DeleteSnapshot { id: id.clone() }).await
    }

    async fn snapshots(&self, id: &VolumeId) -> Result<Vec<SnapshotId>> {
        self.call(Call::Snapshots { id: id.clone() }).await
    }

    async fn restore(&self, id: &VolumeId, from: &SnapshotId, size: ByteSize) -> Result<()> {
        from.check()?;
        self.call(Call::Restore { id: id.clone(), from: from.clone(), size }).await
    }

    async fn attach(&self, id: &VolumeId, epoch: Epoch) -> Result<Attachment> {
        let _alone = self.alone(id).await;
        if let Some(path) = self.attached(id, epoch).await? {
            return Ok(image(path));
        }
        let own = id.clone();
        self.with_daemons(move |daemons| {
            for daemon in daemons.of(&own)? {
                refuse_if_used(&daemon, "attach", &own)?;
                daemon.end()?;
            }
            daemons.place(&own, epoch).prepare()
        })
        .await?;
        let export: Exported = self.call(Call::Export { id: id.clone(), epoch }).await?;
        let own = id.clone();
        let started = self.with_daemons(move |daemons| daemons.start(&own, epoch, &export));
        Ok(image(started.await?.file()))
    }

    async fn abandon(&self, id: &VolumeId) -> Result<()> {
        let _alone = self.alone(id).await;
        let own = id.clone();
        self.with_daemons(move |daemons| daemons.of(&own)?.iter().try_for_each(Daemon::kill)).await
    }

    async fn detach(&self, id: &VolumeId) -> Result<()> {
        let _alone = self.alone(id).await;
        let own = id.clone();
        let ended = self.with_daemons(move |daemons| {
            let mut highest = None;
            for daemon in daemons.of(&own)? {
                refuse_if_used(&daemon, "detach", &own)?;
                highest = highest.max(Some(daemon.epoch));
                daemon.end_process()?;
            }
            Ok(highest)
        });
        if let Some(epoch) = ended.await? {
            self.call::<()>(Call::End { id: id.clone(), epoch }).await?;
        }
        // Last, so that a detach that did not get so far is found and done again.
        let own = id.clone();
        self.with_daemons(move |daemons| daemons.of(&own)?.iter().try_for_each(Daemon::end)).await
    }

    async fn grow(&self, id: &VolumeId, size: ByteSize) -> Result<()> {
        self.call(Call::Grow { id: id.clone(), size }).await
    }

    async fn list(&self) -> Result<Vec<VolumeId>> {
        self.call(Call::List).await
    }
}
