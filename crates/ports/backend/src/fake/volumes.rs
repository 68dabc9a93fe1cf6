//! A fake volume provider: names, sizes, generations and what is on them, in memory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use om_model::{ByteSize, Epoch, VolumeId};

use super::World;
use crate::error::{ErrorKind, PortError, Result};
use crate::volume::{Attachment, Fencing, SnapshotId, VolumeProvider};

/// What is written on a volume, by name.
type Content = BTreeMap<String, String>;

/// The storage behind the volumes: it outlives servers and nodes.
#[derive(Default)]
pub(super) struct Pool {
    /// Epochs below this one are over.
    floor: BTreeMap<VolumeId, Epoch>,
    /// Which generation is the present one: the epoch since which it is.
    generation: BTreeMap<VolumeId, Epoch>,
    /// What is at each path that was ever attached: late writes reach a path that nobody reads.
    content: BTreeMap<PathBuf, Content>,
    /// Snapshots.
    snapshots: BTreeMap<SnapshotId, (ByteSize, Content)>,
}

impl Pool {
    fn present(&self, id: &VolumeId) -> PathBuf {
        match self.generation.get(id) {
            Some(epoch) => PathBuf::from(format!("/fake/{id}.e{epoch}")),
            None => PathBuf::from(format!("/fake/{id}")),
        }
    }

    /// Gives `epoch` and later ones a generation of their own, with what is on the present one.
    fn begin_generation(&mut self, id: &VolumeId, epoch: Epoch) {
        if self.generation.get(id).is_some_and(|present| *present >= epoch) {
            return;
        }
        let content = self.content.get(&self.present(id)).cloned().unwrap_or_default();
        self.generation.insert(id.clone(), epoch);
        self.content.insert(self.present(id), content);
    }

    fn forget(&mut self, id: &VolumeId) {
        let present = self.present(id);
        self.content.remove(&present);
        self.floor.remove(id);
        self.generation.remove(id);
    }
}

/// The fake. It shares its [`World`] with the other fakes.
#[derive(Clone)]
pub struct FakeVolumes {
    world: World,
    fencing: Fencing,
}

impl FakeVolumes {
    /// A provider in `world` that cannot cut a holder off.
    pub fn new(world: World) -> Self {
        Self { world, fencing: Fencing::None }
    }

    /// One that can.
    #[must_use]
    pub fn fenced(mut self, fencing: Fencing) -> Self {
        self.fencing = fencing;
        self
    }

    /// Writes on what an attachment's path led to, present or not.
    pub fn write(&self, path: &Path, name: &str, text: &str) {
        let mut world = self.world.lock();
        world.pool.content.entry(path.to_owned()).or_default().insert(name.to_owned(), text.to_owned());
    }

    /// What is written there.
    pub fn read(&self, path: &Path, name: &str) -> Option<String> {
        self.world.lock().pool.content.get(path)?.get(name).cloned()
    }
}

fn absent(action: &str, id: &VolumeId) -> PortError {
    PortError::new(ErrorKind::NotFound, action, format!("volume {id}"), "there is no such volume")
}

#[async_trait]
impl VolumeProvider for FakeVolumes {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn single_writer_by(&self) -> &'static str {
        "a volume is mounted once, and what a former holder writes reaches a generation that nobody reads"
    }

    fn fencing(&self) -> Fencing {
        self.fencing
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
        world.pool.forget(id);
        Ok(())
    }

    async fn revoke(&self, id: &VolumeId, epoch: Epoch) -> Result<()> {
        let mut world = self.world.lock();
        if self.fencing == Fencing::None {
            let detail = format!("there is nothing to take it from the holder of epoch {epoch} with");
            return Err(PortError::new(ErrorKind::Refused, "revoke", format!("volume {id}"), detail));
        }
        if !world.volumes.contains_key(id) {
            return Err(absent("revoke", id));
        }
        let pool = &mut world.pool;
        pool.begin_generation(id, epoch.next());
        let floor = pool.floor.entry(id.clone()).or_default();
        *floor = epoch.next().max(*floor);
        Ok(())
    }

    async fn snapshot(&self, id: &SnapshotId) -> Result<()> {
        id.check()?;
        let mut world = self.world.lock();
        let size = *world.volumes.get(&id.volume).ok_or_else(|| absent("snapshot", &id.volume))?;
        let content = world.pool.content.get(&world.pool.present(&id.volume)).cloned().unwrap_or_default();
        world.pool.snapshots.entry(id.clone()).or_insert((size, content));
        Ok(())
    }

    async fn delete_snapshot(&self, id: &SnapshotId) -> Result<()> {
        self.world.lock().pool.snapshots.remove(id);
        Ok(())
    }

    async fn snapshots(&self, id: &VolumeId) -> Result<Vec<SnapshotId>> {
        Ok(self.world.lock().pool.snapshots.keys().filter(|snapshot| snapshot.volume == *id).cloned().collect())
    }

    async fn restore(&self, id: &VolumeId, from: &SnapshotId, size: ByteSize) -> Result<()> {
        let mut world = self.world.lock();
        if world.volumes.contains_key(id) {
            return Ok(());
        }
        let missing = || PortError::new(ErrorKind::NotFound, "restore", &from.name, "there is no such snapshot");
        let (least, content) = world.pool.snapshots.get(from).cloned().ok_or_else(missing)?;
        world.volumes.insert(id.clone(), least.max(size));
        let present = world.pool.present(id);
        world.pool.content.insert(present, content);
        Ok(())
    }

    async fn attach(&self, id: &VolumeId, epoch: Epoch) -> Result<Attachment> {
        let mut world = self.world.lock();
        if !world.volumes.contains_key(id) {
            return Err(absent("attach", id));
        }
        let floor = world.pool.floor.entry(id.clone()).or_default();
        if epoch < *floor {
            let detail = format!("epoch {epoch} is over: {floor} has begun");
            return Err(PortError::new(ErrorKind::Refused, "attach", format!("volume {id}"), detail));
        }
        *floor = epoch;
        if self.fencing != Fencing::None {
            world.pool.begin_generation(id, epoch);
        }
        Ok(Attachment::Directory(world.pool.present(id)))
    }

    async fn detach(&self, _id: &VolumeId) -> Result<()> {
        Ok(())
    }

    async fn grow(&self, id: &VolumeId, size: ByteSize) -> Result<()> {
        let mut world = self.world.lock();
        let now = world.volumes.get_mut(id).ok_or_else(|| absent("grow", id))?;
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
