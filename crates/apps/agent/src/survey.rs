//! What is mounted here, from kernel facts: mount paths carry volume and epoch, the control tmpfs carries the record of
//! the Mount that made it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use om_backend::host::ControlFile;
use om_backend::{ErrorKind, Mount, MountName, PortError, Result};
use om_engines::member::CONTROL_DIR;
use om_model::{Epoch, MemberName, ServiceId, VolumeId};
use serde::{Deserialize, Serialize};

use crate::agent::Agent;

/// The record's file on a volume's control tmpfs. Written last: without it no Mount ever succeeded.
const RECORD: &str = "mount-id";

/// Which Mount request a volume was mounted for. The id stands for the container, which a plugin is never told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The volume's name as Docker has it.
    pub(crate) name: String,
    /// Docker's id of the request.
    pub(crate) id: String,
    /// When, on the machine's monotonic clock.
    pub(crate) since: Duration,
}

impl Record {
    pub(crate) fn file(&self) -> Result<ControlFile> {
        let content =
            serde_json::to_vec(self).map_err(|error| PortError::new(ErrorKind::Invalid, "write", RECORD, error))?;
        Ok(ControlFile { path: RECORD.to_owned(), content, mode: 0o600 })
    }
}

/// A volume of ours that is mounted here, perhaps in part.
#[derive(Clone, Debug)]
pub(crate) struct Mounted {
    pub(crate) volume: VolumeId,
    pub(crate) epoch: Epoch,
    /// Where the volume is mounted.
    pub(crate) path: PathBuf,
    /// Every mount at or below `path`, parents first.
    pub(crate) mounts: Vec<Mount>,
    /// None while a Mount is under way, or after one was interrupted.
    pub(crate) record: Option<Record>,
}

impl Mounted {
    /// Where the control tmpfs belongs.
    pub(crate) fn control(&self) -> PathBuf {
        self.path.join(CONTROL_DIR)
    }

    /// The control tmpfs's device number: its own, and in every namespace that has the volume.
    pub(crate) fn control_device(&self) -> Option<(u32, u32)> {
        let control = self.control();
        self.mounts.iter().find(|mount| mount.target == control).map(|mount| mount.device)
    }

    /// True if it was mounted for Docker's request `id`.
    pub(crate) fn was_made_for(&self, id: &str) -> bool {
        self.record.as_ref().is_some_and(|record| record.id == id)
    }

    pub(crate) fn is_of(&self, service: &ServiceId, member: &MemberName) -> bool {
        self.volume.service == *service && self.volume.member == *member
    }

    /// True if Docker's volume `name` stands for this volume.
    pub(crate) fn answers_to(&self, name: &MountName) -> bool {
        match &name.member {
            Some(member) => self.is_of(&name.service, member) && self.volume.role == name.role,
            None => self.record.as_ref().is_some_and(|record| record.name == name.to_string()),
        }
    }
}

/// The folder's name for a volume mounted under an epoch.
pub(crate) fn folder_name(volume: &VolumeId, epoch: Epoch) -> String {
    format!("{}{epoch}", folder_prefix(volume))
}

/// What the names of a volume's folders begin with, whatever the epoch.
pub(crate) fn folder_prefix(volume: &VolumeId) -> String {
    format!("{volume}.e")
}

fn read_folder_name(name: &str) -> Option<(VolumeId, Epoch)> {
    let (volume, epoch) = name.rsplit_once(".e")?;
    let MountName { service, member, role } = volume.parse().ok()?;
    Some((VolumeId { service, member: member?, role }, Epoch::new(epoch.parse().ok()?)))
}

impl Agent {
    /// Everything of ours that is mounted here, the lowest epochs first.
    pub(crate) async fn survey(&self) -> Result<Vec<Mounted>> {
        let folder: &Path = &self.settings.mounts;
        let mut found: Vec<Mounted> = Vec::new();
        for mount in self.ports.host.mounts(folder).await? {
            let Ok(below) = mount.target.strip_prefix(folder) else { continue };
            let Some(name) = below.components().next().and_then(|first| first.as_os_str().to_str()) else { continue };
            let path = folder.join(name);
            if let Some(known) = found.iter_mut().find(|known| known.path == path) {
                known.mounts.push(mount);
            } else if let Some((volume, epoch)) = read_folder_name(name) {
                found.push(Mounted { volume, epoch, path, mounts: vec![mount], record: None });
            }
        }
        for mounted in &mut found {
            if mounted.control_device().is_some() {
                let text = self.ports.host.read_file(&mounted.control().join(RECORD)).await?;
                // A record that cannot be read is none: written whole or not at all, it is not one of ours.
                mounted.record = text.and_then(|text| serde_json::from_slice(&text).ok());
            }
        }
        found.sort_by_key(|mounted| mounted.epoch);
        Ok(found)
    }
}
