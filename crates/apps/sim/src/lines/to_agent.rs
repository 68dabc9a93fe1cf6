//! The line to one agent: everything that another machine may ask of it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::{BoxFuture, FutureExt};
use om_backend::{
    Attachment, ErrorKind, Fencing, MemberStatus, NameService, NodeAgent, PeerView, PortError, Result, SnapshotId,
    VolumeProvider, Voter,
};
use om_model::zone::Zone;
use om_model::{ByteSize, Epoch, Incarnation, MemberName, NodeId, ServiceId, VolumeId};

use super::Lines;

/// The line to one agent.
pub(super) struct Line {
    pub(super) lines: Lines,
    pub(super) to: NodeId,
    pub(super) fencing: Fencing,
}

#[async_trait]
impl Voter for Line {
    async fn renew(&self, holder: &NodeId, life: &Incarnation, roster: u64, term: Duration) -> Result<()> {
        let of = (holder.clone(), life.clone());
        self.lines
            .ask_agent(&self.to, "renew", move |there| {
                let (holder, life) = of.clone();
                async move { there.agent.renew(&holder, &life, roster, term).await }.boxed()
            })
            .await
    }

    async fn bar(&self, holder: &NodeId, life: &Incarnation, roster: u64, term: Duration) -> Result<Duration> {
        let of = (holder.clone(), life.clone());
        self.lines
            .ask_agent(&self.to, "bar", move |there| {
                let (holder, life) = of.clone();
                async move { there.agent.bar(&holder, &life, roster, term).await }.boxed()
            })
            .await
    }
}

#[async_trait]
impl NodeAgent for Line {
    async fn status(&self, service: &ServiceId, member: &MemberName) -> Result<MemberStatus> {
        let of = (service.clone(), member.clone());
        self.lines
            .ask_agent(&self.to, "status", move |there| {
                let (service, member) = of.clone();
                async move { there.agent.status(&service, &member).await }.boxed()
            })
            .await
    }

    async fn reload(&self, service: &ServiceId, member: &MemberName) -> Result<MemberStatus> {
        let of = (service.clone(), member.clone());
        self.lines
            .ask_agent(&self.to, "reload", move |there| {
                let (service, member) = of.clone();
                async move { there.agent.reload(&service, &member).await }.boxed()
            })
            .await
    }

    async fn release(&self, service: &ServiceId, member: &MemberName) -> Result<()> {
        let of = (service.clone(), member.clone());
        self.lines
            .ask_agent(&self.to, "release", move |there| {
                let (service, member) = of.clone();
                async move { there.agent.release(&service, &member).await }.boxed()
            })
            .await
    }

    async fn fence(&self, service: &ServiceId, member: &MemberName, epoch: Epoch) -> Result<()> {
        let of = (service.clone(), member.clone());
        self.lines
            .ask_agent(&self.to, "fence", move |there| {
                let (service, member) = of.clone();
                async move { there.agent.fence(&service, &member, epoch).await }.boxed()
            })
            .await
    }

    async fn peers(&self) -> Result<Vec<PeerView>> {
        self.lines.ask_agent(&self.to, "peers", |there| async move { there.agent.peers().await }.boxed()).await
    }

    async fn grow(&self, volume: &VolumeId) -> Result<()> {
        let volume = volume.clone();
        self.lines
            .ask_agent(&self.to, "grow", move |there| {
                let volume = volume.clone();
                async move { NodeAgent::grow(&there.agent, &volume).await }.boxed()
            })
            .await
    }
}

#[async_trait]
impl NameService for Line {
    async fn publish(&self, zone: &Zone) -> Result<()> {
        let zone = zone.clone();
        self.lines
            .ask_agent(&self.to, "names", move |there| {
                let zone = zone.clone();
                async move { there.names.publish(&zone).await }.boxed()
            })
            .await
    }

    async fn withdraw(&self) -> Result<()> {
        self.lines.ask_agent(&self.to, "names", |there| async move { there.names.withdraw().await }.boxed()).await
    }
}

impl Line {
    async fn volume<W>(&self, what: &str, work: W) -> Result<()>
    where
        W: Fn(Arc<dyn VolumeProvider>) -> BoxFuture<'static, Result<()>> + Send + Sync + 'static,
    {
        self.lines.ask_agent(&self.to, what, move |there| work(there.volumes)).await
    }
}

#[async_trait]
impl VolumeProvider for Line {
    fn name(&self) -> &'static str {
        if self.fencing == Fencing::AtOnce { "nbd" } else { "shared-file" }
    }

    fn single_writer_by(&self) -> &'static str {
        "the simulated storage"
    }

    fn fencing(&self) -> Fencing {
        self.fencing
    }

    async fn create(&self, id: &VolumeId, size: ByteSize) -> Result<()> {
        let id = id.clone();
        self.volume("create volume", move |volumes| {
            let id = id.clone();
            async move { volumes.create(&id, size).await }.boxed()
        })
        .await
    }

    async fn delete(&self, id: &VolumeId) -> Result<()> {
        let id = id.clone();
        self.volume("delete volume", move |volumes| {
            let id = id.clone();
            async move { volumes.delete(&id).await }.boxed()
        })
        .await
    }

    async fn revoke(&self, id: &VolumeId, epoch: Epoch) -> Result<()> {
        let id = id.clone();
        self.volume("revoke volume", move |volumes| {
            let id = id.clone();
            async move { volumes.revoke(&id, epoch).await }.boxed()
        })
        .await
    }

    async fn attach(&self, id: &VolumeId, _: Epoch) -> Result<Attachment> {
        Err(PortError::new(ErrorKind::Refused, "attach", id, "only an agent does that"))
    }

    async fn detach(&self, id: &VolumeId) -> Result<()> {
        Err(PortError::new(ErrorKind::Refused, "detach", id, "only an agent does that"))
    }

    fn grows_in_use(&self) -> bool {
        self.fencing != Fencing::AtOnce
    }

    async fn grow(&self, id: &VolumeId, size: ByteSize) -> Result<()> {
        let id = id.clone();
        self.volume("grow volume", move |volumes| {
            let id = id.clone();
            async move { volumes.grow(&id, size).await }.boxed()
        })
        .await
    }

    async fn snapshots(&self, _: &VolumeId) -> Result<Vec<SnapshotId>> {
        Ok(Vec::new())
    }

    async fn list(&self) -> Result<Vec<VolumeId>> {
        self.lines.ask_agent(&self.to, "list volumes", |there| async move { there.volumes.list().await }.boxed()).await
    }
}
