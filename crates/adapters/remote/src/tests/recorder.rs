//! Every port at once: writes down what it was asked and answers what it was told to.

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use om_backend::control_plane::{GrantedVolume, Held};
use om_backend::{
    Attachment, ControlPlane, Fencing, Grant, MemberPhase, MemberStatus, MountName, NameService, NodeAgent, NodeOrders,
    NodeReport, PeerView, PortError, Result, SnapshotId, VolumeProvider, Voter,
};
use om_engines::member::MemberConfig;
use om_model::zone::Zone;
use om_model::{
    ByteSize, Epoch, Former, Incarnation, MemberName, NodeId, Proof, Resources, Roster, RosterNode, ServiceId,
    VolumeId, VolumeRole, VolumeSizes,
};

/// The fake.
#[derive(Default)]
pub(super) struct Recorder {
    calls: Mutex<Vec<String>>,
    pub(super) failure: Mutex<Option<PortError>>,
    /// Every call takes so long.
    pub(super) delay: Mutex<Duration>,
}

impl Recorder {
    /// What was asked since the last time.
    pub(super) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.calls.lock().expect("no panic"))
    }

    pub(super) fn fail(&self, error: PortError) {
        *self.failure.lock().expect("no panic") = Some(error);
    }

    async fn note<T>(&self, call: String, answer: T) -> Result<T> {
        self.calls.lock().expect("no panic").push(call);
        let delay = *self.delay.lock().expect("no panic");
        tokio::time::sleep(delay).await;
        self.failure.lock().expect("no panic").clone().map_or(Ok(answer), Err)
    }
}

pub(super) fn service() -> ServiceId {
    "0123456789abcdef0123456789abcdef".parse().expect("an id")
}

pub(super) fn member() -> MemberName {
    "orders-0".parse().expect("a name")
}

pub(super) fn node(name: &str) -> NodeId {
    name.parse().expect("a name")
}

pub(super) fn life() -> Incarnation {
    "life-1".parse().expect("a life")
}

pub(super) fn volume() -> VolumeId {
    VolumeId { service: service(), member: member(), role: VolumeRole::Journal }
}

pub(super) fn snapshot() -> SnapshotId {
    SnapshotId { volume: volume(), name: "nightly".into() }
}

pub(super) fn grant() -> Grant {
    let config = MemberConfig {
        service_id: service(),
        service: "orders".parse().expect("a name"),
        member: member(),
        index: 0,
        epoch: Epoch::new(7),
        engine: "postgresql".into(),
        version: "15".into(),
        address: "fd00::7".parse().expect("an address"),
        peers: vec![],
        primary: Some(member()),
        resources: Resources { memory: ByteSize::bytes(1 << 30), cpu_millis: Some(500) },
        volumes: VolumeSizes { data: ByteSize::bytes(1 << 33), journal: None },
        settings: [("work_mem".to_owned(), "\"4MB\"\n".to_owned())].into(),
        options: [].into(),
        configuration: 3,
    };
    Grant {
        member: member(),
        epoch: Epoch::new(7),
        volumes: vec![GrantedVolume { id: volume(), size: ByteSize::bytes(u64::MAX), formatted: true }],
        config,
        secrets: vec![("bytes".into(), (0..=255).collect())],
        unfenced: vec![Former { node: node("node-2"), incarnation: life(), epoch: Epoch::new(6) }],
    }
}

pub(super) fn report(name: &str) -> NodeReport {
    NodeReport {
        node: node(name),
        incarnation: life(),
        address: "10.0.0.1".parse().expect("an address"),
        agent: "10.0.0.1:27041".parse().expect("an address"),
        zone: None,
        roster: 4,
        held: vec![Held { service: service(), member: member(), epoch: Epoch::new(7) }],
        volumes: "recorder".into(),
        single_writer_by: "nobody writes".into(),
        version: "1".into(),
    }
}

pub(super) fn orders() -> NodeOrders {
    let known = report("node-1");
    let node = RosterNode { id: known.node, address: known.address, agent: known.agent };
    NodeOrders { roster: Roster { revision: 5, nodes: vec![node] }, over: known.held }
}

pub(super) fn status() -> MemberStatus {
    MemberStatus {
        phase: MemberPhase::Mending,
        detail: "seeds «anew»".into(),
        health: None,
        configuration: 3,
        restart_pending: true,
        starts: 2,
    }
}

pub(super) fn views() -> Vec<PeerView> {
    let silent_for = Duration::from_micros(1_234_567);
    vec![PeerView { node: node("node-2"), silent_for, watched_for: Duration::MAX }]
}

pub(super) fn attachment() -> Attachment {
    Attachment::Image { path: PathBuf::from("/srv/a b.img"), direct: true }
}

pub(super) fn zone() -> Zone {
    let member = om_model::zone::ZoneMember {
        service: service(),
        epoch: Epoch::new(7),
        address: "10.0.0.9".parse().expect("an address"),
    };
    Zone {
        name: "test-openmanage.com".parse().expect("a zone"),
        serial: 9,
        fixed: [("ns".to_owned(), vec![])].into(),
        members: [(self::member(), member)].into(),
        services: [].into(),
    }
}

#[async_trait]
impl ControlPlane for Recorder {
    async fn knows(&self, name: &MountName) -> Result<bool> {
        self.note(format!("knows {name}"), true).await
    }
    async fn claim(&self, name: &MountName, node: &NodeId, life: &Incarnation, here: &[MemberName]) -> Result<Grant> {
        self.note(format!("claim {name} {node} {life} {here:?}"), grant()).await
    }
    async fn formatted(&self, volume: &VolumeId) -> Result<()> {
        self.note(format!("formatted {volume}"), ()).await
    }
    async fn fenced(&self, service: &ServiceId, member: &MemberName, epoch: Epoch, proof: Proof) -> Result<()> {
        self.note(format!("fenced {service} {member} {epoch} {proof:?}"), ()).await
    }
    async fn report(&self, report: &NodeReport) -> Result<NodeOrders> {
        self.note(format!("report {report:?}"), orders()).await
    }
    async fn publish(&self, service: &ServiceId, member: &MemberName, epoch: Epoch) -> Result<()> {
        self.note(format!("publish {service} {member} {epoch}"), ()).await
    }
    async fn released(&self, service: &ServiceId, member: &MemberName, epoch: Epoch) -> Result<()> {
        self.note(format!("released {service} {member} {epoch}"), ()).await
    }
    async fn refresh(&self, service: &ServiceId, member: &MemberName, epoch: Epoch) -> Result<Grant> {
        self.note(format!("refresh {service} {member} {epoch}"), grant()).await
    }
}

#[async_trait]
impl NodeAgent for Recorder {
    async fn status(&self, service: &ServiceId, member: &MemberName) -> Result<MemberStatus> {
        self.note(format!("status {service} {member}"), status()).await
    }
    async fn reload(&self, service: &ServiceId, member: &MemberName) -> Result<MemberStatus> {
        self.note(format!("reload {service} {member}"), status()).await
    }
    async fn release(&self, service: &ServiceId, member: &MemberName) -> Result<()> {
        self.note(format!("release {service} {member}"), ()).await
    }
    async fn fence(&self, service: &ServiceId, member: &MemberName, epoch: Epoch) -> Result<()> {
        self.note(format!("fence {service} {member} {epoch}"), ()).await
    }
    async fn peers(&self) -> Result<Vec<PeerView>> {
        self.note("peers".into(), views()).await
    }
    async fn grow(&self, volume: &VolumeId) -> Result<()> {
        self.note(format!("grow {volume}"), ()).await
    }
}

#[async_trait]
impl Voter for Recorder {
    async fn renew(&self, holder: &NodeId, life: &Incarnation, roster: u64, term: Duration) -> Result<()> {
        self.note(format!("renew {holder} {life} {roster} {term:?}"), ()).await
    }
    async fn bar(&self, holder: &NodeId, life: &Incarnation, roster: u64, term: Duration) -> Result<Duration> {
        self.note(format!("bar {holder} {life} {roster} {term:?}"), Duration::from_nanos(1_500_000_001)).await
    }
}

#[async_trait]
impl NameService for Recorder {
    async fn publish(&self, zone: &Zone) -> Result<()> {
        self.note(format!("zone {zone:?}"), ()).await
    }
    async fn withdraw(&self) -> Result<()> {
        self.note("withdraw".into(), ()).await
    }
}

#[async_trait]
impl VolumeProvider for Recorder {
    fn name(&self) -> &'static str {
        "recorder"
    }
    fn single_writer_by(&self) -> &'static str {
        "nobody writes"
    }
    fn fencing(&self) -> Fencing {
        Fencing::AfterLease
    }
    async fn create(&self, id: &VolumeId, size: ByteSize) -> Result<()> {
        self.note(format!("create {id} {size}"), ()).await
    }
    async fn delete(&self, id: &VolumeId) -> Result<()> {
        self.note(format!("delete {id}"), ()).await
    }
    async fn revoke(&self, id: &VolumeId, epoch: Epoch) -> Result<()> {
        self.note(format!("revoke {id} {epoch}"), ()).await
    }
    async fn snapshot(&self, id: &SnapshotId) -> Result<()> {
        self.note(format!("snapshot {id:?}"), ()).await
    }
    async fn delete_snapshot(&self, id: &SnapshotId) -> Result<()> {
        self.note(format!("delete snapshot {id:?}"), ()).await
    }
    async fn snapshots(&self, id: &VolumeId) -> Result<Vec<SnapshotId>> {
        self.note(format!("snapshots {id}"), vec![snapshot()]).await
    }
    async fn restore(&self, id: &VolumeId, from: &SnapshotId, size: ByteSize) -> Result<()> {
        self.note(format!("restore {id} {from:?} {size}"), ()).await
    }
    async fn attach(&self, id: &VolumeId, epoch: Epoch) -> Result<Attachment> {
        self.note(format!("attach {id} {epoch}"), attachment()).await
    }
    async fn abandon(&self, id: &VolumeId) -> Result<()> {
        self.note(format!("abandon {id}"), ()).await
    }
    async fn detach(&self, id: &VolumeId) -> Result<()> {
        self.note(format!("detach {id}"), ()).await
    }
    async fn grow(&self, id: &VolumeId, size: ByteSize) -> Result<()> {
        self.note(format!("grow volume {id} {size}"), ()).await
    }
    async fn list(&self) -> Result<Vec<VolumeId>> {
        self.note("list".into(), vec![volume()]).await
    }
}
