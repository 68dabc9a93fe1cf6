//! What a user asks for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::FieldError;
use crate::id::{RegionName, VolumeRole};
use crate::size::ByteSize;

/// Most members a service may have, whatever its engine allows.
pub const REPLICAS_MAX: u16 = 100;
/// Smallest volume: below it no engine initialises.
pub const VOLUME_MIN: ByteSize = ByteSize::bytes(256 << 20);
/// Largest volume (64 TiB: the largest any block provider offers for one volume).
pub const VOLUME_MAX: ByteSize = ByteSize::bytes(64 << 40);
/// Least memory for a member.
pub const MEMORY_MIN: ByteSize = ByteSize::bytes(128 << 20);

/// A service as its user wants it. Complete: defaults are filled in when it is made, so that a later release with other
/// defaults does not change a running service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceSpec {
    /// The catalog entry, for example `postgresql`.
    pub engine: String,
    /// The engine's version, for example `15`.
    pub version: String,
    /// The image to run; the catalog's when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// How many members.
    pub replicas: u16,
    /// What each member may use.
    pub resources: Resources,
    /// Each member's volumes.
    pub volumes: VolumeSizes,
    /// The engine's own settings that differ from the computed ones, by the engine's names.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
    /// Choices the engine offers beside its settings, for example `synchronous`.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
    /// Where the members may be. Empty: anywhere in the cluster.
    #[serde(default)]
    pub places: Vec<Place>,
}

/// What one member may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resources {
    /// Memory in bytes; the container's limit, and what settings are computed from.
    pub memory: ByteSize,
    /// Thousandths of a CPU; no limit when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_millis: Option<u32>,
}

/// The sizes of one member's volumes, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VolumeSizes {
    /// The data volume.
    pub data: ByteSize,
    /// The volume for the write-ahead log; on the data volume when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journal: Option<ByteSize>,
}

/// A region and a zone in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The region.
    pub region: RegionName,
    /// The zone, as the region calls it.
    pub zone: String,
}

impl VolumeSizes {
    /// Every volume of a member: what for, and how large.
    pub fn each(&self) -> impl Iterator<Item = (VolumeRole, ByteSize)> {
        std::iter::once((VolumeRole::Data, self.data)).chain(self.journal.map(|size| (VolumeRole::Journal, size)))
    }
}

impl ServiceSpec {
    /// Refusals that hold whatever the engine is; the engine adds its own.
    pub fn problems(&self) -> Vec<FieldError> {
        let mut found = Vec::new();
        if self.replicas == 0 || self.replicas > REPLICAS_MAX {
            found.push(FieldError::new("replicas", format!("is {}", self.replicas), format!("1 to {REPLICAS_MAX}")));
        }
        for (role, size) in self.volumes.each() {
            if size < VOLUME_MIN || size > VOLUME_MAX {
                let field = format!("volumes.{role}");
                found.push(FieldError::new(field, format!("is {size}"), format!("{VOLUME_MIN} to {VOLUME_MAX}")));
            }
        }
        if self.resources.memory < MEMORY_MIN {
            let problem = format!("is {}", self.resources.memory);
            found.push(FieldError::new("resources.memory", problem, format!("at least {MEMORY_MIN}")));
        }
        if self.resources.cpu_millis.is_some_and(|cpu| !(10..=1_024_000).contains(&cpu)) {
            found.push(FieldError::new(
                "resources.cpu_millis",
                "is out of range",
                "10 to 1024000 thousandths of a CPU",
            ));
        }
        found
    }
}

#[cfg(test)]
mod tests;
