//! The volume provider as the agent on one node uses it.

use async_trait::async_trait;
use om_backend::{Attachment, ErrorKind, Fencing, PortError, Result, VolumeProvider};
use om_model::{ByteSize, Epoch, NodeId, VolumeId};

use super::{Kind, Storage, Volume, path_of, read_path};

/// The provider on one node.
#[derive(Clone)]
pub struct Provider {
    storage: Storage,
    node: NodeId,
}

impl Provider {
    /// On `node`.
    pub fn new(storage: Storage, node: NodeId) -> Self {
        Self { storage, node }
    }

    /// The way to the storage.
    async fn reach(&self, action: &str, id: &VolumeId) -> Result<()> {
        if self.storage.net.travels(&self.node, &self.storage.host).await {
            return Ok(());
        }
        self.storage.env.sleep(std::time::Duration::from_secs(2)).await;
        Err(PortError::new(ErrorKind::TimedOut, action, format!("volume {id}"), "the storage does not answer"))
    }

    /// Carries `change` out at the storage; the answer may be lost on its way back.
    async fn at_storage<T>(
        &self,
        action: &str,
        id: &VolumeId,
        change: impl FnOnce(&mut super::Pool) -> Result<T> + Send,
    ) -> Result<T>
    where
        T: Send,
    {
        self.reach(action, id).await?;
        let done = change(&mut self.storage.lock());
        if self.storage.net.travels(&self.storage.host, &self.node).await {
            return done;
        }
        Err(PortError::new(ErrorKind::TimedOut, action, format!("volume {id}"), "no answer"))
    }
}

fn absent(action: &str, id: &VolumeId) -> PortError {
    PortError::new(ErrorKind::NotFound, action, format!("volume {id}"), "there is no such volume")
}

#[async_trait]
impl VolumeProvider for Provider {
    fn name(&self) -> &'static str {
        match self.storage.kind {
            Kind::SharedFile => "shared-file",
            Kind::Nbd => "nbd",
        }
    }

    fn single_writer_by(&self) -> &'static str {
        "the simulated storage"
    }

    fn fencing(&self) -> Fencing {
        self.storage.kind.fencing()
    }

    async fn create(&self, id: &VolumeId, size: ByteSize) -> Result<()> {
        let make = |pool: &mut super::Pool| {
            pool.volumes.entry(id.clone()).or_insert_with(|| Volume { size, ..Volume::default() });
            Ok(())
        };
        self.at_storage("create", id, make).await
    }

    async fn delete(&self, id: &VolumeId) -> Result<()> {
        let storage = self.storage.clone();
        let remove = |pool: &mut super::Pool| {
            let of_it = |path: &std::path::Path| read_path(path).is_some_and(|(volume, _)| volume == *id);
            let on = |node: &NodeId| storage.net.open(node, &storage.host);
            if storage.kind == Kind::SharedFile
                && pool.attached.iter().any(|(at, path)| *at == self.node && of_it(path))
            {
                return Err(PortError::new(
                    ErrorKind::Refused,
                    "delete",
                    format!("volume {id}"),
                    "it is attached here",
                ));
            }
            let in_use = storage.kind == Kind::Nbd
                && pool.volumes.get(id).is_some_and(|volume| {
                    let live = |path: &std::path::Path| read_path(path).is_some_and(|(_, epoch)| epoch >= volume.floor);
                    pool.attached.iter().any(|(at, path)| of_it(path) && live(path) && on(at))
                });
            if in_use {
                return Err(PortError::new(ErrorKind::Refused, "delete", format!("volume {id}"), "it is attached"));
            }
            if pool.volumes.remove(id).is_some() {
                storage.ledger.deleted(id);
            }
            Ok(())
        };
        self.at_storage("delete", id, remove).await
    }

    async fn revoke(&self, id: &VolumeId, epoch: Epoch) -> Result<()> {
        let revoke = |pool: &mut super::Pool| {
            let volume = pool.volumes.get_mut(id).ok_or_else(|| absent("revoke", id))?;
            let next = epoch.next();
            if volume.floor < next {
                volume.floor = next;
            }
            let youngest = volume.generations.last_key_value().map(|(youngest, _)| *youngest);
            if youngest.is_some_and(|youngest| youngest < next) {
                pool.begin(id, next, &self.storage.env)?;
            }
            Ok(())
        };
        let done = self.at_storage("revoke", id, revoke).await;
        self.storage.ledger.check_rows(&self.storage, id);
        done
    }

    async fn attach(&self, id: &VolumeId, epoch: Epoch) -> Result<Attachment> {
        let path = path_of(id, epoch);
        let attach = |pool: &mut super::Pool| {
            let volume = pool.volumes.get_mut(id).ok_or_else(|| absent("attach", id))?;
            if epoch < volume.floor {
                let detail = format!("epoch {epoch} is over: {} has begun", volume.floor);
                return Err(PortError::new(ErrorKind::Refused, "attach", format!("volume {id}"), detail));
            }
            volume.floor = epoch;
            let youngest = volume.generations.last_key_value().map(|(youngest, _)| *youngest);
            if youngest.is_none_or(|youngest| youngest < epoch) {
                pool.begin(id, epoch, &self.storage.env)?;
            }
            pool.attached.insert((self.node.clone(), path_of(id, epoch)));
            Ok(())
        };
        let done = self.at_storage("attach", id, attach).await;
        self.storage.ledger.check_rows(&self.storage, id);
        done.map(|()| Attachment::Image { path, direct: true })
    }

    async fn abandon(&self, id: &VolumeId) -> Result<()> {
        self.detach(id).await
    }

    async fn detach(&self, id: &VolumeId) -> Result<()> {
        // The node's own doing: no storage is needed for it.
        let mut pool = self.storage.lock();
        pool.attached.retain(|(at, path)| *at != self.node || read_path(path).is_none_or(|(volume, _)| volume != *id));
        Ok(())
    }

    fn grows_in_use(&self) -> bool {
        self.storage.kind == Kind::SharedFile
    }

    async fn grow(&self, id: &VolumeId, size: ByteSize) -> Result<()> {
        let grow = |pool: &mut super::Pool| {
            let volume = pool.volumes.get_mut(id).ok_or_else(|| absent("grow", id))?;
            volume.size = volume.size.max(size);
            Ok(())
        };
        self.at_storage("grow", id, grow).await
    }

    async fn list(&self) -> Result<Vec<VolumeId>> {
        Ok(self.storage.volumes())
    }
}
