//! The storage host's half: volumes and their exports, as a struct and over HTTP.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use om_backend::{ErrorKind, PortError, Result};
use om_model::{Epoch, VolumeId};
use rustix::fs::FlockOperation;
use serde_json::{Value, json};

use crate::export::Exports;
use crate::line::{Answer, Call, Exported, PATH, StorageLine};
use crate::os::{blocking, failed, private_folder};
use crate::pool::Pool;

/// What a storage host is told.
#[derive(Clone, Debug)]
pub struct StorageSettings {
    /// The folder of images; made if need be. On XFS or Btrfs there are snapshots.
    pub pool: PathBuf,
    /// The address at which the exports listen.
    pub listen: IpAddr,
    /// Their ports: one for each attached volume.
    pub ports: RangeInclusive<u16>,
}

/// The storage host. Clones are the same one.
#[derive(Clone)]
pub struct Storage {
    exports: Exports,
    /// One call at a time for each volume.
    volumes: Arc<Mutex<BTreeMap<VolumeId, Arc<tokio::sync::Mutex<()>>>>>,
    /// Held locked, so that no second process believes that the pool is its own.
    _owned: Arc<File>,
}

impl Storage {
    /// Takes the pool, finds the exports that run and leaves them alone, and starts those that should and do not.
    /// [`ErrorKind::Refused`] while another process has the pool.
    pub async fn open(settings: StorageSettings) -> Result<Self> {
        let StorageSettings { pool, listen, ports } = settings;
        let (root, owned) = blocking(move || {
            private_folder(&pool)?;
            let wrong = |error: std::io::Error| failed("use pool", &pool, &error);
            let root = pool.canonicalize().map_err(wrong)?;
            let owned = File::open(&root).map_err(wrong)?;
            rustix::fs::flock(&owned, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
                PortError::new(ErrorKind::Refused, "use pool", pool.display(), "another process has it")
                    .advise("stop the other `openmanage storage`")
            })?;
            Ok((root, owned))
        })
        .await?;
        let exports = Exports { pool: Pool { root }, listen, ports };
        let storage = Self { exports, volumes: Arc::default(), _owned: Arc::new(owned) };
        storage.mend().await?;
        Ok(storage)
    }

    /// Starts exports that have ended though nobody ended them. To be called every few seconds.
    pub async fn mend(&self) -> Result<()> {
        let listed = self.exports.clone();
        for id in blocking(move || listed.pool.list()).await? {
            if let Err(error) = self.on(&id, |exports, id| exports.mend(id)).await {
                tracing::warn!(volume = %id, %error, "an export is not running");
            }
        }
        Ok(())
    }

    /// HTTP: `POST` of a [`Call`] to [`PATH`]. To be served with mutual TLS only.
    pub fn router(&self) -> Router {
        async fn answered(State(storage): State<Storage>, Json(call): Json<Call>) -> Json<Answer> {
            Json(storage.answer(call).await)
        }
        Router::new().route(PATH, post(answered)).with_state(self.clone())
    }

    /// Carries a call out.
    pub async fn answer(&self, call: Call) -> Result<Value> {
        let done = |()| Value::Null;
        match call {
            Call::Create { id, size } => self.on(&id, move |it, id| it.pool.create(id, size)).await.map(done),
            Call::Delete { id } => self.on(&id, delete).await.map(done),
            Call::Grow { id, size } => self.on(&id, move |it, id| it.pool.grow(id, size)).await.map(done),
            Call::List => {
                let exports = self.exports.clone();
                blocking(move || exports.pool.list()).await.map(|found| json!(found))
            }
            Call::Export { id, epoch } => self.export(&id, epoch).await.map(|export| json!(export)),
            Call::Exported { id, epoch } => {
                self.on(&id, move |it, id| it.find(id, epoch)).await.map(|found| json!(found))
            }
            Call::End { id, epoch } => self.on(&id, move |it, id| it.end(id, epoch)).await.map(done),
            Call::Revoke { id, epoch } => self.revoke(&id, epoch).await.map(done),
            Call::Snapshot { id } => {
                let volume = id.volume.clone();
                self.on(&volume, move |it, _| it.pool.snapshot(&id)).await.map(done)
            }
            Call::DeleteSnapshot { id } => {
                let volume = id.volume.clone();
                self.on(&volume, move |it, _| it.pool.delete_snapshot(&id)).await.map(done)
            }
            Call::Snapshots { id } => self.on(&id, |it, id| it.pool.snapshots(id)).await.map(|found| json!(found)),
            Call::Restore { id, from, size } => {
                self.on(&id, move |it, id| it.pool.restore(id, &from, size)).await.map(done)
            }
        }
    }

    /// The export for the holder of `epoch`. Exports of lower epochs end for good: whoever attaches has fenced them.
    pub async fn export(&self, id: &VolumeId, epoch: Epoch) -> Result<Exported> {
        self.on(id, move |exports, id| {
            exports.pool.require("attach", id)?;
            let floor = exports.pool.floor(id)?;
            if epoch < floor {
                let detail = format!("epoch {epoch} is over: the volume belongs to epoch {floor} already");
                return Err(PortError::new(ErrorKind::Refused, "attach", format!("volume {id}"), detail)
                    .advise("if the control database was restored from a backup, raise the member's epoch"));
            }
            exports.pool.raise_floor(id, epoch)?;
            if let Some(before) = epoch.get().checked_sub(1) {
                exports.end(id, Epoch::new(before))?;
            }
            exports.start(id, epoch)
        })
        .await
    }

    /// Cuts the holders of `epoch` and of lower ones off for good.
    pub async fn revoke(&self, id: &VolumeId, epoch: Epoch) -> Result<()> {
        self.on(id, move |exports, id| {
            exports.pool.require("revoke", id)?;
            // First the mark: should we die now, the next one to own the pool starts none of these exports again.
            exports.pool.raise_floor(id, epoch.next())?;
            exports.end(id, epoch)
        })
        .await
    }

    /// Runs blocking work on one volume, alone. It is carried to its end also when the caller goes away.
    async fn on<T: Send + 'static>(
        &self,
        id: &VolumeId,
        work: impl FnOnce(&Exports, &VolumeId) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let lock = {
            let mut volumes = self.volumes.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(volumes.entry(id.clone()).or_default())
        };
        let alone = lock.lock_owned().await;
        let (exports, id) = (self.exports.clone(), id.clone());
        blocking(move || {
            let _alone = alone;
            work(&exports, &id)
        })
        .await
    }
}

fn delete(exports: &Exports, id: &VolumeId) -> Result<()> {
    if exports.any(id)? {
        let detail = "it is attached to a node";
        return Err(PortError::new(ErrorKind::Refused, "delete", format!("volume {id}"), detail)
            .advise("stop the container that uses it, or revoke its epoch"));
    }
    exports.pool.delete(id)
}

/// The line of a node that is the storage host itself.
#[async_trait]
impl StorageLine for Storage {
    async fn call(&self, _path: &str, body: Value) -> Result<Value> {
        let call = serde_json::from_value(body)
            .map_err(|error| PortError::new(ErrorKind::Invalid, "read", "a call to the storage host", error))?;
        Ok(json!(self.answer(call).await))
    }
}
