//! Both ends of [`VolumeProvider`]: servers call, agents answer with the provider on their node.

use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use om_backend::{Attachment, Fencing, Result, SnapshotId, VolumeProvider};
use om_model::{ByteSize, Epoch, VolumeId};
use serde::{Deserialize, Serialize};

use crate::line::Line;
use crate::serving::serve;
use crate::wire::OfVolume;
use crate::wire::volumes::{
    ABANDON, ATTACH, AtEpoch, CREATE, DELETE, DELETE_SNAPSHOT, DETACH, GROW, LIST, OfSize, RESTORE, REVOKE, Restore,
    SNAPSHOT, SNAPSHOTS, TRAITS,
};

/// What is constant about a volume provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeTraits {
    /// [`VolumeProvider::name`].
    pub name: String,
    /// [`VolumeProvider::single_writer_by`].
    pub single_writer_by: String,
    /// [`VolumeProvider::fencing`].
    pub fencing: Fencing,
}

impl VolumeTraits {
    /// Those of `provider`.
    pub fn of(provider: &dyn VolumeProvider) -> Self {
        Self {
            name: provider.name().to_owned(),
            single_writer_by: provider.single_writer_by().to_owned(),
            fencing: provider.fencing(),
        }
    }
}

pub(crate) fn routes(router: Router, volumes: &Arc<dyn VolumeProvider>) -> Router {
    let router = serve(router, &TRAITS, volumes, |volumes, _, ()| async move { Ok(VolumeTraits::of(&*volumes)) });
    let router =
        serve(
            router,
            &CREATE,
            volumes,
            |volumes, _, args| async move { volumes.create(&args.volume, args.size).await },
        );
    let router = serve(router, &DELETE, volumes, |volumes, _, args| async move { volumes.delete(&args.volume).await });
    let router =
        serve(
            router,
            &REVOKE,
            volumes,
            |volumes, _, args| async move { volumes.revoke(&args.volume, args.epoch).await },
        );
    let router = serve(router, &SNAPSHOT, volumes, |volumes, _, id| async move { volumes.snapshot(&id).await });
    let router =
        serve(router, &DELETE_SNAPSHOT, volumes, |volumes, _, id| async move { volumes.delete_snapshot(&id).await });
    let router =
        serve(router, &SNAPSHOTS, volumes, |volumes, _, args| async move { volumes.snapshots(&args.volume).await });
    let router = serve(router, &RESTORE, volumes, |volumes, _, args| async move {
        volumes.restore(&args.volume, &args.from, args.size).await
    });
    let router =
        serve(
            router,
            &ATTACH,
            volumes,
            |volumes, _, args| async move { volumes.attach(&args.volume, args.epoch).await },
        );
    let router =
        serve(router, &ABANDON, volumes, |volumes, _, args| async move { volumes.abandon(&args.volume).await });
    let router = serve(router, &DETACH, volumes, |volumes, _, args| async move { volumes.detach(&args.volume).await });
    let router =
        serve(router, &GROW, volumes, |volumes, _, args| async move { volumes.grow(&args.volume, args.size).await });
    serve(router, &LIST, volumes, |volumes, _, ()| async move { volumes.list().await })
}

/// The provider on one node.
pub(crate) struct RemoteVolumes {
    line: Arc<Line>,
    traits: Arc<VolumeTraits>,
}

impl RemoteVolumes {
    pub(crate) fn new(line: Arc<Line>, traits: Arc<VolumeTraits>) -> Self {
        Self { line, traits }
    }
}

#[async_trait]
impl VolumeProvider for RemoteVolumes {
    fn name(&self) -> &str {
        &self.traits.name
    }

    fn single_writer_by(&self) -> &str {
        &self.traits.single_writer_by
    }

    fn fencing(&self) -> Fencing {
        self.traits.fencing
    }

    async fn create(&self, id: &VolumeId, size: ByteSize) -> Result<()> {
        self.line.ask(&CREATE, &OfSize { volume: id.clone(), size }).await
    }

    async fn delete(&self, id: &VolumeId) -> Result<()> {
        self.line.ask(&DELETE, &OfVolume { volume: id.clone() }).await
    }

    async fn revoke(&self, id: &VolumeId, epoch: Epoch) -> Result<()> {
        self.line.ask(&REVOKE, &AtEpoch { volume: id.clone(), epoch }).await
    }

    async fn snapshot(&self, id: &SnapshotId) -> Result<()> {
        self.line.ask(&SNAPSHOT, id).await
    }

    async fn delete_snapshot(&self, id: &SnapshotId) -> Result<()> {
        self.line.ask(&DELETE_SNAPSHOT, id).await
    }

    async fn snapshots(&self, id: &VolumeId) -> Result<Vec<SnapshotId>> {
        self.line.ask(&SNAPSHOTS, &OfVolume { volume: id.clone() }).await
    }

    async fn restore(&self, id: &VolumeId, from: &SnapshotId, size: ByteSize) -> Result<()> {
        self.line.ask(&RESTORE, &Restore { volume: id.clone(), from: from.clone(), size }).await
    }

    async fn attach(&self, id: &VolumeId, epoch: Epoch) -> Result<Attachment> {
        self.line.ask(&ATTACH, &AtEpoch { volume: id.clone(), epoch }).await
    }

    async fn abandon(&self, id: &VolumeId) -> Result<()> {
        self.line.ask(&ABANDON, &OfVolume { volume: id.clone() }).await
    }

    async fn detach(&self, id: &VolumeId) -> Result<()> {
        self.line.ask(&DETACH, &OfVolume { volume: id.clone() }).await
    }

    async fn grow(&self, id: &VolumeId, size: ByteSize) -> Result<()> {
        self.line.ask(&GROW, &OfSize { volume: id.clone(), size }).await
    }

    async fn list(&self) -> Result<Vec<VolumeId>> {
        self.line.ask(&LIST, &()).await
    }
}
