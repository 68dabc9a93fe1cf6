//! What an agent asks of the servers: claims, and what a member is to know. The steps are those of design §5.

use std::net::{IpAddr, SocketAddr};

use async_trait::async_trait;
use om_engines::MemberConfig;
use om_model::{
    ByteSize, Epoch, FieldError, Former, Incarnation, MemberName, NodeId, Proof, Roster, ServiceId, VolumeId,
    VolumeRole,
};
use serde::{Deserialize, Serialize};

use crate::error::Result;

/// A volume's name as the orchestrator hands it to the volume plugin: `[journal_]<service id>[_<member>]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MountName {
    /// The service.
    pub service: ServiceId,
    /// The member; when absent, the driver finds out which is meant.
    pub member: Option<MemberName>,
    /// Which of the member's volumes.
    pub role: VolumeRole,
}

/// A volume of a member, as the agent needs to know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantedVolume {
    /// The volume.
    pub id: VolumeId,
    /// Its size.
    pub size: ByteSize,
    /// True if a file system was made on it before.
    pub formatted: bool,
}

/// A claim that was won: what the agent may now mount, and what it gives the member.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Grant {
    /// The member.
    pub member: MemberName,
    /// The epoch under which the node holds it.
    pub epoch: Epoch,
    /// Its volumes.
    pub volumes: Vec<GrantedVolume>,
    /// Its configuration.
    pub config: MemberConfig,
    /// Its secrets, by name, in the clear: they go to the control tmpfs and nowhere else.
    pub secrets: Vec<(String, Vec<u8>)>,
    /// Former holders to be fenced before anything is mounted.
    pub unfenced: Vec<Former>,
}

/// A member that a node has mounted, and under which epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Its service.
    pub service: ServiceId,
    /// The member.
    pub member: MemberName,
    /// The epoch.
    pub epoch: Epoch,
}

/// What an agent tells the servers of its node, about once a second.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeReport {
    /// The node.
    pub node: NodeId,
    /// Its present life.
    pub incarnation: Incarnation,
    /// Its address.
    pub address: IpAddr,
    /// Where its agent answers.
    pub agent: SocketAddr,
    /// The zone it is in, where it has one.
    pub zone: Option<String>,
    /// The revision of the roster it knows.
    pub roster: u64,
    /// What it has mounted.
    pub held: Vec<Held>,
    /// The volume provider it mounts from.
    pub volumes: String,
    /// By what that provider keeps a volume to one writer.
    pub single_writer_by: String,
    /// Its agent's version.
    pub version: String,
}

/// What the servers answer to a [`NodeReport`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeOrders {
    /// Every agent of the cluster.
    pub roster: Roster,
    /// Those of the report's `held` that are over: another holder's turn has come, or the member is gone. To be fenced here
    /// by force, then [released](ControlPlane::released).
    pub over: Vec<Held>,
}

/// The servers, as agents see them.
#[async_trait]
pub trait ControlPlane: Send + Sync {
    /// True if the service and, if named, the member and the volume exist.
    async fn knows(&self, name: &MountName) -> Result<bool>;

    /// Step 1, **claim**: a conditional update of the member's binding. [`ErrorKind::Refused`](crate::ErrorKind) names
    /// the holder. Without a member's name, takes a member that is free or already held by this node and not in
    /// `mounted_here`.
    async fn claim(
        &self,
        name: &MountName,
        node: &NodeId,
        incarnation: &Incarnation,
        mounted_here: &[MemberName],
    ) -> Result<Grant>;

    /// Records that a file system was made on the volume: it is never made again.
    async fn formatted(&self, volume: &VolumeId) -> Result<()>;

    /// Step 2, **fence**: the former holder of `epoch` can write no more, by `proof`. Only this takes it off the list.
    async fn fenced(&self, service: &ServiceId, member: &MemberName, epoch: Epoch, proof: Proof) -> Result<()>;

    /// What the node has to say, and what it is to know.
    async fn report(&self, report: &NodeReport) -> Result<NodeOrders>;

    /// Step 4, **publish**: the holder of `epoch` has mounted; its name may answer. Refused if the epoch has moved on.
    async fn publish(&self, service: &ServiceId, member: &MemberName, epoch: Epoch) -> Result<()>;

    /// The holder of `epoch` has unmounted everything and gives the member up.
    async fn released(&self, service: &ServiceId, member: &MemberName, epoch: Epoch) -> Result<()>;

    /// The present configuration and secrets of a member, for the holder of `epoch`.
    async fn refresh(&self, service: &ServiceId, member: &MemberName, epoch: Epoch) -> Result<Grant>;
}

impl std::fmt::Display for MountName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.role == VolumeRole::Journal {
            f.write_str("journal_")?;
        }
        write!(f, "{}", self.service)?;
        self.member.as_ref().map_or(Ok(()), |member| write!(f, "_{member}"))
    }
}

impl std::str::FromStr for MountName {
    type Err = FieldError;

    fn from_str(text: &str) -> std::result::Result<Self, FieldError> {
        let (role, rest) = match text.strip_prefix("journal_") {
            Some(rest) => (VolumeRole::Journal, rest),
            None => (VolumeRole::Data, text),
        };
        let (service, member) = match rest.split_once('_') {
            Some((service, member)) => (service, Some(member.parse()?)),
            None => (rest, None),
        };
        Ok(Self { service: service.parse()?, member, role })
    }
}
