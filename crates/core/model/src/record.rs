//! Records of the control database that describe services, members and volumes.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::binding::Binding;
use crate::id::{Epoch, MemberName, NodeId, OperationId, ServiceId, ServiceName, VolumeId};
use crate::size::ByteSize;
use crate::spec::ServiceSpec;
use crate::time::Timestamp;

/// A service, by name. One record, so that one conditional update orders everything that happens to the service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceRecord {
    /// Its name.
    pub name: ServiceName,
    /// Its identity.
    pub id: ServiceId,
    /// What is wanted.
    pub spec: ServiceSpec,
    /// Where it stands.
    pub phase: Phase,
    /// The member that accepts writes, where the engine has one at a time that the platform chooses.
    #[serde(default)]
    pub primary: Option<MemberName>,
    /// Operations accepted and not ended, in order. The first runs; the others wait.
    #[serde(default)]
    pub queue: Vec<OperationId>,
    /// Recoveries accepted and not ended. They run beside the queue, one at a time for each member: an operation that waits
    /// for a member whose node is gone must not hold up what brings the member back.
    #[serde(default)]
    pub recoveries: Vec<Recovery>,
    /// The operation that made it.
    pub origin: OperationId,
    /// Rises with every change of configuration; members report the one they run.
    #[serde(default)]
    pub configuration: u64,
    /// When it was accepted.
    pub created: Timestamp,
}

/// A recovery under way: of which member, from where, by which operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovery {
    /// The member.
    pub member: MemberName,
    /// The node that was lost.
    pub from: NodeId,
    /// The epoch that the member had reached by then.
    pub epoch: Epoch,
    /// The operation.
    pub operation: OperationId,
}

/// Where a service stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Being made.
    Creating,
    /// Its members are to run.
    Active,
    /// Its members are to be stopped; everything is kept.
    Stopped,
    /// Being removed.
    Deleting,
}

impl Phase {
    /// The word used in the API and on screen.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Active => "active",
            Self::Stopped => "stopped",
            Self::Deleting => "deleting",
        }
    }
}

/// A member, by service id and name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberRecord {
    /// Its name.
    pub name: MemberName,
    /// Its service.
    pub service: ServiceId,
    /// Its service's name.
    pub service_name: ServiceName,
    /// Its place among the members, from 0.
    pub index: u16,
    /// Its address, where it has one of its own.
    #[serde(default)]
    pub address: Option<IpAddr>,
    /// Who holds it.
    #[serde(default)]
    pub binding: Binding,
    /// How often its deployment was replaced; the deployment's name tells which is meant.
    #[serde(default)]
    pub replacement: u64,
}

impl MemberRecord {
    /// The node it is to be on; else the one that has it.
    pub fn place(&self) -> Option<&NodeId> {
        self.binding.assigned.as_ref().or(self.binding.holder.as_ref().map(|holder| &holder.node))
    }
}

/// A volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeRecord {
    /// Whose it is and what for.
    pub id: VolumeId,
    /// The service's name when the volume was made, for people who find it after the service is gone.
    pub service_name: ServiceName,
    /// The engine whose data it holds.
    pub engine: String,
    /// Its size.
    pub size: ByteSize,
    /// The provider that made it.
    pub provider: String,
    /// True once a file system was made on it: it is never made again.
    #[serde(default)]
    pub formatted: bool,
    /// When it was made.
    pub created: Timestamp,
    /// When its service was deleted and the volume kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_since: Option<Timestamp>,
}
