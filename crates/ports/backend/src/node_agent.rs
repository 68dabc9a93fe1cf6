//! What a server asks of the agent on a node.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use om_model::{Epoch, MemberName, NodeId, ServiceId, VolumeId};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::member_channel::MemberStatus;
use crate::names::NameService;
use crate::volume::VolumeProvider;

/// The agent of a node. Calls are idempotent; after a time-out the effect is unknown.
#[async_trait]
pub trait NodeAgent: Send + Sync {
    /// The member's own status. [`ErrorKind::NotFound`](crate::ErrorKind) if it is not mounted here,
    /// [`ErrorKind::Unavailable`](crate::ErrorKind) while its program is not up.
    async fn status(&self, service: &ServiceId, member: &MemberName) -> Result<MemberStatus>;

    /// Puts the present configuration and secrets on the member's control folder and makes it reload.
    async fn reload(&self, service: &ServiceId, member: &MemberName) -> Result<MemberStatus>;

    /// Unmounts what is left of the member's mounts and confirms from kernel facts that they are gone: a proof that the
    /// holder is fenced; the server then notes it in the binding. Refused while a container holds them.
    async fn release(&self, service: &ServiceId, member: &MemberName) -> Result<()>;

    /// Design §5 proof a, for a holder that may be at work: whatever of the member is mounted here under `epoch` or one before
    /// it is taken away by force (its address, its file system, its processes, its mounts), and it is confirmed from kernel
    /// facts that nothing is left. It is never mounted under these epochs again.
    async fn fence(&self, service: &ServiceId, member: &MemberName, epoch: Epoch) -> Result<()>;

    /// How long each node of the roster has been silent, by this agent's own clock.
    async fn peers(&self) -> Result<Vec<PeerView>>;

    /// Enlarges the file system of a volume that was grown. Done also if it is not mounted here: it is then done at the
    /// next mount.
    async fn grow(&self, volume: &VolumeId) -> Result<()>;
}

/// What one agent knows of another node's being there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerView {
    /// The node.
    pub node: NodeId,
    /// How long ago it last gave a sign of life: an echo, or any answer of its kernel.
    pub silent_for: Duration,
    /// How long this agent has been looking, without an interruption of its own. A silence counts only as far as somebody
    /// listened.
    pub watched_for: Duration,
}

/// The agents of the cluster, by where they answer.
pub trait Agents: Send + Sync {
    /// The agent of `node`, which answers at `at`.
    fn agent(&self, node: &NodeId, at: SocketAddr) -> Arc<dyn NodeAgent>;

    /// The volume provider, as used by the agent of `node`.
    fn volumes(&self, node: &NodeId, at: SocketAddr) -> Arc<dyn VolumeProvider>;

    /// The name server that the agent of `node` runs.
    fn names(&self, node: &NodeId, at: SocketAddr) -> Arc<dyn NameService>;
}

/// The agents of a cluster of one machine: there is one, in this very process, whichever node is asked for.
#[derive(Clone)]
pub struct OneAgent {
    /// The agent.
    pub agent: Arc<dyn NodeAgent>,
    /// The volume provider it uses.
    pub volumes: Arc<dyn VolumeProvider>,
    /// The name server it runs.
    pub names: Arc<dyn NameService>,
}

impl Agents for OneAgent {
    fn agent(&self, _node: &NodeId, _at: SocketAddr) -> Arc<dyn NodeAgent> {
        self.agent.clone()
    }

    fn volumes(&self, _node: &NodeId, _at: SocketAddr) -> Arc<dyn VolumeProvider> {
        self.volumes.clone()
    }

    fn names(&self, _node: &NodeId, _at: SocketAddr) -> Arc<dyn NameService> {
        self.names.clone()
    }
}
