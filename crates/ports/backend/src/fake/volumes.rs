//! A fake volume provider: names and sizes in memory.

use std::path::PathBuf;

use async_trait::async_trait;
use om_model::{ByteSize, Epoch, VolumeId};

use super::World;
use crate::error::{ErrorKind, PortError, Result};
use crate::volume::{Attachment, VolumeProvider};

/// The fake. It shares its [`World`] with the other fakes.
#[derive(Clone)]
pub struct FakeVolumes {
    world: World,
}

impl FakeVolumes {
    /// A provider in `world`.
    pub fn new(world: World) -> Self {
        Self { world }
    }
}

#[async_trait]
impl VolumeProvider for FakeVolumes {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn single_writer_by(&self) -> &'static str {
        "there is one node, and a volume is mounted once on it"
    }

    async fn create(&self, id: &VolumeId, size: ByteSize) -> Result<()> {
        self.world.lock().volumes.entry(id.clone()).or_insert(size);
        Ok(())
    }

    async fn delete(&self, id: &VolumeId) -> Result<()> {
        let mut world = self.world.lock();
        if world.mounted.contains_key(&(id.service.clone(), id.member.clone())) {
            return Err(PortError::new(ErrorKind::Refused, "delete volume", id, "it is attached"));
        }
        world.volumes.remove(id);
        world.written.remove(id);
        Ok(())
    }

    async fn attach(&self, id: &VolumeId, _epoch: Epoch) -> Result<Attachment> {
        match self.world.lock().volumes.contains_key(id) {
            true => Ok(Attachment::Directory(PathBuf::from(format!("/fake/{id}")))),
            false => Err(PortError::new(ErrorKind::NotFound, "attach volume", id, "there is no such volume")),
        }
    }

    async fn detach(&self, _id: &VolumeId) -> Result<()> {
        Ok(())
    }

    async fn grow(&self, id: &VolumeId, size: ByteSize) -> Result<()> {
        let mut world = self.world.lock();
        let gone = || PortError::new(ErrorKind::NotFound, "grow volume", id, "there is no such volume");
        let now = world.volumes.get_mut(id).ok_or_else(gone)?;
        if size < *now {
            return Err(PortError::new(ErrorKind::Invalid, "grow volume", id, format!("{size} is less than {now}")));
        }
        *now = size;
        Ok(())
    }

    async fn list(&self) -> Result<Vec<VolumeId>> {
        Ok(self.world.lock().volumes.keys().cloned().collect())
    }
}
