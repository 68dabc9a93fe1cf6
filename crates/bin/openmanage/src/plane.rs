//! The agent's line to the server in the same process: laid once both are made.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use om_backend::{ControlPlane, ErrorKind, Grant, MountName, NodeOrders, NodeReport, PortError, Result};
use om_control::Control;
use om_model::{Epoch, Incarnation, MemberName, NodeId, Proof, ServiceId, VolumeId};

/// The line.
#[derive(Default)]
pub(crate) struct Line(OnceLock<Arc<Control>>);

impl Line {
    /// Lays it.
    pub(crate) fn connect(&self, control: Arc<Control>) {
        drop(self.0.set(control));
    }

    fn server(&self) -> Result<&Arc<Control>> {
        let starting = || PortError::new(ErrorKind::Unavailable, "ask", "the server", "it is still starting");
        self.0.get().ok_or_else(starting)
    }
}

#[async_trait]
impl ControlPlane for Line {
    async fn knows(&self, name: &MountName) -> Result<bool> {
        self.server()?.knows(name).await
    }

    async fn claim(&self, name: &MountName, node: &NodeId, life: &Incarnation, here: &[MemberName]) -> Result<Grant> {
        self.server()?.claim(name, node, life, here).await
    }

    async fn formatted(&self, volume: &VolumeId) -> Result<()> {
        self.server()?.formatted(volume).await
    }

    async fn fenced(&self, service: &ServiceId, member: &MemberName, epoch: Epoch, proof: Proof) -> Result<()> {
        self.server()?.fenced(service, member, epoch, proof).await
    }

    async fn report(&self, report: &NodeReport) -> Result<NodeOrders> {
        self.server()?.report(report).await
    }

    async fn publish(&self, service: &ServiceId, member: &MemberName, epoch: Epoch) -> Result<()> {
        self.server()?.publish(service, member, epoch).await
    }

    async fn released(&self, service: &ServiceId, member: &MemberName, epoch: Epoch) -> Result<()> {
        self.server()?.released(service, member, epoch).await
    }

    async fn refresh(&self, service: &ServiceId, member: &MemberName, epoch: Epoch) -> Result<Grant> {
        self.server()?.refresh(service, member, epoch).await
    }
}
