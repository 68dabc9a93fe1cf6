//! Both ends of [`ControlPlane`]: agents call, servers answer.

use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use om_backend::{ControlPlane, ErrorKind, Grant, MountName, NodeOrders, NodeReport, PeerRole, PortError, Result};
use om_model::{Epoch, Incarnation, MemberName, NodeId, Proof, ServiceId, VolumeId};

use crate::identity::Identity;
use crate::servers::Servers;
use crate::serving::{allow, itself, serve};
use crate::wire::plane::{CLAIM, Claim, FENCED, FORMATTED, Fenced, KNOWS, Knows, PUBLISH, REFRESH, RELEASED, REPORT};
use crate::wire::{OfHolder, OfVolume};

/// The server's side: agents may call, and claim and report as themselves only.
pub fn control_plane_router(plane: Arc<dyn ControlPlane>) -> Router {
    let plane = &plane;
    let router =
        serve(
            Router::new(),
            &KNOWS,
            plane,
            |plane, _, args| async move { plane.knows(&mount_name(&args.name)?).await },
        );
    let router = serve(router, &CLAIM, plane, |plane, caller, args| async move {
        itself(&caller, "claim", &args.node)?;
        plane.claim(&mount_name(&args.name)?, &args.node, &args.incarnation, &args.mounted_here).await
    });
    let router = serve(router, &REPORT, plane, |plane, caller, report| async move {
        itself(&caller, "report", &report.node)?;
        plane.report(&report).await
    });
    let router = serve(router, &FORMATTED, plane, |plane, _, args| async move { plane.formatted(&args.volume).await });
    let router = serve(router, &FENCED, plane, |plane, _, args| async move {
        plane.fenced(&args.service, &args.member, args.epoch, args.proof).await
    });
    let router = serve(router, &PUBLISH, plane, |plane, _, args| async move {
        plane.publish(&args.service, &args.member, args.epoch).await
    });
    let router = serve(router, &RELEASED, plane, |plane, _, args| async move {
        plane.released(&args.service, &args.member, args.epoch).await
    });
    let router = serve(router, &REFRESH, plane, |plane, _, args| async move {
        plane.refresh(&args.service, &args.member, args.epoch).await
    });
    allow(router, &[PeerRole::Agent])
}

fn mount_name(text: &str) -> Result<MountName> {
    text.parse().map_err(|error| PortError::new(ErrorKind::Invalid, "read", format!("the volume name {text:?}"), error))
}

/// The servers, as an agent calls them.
#[derive(Clone)]
pub struct RemoteControlPlane {
    servers: Arc<Servers>,
}

impl RemoteControlPlane {
    /// The servers at `urls` (`https://host:port`), any of which will do. Nothing is sent yet.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if a URL is none.
    pub fn new(identity: &Identity, urls: &[impl AsRef<str>]) -> Result<Self> {
        Ok(Self { servers: Servers::new(&identity.client_config(), urls)? })
    }
}

fn of_holder(service: &ServiceId, member: &MemberName, epoch: Epoch) -> OfHolder {
    OfHolder { service: service.clone(), member: member.clone(), epoch }
}

#[async_trait]
impl ControlPlane for RemoteControlPlane {
    async fn knows(&self, name: &MountName) -> Result<bool> {
        self.servers.ask(&KNOWS, &Knows { name: name.to_string() }).await
    }

    async fn claim(
        &self,
        name: &MountName,
        node: &NodeId,
        incarnation: &Incarnation,
        mounted_here: &[MemberName],
    ) -> Result<Grant> {
        let args = Claim {
            name: name.to_string(),
            node: node.clone(),
            incarnation: incarnation.clone(),
            mounted_here: mounted_here.to_vec(),
        };
        self.servers.ask(&CLAIM, &args).await
    }

    async fn formatted(&self, volume: &VolumeId) -> Result<()> {
        self.servers.ask(&FORMATTED, &OfVolume { volume: volume.clone() }).await
    }

    async fn fenced(&self, service: &ServiceId, member: &MemberName, epoch: Epoch, proof: Proof) -> Result<()> {
        let args = Fenced { service: service.clone(), member: member.clone(), epoch, proof };
        self.servers.ask(&FENCED, &args).await
    }

    async fn report(&self, report: &NodeReport) -> Result<NodeOrders> {
        self.servers.ask(&REPORT, report).await
    }

    async fn publish(&self, service: &ServiceId, member: &MemberName, epoch: Epoch) -> Result<()> {
        self.servers.ask(&PUBLISH, &of_holder(service, member, epoch)).await
    }

    async fn released(&self, service: &ServiceId, member: &MemberName, epoch: Epoch) -> Result<()> {
        self.servers.ask(&RELEASED, &of_holder(service, member, epoch)).await
    }

    async fn refresh(&self, service: &ServiceId, member: &MemberName, epoch: Epoch) -> Result<Grant> {
        self.servers.ask(&REFRESH, &of_holder(service, member, epoch)).await
    }
}
