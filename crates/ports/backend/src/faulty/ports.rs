//! The decorators of the backend's ports.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use om_model::zone::Zone;
use om_model::{ByteSize, Epoch, Incarnation, MemberName, NodeId, Proof, ServiceId, VolumeId};

use super::{Faults, Moment};
use crate::control_plane::{ControlPlane, Grant, MountName, NodeOrders, NodeReport};
use crate::error::{ErrorKind, PortError, Result};
use crate::member_channel::MemberStatus;
use crate::names::NameService;
use crate::node_agent::{NodeAgent, PeerView};
use crate::orchestrator::{Deployment, DeploymentSpec, LogLine, Network, Orchestrator, OrchestratorNode, TaskResult};
use crate::volume::{Attachment, Fencing, SnapshotId, VolumeProvider};

/// Runs one call between its two moments.
async fn call<T>(faults: &dyn Faults, name: String, work: impl Future<Output = Result<T>> + Send) -> Result<T> {
    let failed = |reason: String| PortError::new(ErrorKind::Unavailable, "call", &name, reason);
    if let Some(reason) = faults.at(Moment::Before, &name).await {
        return Err(failed(reason));
    }
    let result = work.await;
    match faults.at(Moment::After, &name).await {
        Some(reason) if result.is_ok() => Err(failed(reason)),
        _ => result,
    }
}

/// A decorator: a port and who decides about its faults.
macro_rules! decorator {
    ($(#[$doc:meta])* $name:ident, $port:ident) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name {
            inner: Arc<dyn $port>,
            faults: Arc<dyn Faults>,
        }

        impl $name {
            /// `inner`, with faults.
            pub fn new(inner: Arc<dyn $port>, faults: Arc<dyn Faults>) -> Self {
                Self { inner, faults }
            }
        }
    };
}

decorator! {
    /// An orchestrator with faults.
    FaultyOrchestrator, Orchestrator
}
decorator! {
    /// A volume provider with faults.
    FaultyVolumes, VolumeProvider
}
decorator! {
    /// An agent with faults.
    FaultyAgent, NodeAgent
}
decorator! {
    /// A name service with faults.
    FaultyNames, NameService
}
decorator! {
    /// Servers that do not always answer the agent.
    FaultyControlPlane, ControlPlane
}

#[async_trait]
impl Orchestrator for FaultyOrchestrator {
    async fn network(&self) -> Result<Network> {
        call(&*self.faults, "orchestrator.network".into(), self.inner.network()).await
    }

    async fn image(&self, candidates: &[String]) -> Result<String> {
        call(&*self.faults, "orchestrator.image".into(), self.inner.image(candidates)).await
    }

    async fn create(&self, spec: &DeploymentSpec) -> Result<()> {
        call(&*self.faults, format!("orchestrator.create {}", spec.member), self.inner.create(spec)).await
    }

    async fn start(&self, name: &str) -> Result<()> {
        call(&*self.faults, format!("orchestrator.start {name}"), self.inner.start(name)).await
    }

    async fn stop(&self, name: &str) -> Result<()> {
        call(&*self.faults, format!("orchestrator.stop {name}"), self.inner.stop(name)).await
    }

    async fn remove(&self, name: &str) -> Result<()> {
        call(&*self.faults, format!("orchestrator.remove {name}"), self.inner.remove(name)).await
    }

    async fn list(&self, service: Option<&ServiceId>) -> Result<Vec<Deployment>> {
        call(&*self.faults, "orchestrator.list".into(), self.inner.list(service)).await
    }

    async fn logs(&self, name: &str, tail: usize, follow: bool) -> Result<BoxStream<'static, Result<LogLine>>> {
        call(&*self.faults, format!("orchestrator.logs {name}"), self.inner.logs(name, tail, follow)).await
    }

    async fn nodes(&self) -> Result<Vec<OrchestratorNode>> {
        call(&*self.faults, "orchestrator.nodes".into(), self.inner.nodes()).await
    }

    async fn run_task(&self, spec: &DeploymentSpec, wait: Duration) -> Result<TaskResult> {
        let run = self.inner.run_task(spec, wait);
        call(&*self.faults, format!("orchestrator.run-task {}", spec.name), run).await
    }

    async fn teardown(&self) -> Result<()> {
        call(&*self.faults, "orchestrator.teardown".into(), self.inner.teardown()).await
    }
}

#[async_trait]
impl VolumeProvider for FaultyVolumes {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn single_writer_by(&self) -> &str {
        self.inner.single_writer_by()
    }

    fn fencing(&self) -> Fencing {
        self.inner.fencing()
    }

    async fn revoke(&self, id: &VolumeId, epoch: Epoch) -> Result<()> {
        call(&*self.faults, format!("volumes.revoke {id}"), self.inner.revoke(id, epoch)).await
    }

    async fn snapshot(&self, id: &SnapshotId) -> Result<()> {
        call(&*self.faults, format!("volumes.snapshot {}", id.volume), self.inner.snapshot(id)).await
    }

    async fn delete_snapshot(&self, id: &SnapshotId) -> Result<()> {
        call(&*self.faults, format!("volumes.delete_snapshot {}", id.volume), self.inner.delete_snapshot(id)).await
    }

    async fn snapshots(&self, id: &VolumeId) -> Result<Vec<SnapshotId>> {
        call(&*self.faults, format!("volumes.snapshots {id}"), self.inner.snapshots(id)).await
    }

    async fn restore(&self, id: &VolumeId, from: &SnapshotId, size: ByteSize) -> Result<()> {
        call(&*self.faults, format!("volumes.restore {id}"), self.inner.restore(id, from, size)).await
    }

    async fn create(&self, id: &VolumeId, size: ByteSize) -> Result<()> {
        call(&*self.faults, format!("volumes.create {id}"), self.inner.create(id, size)).await
    }

    async fn delete(&self, id: &VolumeId) -> Result<()> {
        call(&*self.faults, format!("volumes.delete {id}"), self.inner.delete(id)).await
    }

    async fn attach(&self, id: &VolumeId, epoch: Epoch) -> Result<Attachment> {
        call(&*self.faults, format!("volumes.attach {id}"), self.inner.attach(id, epoch)).await
    }

    async fn abandon(&self, id: &VolumeId) -> Result<()> {
        call(&*self.faults, format!("volumes.abandon {id}"), self.inner.abandon(id)).await
    }

    async fn detach(&self, id: &VolumeId) -> Result<()> {
        call(&*self.faults, format!("volumes.detach {id}"), self.inner.detach(id)).await
    }

    fn grows_in_use(&self) -> bool {
        self.inner.grows_in_use()
    }

    async fn grow(&self, id: &VolumeId, size: ByteSize) -> Result<()> {
        call(&*self.faults, format!("volumes.grow {id}"), self.inner.grow(id, size)).await
    }

    async fn list(&self) -> Result<Vec<VolumeId>> {
        call(&*self.faults, "volumes.list".into(), self.inner.list()).await
    }
}

#[async_trait]
impl NodeAgent for FaultyAgent {
    async fn status(&self, service: &ServiceId, member: &MemberName) -> Result<MemberStatus> {
        call(&*self.faults, format!("agent.status {member}"), self.inner.status(service, member)).await
    }

    async fn reload(&self, service: &ServiceId, member: &MemberName) -> Result<MemberStatus> {
        call(&*self.faults, format!("agent.reload {member}"), self.inner.reload(service, member)).await
    }

    async fn release(&self, service: &ServiceId, member: &MemberName) -> Result<()> {
        call(&*self.faults, format!("agent.release {member}"), self.inner.release(service, member)).await
    }

    async fn fence(&self, service: &ServiceId, member: &MemberName, epoch: Epoch) -> Result<()> {
        call(&*self.faults, format!("agent.fence {member}"), self.inner.fence(service, member, epoch)).await
    }

    async fn peers(&self) -> Result<Vec<PeerView>> {
        call(&*self.faults, "agent.peers".into(), self.inner.peers()).await
    }

    async fn grow(&self, volume: &VolumeId) -> Result<()> {
        call(&*self.faults, format!("agent.grow {volume}"), self.inner.grow(volume)).await
    }
}

#[async_trait]
impl NameService for FaultyNames {
    async fn publish(&self, zone: &Zone) -> Result<()> {
        call(&*self.faults, "names.publish".into(), self.inner.publish(zone)).await
    }

    async fn withdraw(&self) -> Result<()> {
        call(&*self.faults, "names.withdraw".into(), self.inner.withdraw()).await
    }
}

#[async_trait]
impl ControlPlane for FaultyControlPlane {
    async fn knows(&self, name: &MountName) -> Result<bool> {
        call(&*self.faults, format!("control.knows {name}"), self.inner.knows(name)).await
    }

    async fn claim(&self, name: &MountName, node: &NodeId, life: &Incarnation, here: &[MemberName]) -> Result<Grant> {
        call(&*self.faults, format!("control.claim {name}"), self.inner.claim(name, node, life, here)).await
    }

    async fn formatted(&self, volume: &VolumeId) -> Result<()> {
        call(&*self.faults, format!("control.formatted {volume}"), self.inner.formatted(volume)).await
    }

    async fn fenced(&self, service: &ServiceId, member: &MemberName, epoch: Epoch, proof: Proof) -> Result<()> {
        call(&*self.faults, format!("control.fenced {member}"), self.inner.fenced(service, member, epoch, proof)).await
    }

    async fn report(&self, report: &NodeReport) -> Result<NodeOrders> {
        call(&*self.faults, format!("control.report {}", report.node), self.inner.report(report)).await
    }

    async fn publish(&self, service: &ServiceId, member: &MemberName, epoch: Epoch) -> Result<()> {
        call(&*self.faults, format!("control.publish {member}"), self.inner.publish(service, member, epoch)).await
    }

    async fn released(&self, service: &ServiceId, member: &MemberName, epoch: Epoch) -> Result<()> {
        call(&*self.faults, format!("control.released {member}"), self.inner.released(service, member, epoch)).await
    }

    async fn refresh(&self, service: &ServiceId, member: &MemberName, epoch: Epoch) -> Result<Grant> {
        call(&*self.faults, format!("control.refresh {member}"), self.inner.refresh(service, member, epoch)).await
    }
}
