//! Steps: each one thing, idempotent, named so that progress can be read.

use om_engines::Role;
use om_model::{ByteSize, MemberName, NodeId, Phase, ServiceSpec, VolumeId};
use serde::{Deserialize, Serialize};

/// One idempotent thing to do. Carried out twice it has the effect of once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "do")]
#[allow(missing_docs, reason = "the fields' names and types say it all")]
pub enum Step {
    /// Write the member's record, with an address of its own, and the node it is to be on where there are several.
    AddMember {
        member: MemberName,
        index: u16,
        #[serde(default)]
        node: Option<NodeId>,
    },
    /// Have the member given to another node: `to` if that can still take it, else one chosen then. Done if it is no
    /// longer meant to be on `from`. The member's deployment has another name from then on.
    AssignMember {
        member: MemberName,
        from: NodeId,
        #[serde(default)]
        to: Option<NodeId>,
    },
    /// Remove the member's deployments of former nodes. Never waits for a node that does not answer.
    RemoveFormer { member: MemberName },
    /// Generate the service's secrets and its members' certificates, those that are not there yet.
    MakeSecrets,
    /// Make a volume and its record.
    CreateVolume { volume: VolumeId, size: ByteSize },
    /// Make the member's deployment, not started.
    CreateDeployment { member: MemberName },
    /// Start the member's deployment and keep it running.
    StartMember { member: MemberName },
    /// Wait until the member is healthy in this role and runs the present configuration.
    AwaitMember { member: MemberName, role: Role },
    /// Stop the member's deployment gracefully.
    StopMember { member: MemberName },
    /// Remove the member's deployment.
    RemoveDeployment { member: MemberName },
    /// Have the member's mounts proven gone and its binding given up, and its name withdrawn.
    ReleaseMember { member: MemberName },
    /// Mark a volume as kept.
    KeepVolume { volume: VolumeId },
    /// Delete a volume, everything on it, and its record.
    DeleteVolume { volume: VolumeId },
    /// Enlarge a volume and the file system on it.
    GrowVolume { volume: VolumeId, size: ByteSize },
    /// Remove the member's record and free its address.
    RemoveMember { member: MemberName },
    /// Remove the service's secrets.
    RemoveSecrets,
    /// Write what is wanted; the number of the configuration rises.
    StoreSpec {
        /// As it is to be.
        spec: Box<ServiceSpec>,
        /// As it was, for the way back.
        before: Box<ServiceSpec>,
    },
    /// Have the member take up the present configuration as far as a reload can.
    ReloadMember { member: MemberName },
    /// Restart the member's container.
    RestartMember { member: MemberName },
    /// Note where the service stands.
    SetPhase { phase: Phase },
    /// Remove the service's record: its name is free again.
    RemoveService,
}

impl Step {
    /// What it does, in words, for progress and logs.
    pub fn describe(&self) -> String {
        match self {
            Self::AddMember { member, node: Some(node), .. } => {
                format!("reserve name and address of {member} on node {node}")
            }
            Self::AddMember { member, .. } => format!("reserve name and address of {member}"),
            Self::AssignMember { member, to: Some(to), .. } => format!("give {member} to node {to}"),
            Self::AssignMember { member, .. } => format!("give {member} to another node"),
            Self::RemoveFormer { member } => format!("remove former container of {member}"),
            Self::MakeSecrets => "generate passwords and certificates".into(),
            Self::CreateVolume { volume, size } => {
                format!("create {} volume of {} ({size})", volume.role, volume.member)
            }
            Self::CreateDeployment { member } => format!("create container of {member}"),
            Self::StartMember { member } => format!("start {member}"),
            Self::AwaitMember { member, role: Role::Primary } => format!("wait for {member} to accept writes"),
            Self::AwaitMember { member, role: Role::Standby } => format!("wait for {member} to follow the primary"),
            Self::StopMember { member } => format!("stop {member}"),
            Self::RemoveDeployment { member } => format!("remove container of {member}"),
            Self::ReleaseMember { member } => format!("release volumes and name of {member}"),
            Self::KeepVolume { volume } => format!("keep {} volume of {}", volume.role, volume.member),
            Self::DeleteVolume { volume } => format!("delete {} volume of {}", volume.role, volume.member),
            Self::GrowVolume { volume, size } => format!("grow {} volume of {} to {size}", volume.role, volume.member),
            Self::RemoveMember { member } => format!("free name and address of {member}"),
            Self::RemoveSecrets => "remove passwords and certificates".into(),
            Self::StoreSpec { .. } => "store the new specification".into(),
            Self::ReloadMember { member } => format!("reload configuration of {member}"),
            Self::RestartMember { member } => format!("restart {member}"),
            Self::SetPhase { phase } => format!("mark the service {}", phase.as_str()),
            Self::RemoveService => "remove the service's record".into(),
        }
    }

    /// The member it concerns, if one.
    pub fn member(&self) -> Option<&MemberName> {
        match self {
            Self::AddMember { member, .. }
            | Self::AssignMember { member, .. }
            | Self::RemoveFormer { member }
            | Self::CreateDeployment { member }
            | Self::StartMember { member }
            | Self::AwaitMember { member, .. }
            | Self::StopMember { member }
            | Self::RemoveDeployment { member }
            | Self::ReleaseMember { member }
            | Self::RemoveMember { member }
            | Self::ReloadMember { member }
            | Self::RestartMember { member } => Some(member),
            Self::CreateVolume { volume, .. }
            | Self::KeepVolume { volume }
            | Self::DeleteVolume { volume }
            | Self::GrowVolume { volume, .. } => Some(&volume.member),
            Self::MakeSecrets
            | Self::RemoveSecrets
            | Self::StoreSpec { .. }
            | Self::SetPhase { .. }
            | Self::RemoveService => None,
        }
    }
}
