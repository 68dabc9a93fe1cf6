//! Tests of the agent over a fake machine, fake servers and a clock that jumps.

mod crashes;
mod fencing;
mod leases;
pub(crate) mod machine;
mod members;
mod protocol;
mod reports;
mod rosters;
mod severing;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use om_backend::fake::{FakeControlPlane, FakeHost, FakeVoters};
use om_backend::member_channel::Request;
use om_backend::{
    Attachment, ErrorKind, Fencing, Host, MemberChannel, MemberPhase, MemberStatus, PortError, Prober, Result, Runtime,
    VolumeProvider,
};
use om_engines::MemberConfig;
use om_model::{
    ByteSize, Epoch, Former, MemberName, NodeId, Resources, Roster, RosterNode, ServiceId, Timestamp, VolumeId,
    VolumeSizes,
};

use crate::{AddressSettings, Agent, AgentPorts, AgentSettings, Alone, ClusterSettings};
use machine::{NoEntropy, Turns, VirtualClock};

const SERVICE: &str = "0123456789abcdef0123456789abcdef";
const MOUNTS: &str = "/state/mnt";

const TERM: Duration = Duration::from_millis(2500);

/// Image volumes that are always there; remembers which are attached and which epochs were revoked, and when.
#[derive(Clone)]
struct Images {
    fencing: Fencing,
    attached: Arc<Mutex<BTreeSet<VolumeId>>>,
    revoked: Arc<Mutex<BTreeMap<VolumeId, (Epoch, Duration)>>>,
    clock: Arc<VirtualClock>,
}

#[async_trait]
impl VolumeProvider for Images {
    fn name(&self) -> &'static str {
        "images"
    }
    fn single_writer_by(&self) -> &'static str {
        "revoking"
    }
    fn fencing(&self) -> Fencing {
        self.fencing
    }
    async fn create(&self, _: &VolumeId, _: ByteSize) -> Result<()> {
        Ok(())
    }
    async fn delete(&self, _: &VolumeId) -> Result<()> {
        Ok(())
    }
    async fn revoke(&self, id: &VolumeId, epoch: Epoch) -> Result<()> {
        machine::give_way().await;
        let mut revoked = self.revoked.lock().unwrap();
        let known = revoked.get(id).map_or(Epoch::NONE, |(known, _)| *known);
        revoked.insert(id.clone(), (epoch.max(known), self.clock.time()));
        Ok(())
    }
    async fn attach(&self, id: &VolumeId, epoch: Epoch) -> Result<Attachment> {
        if self.revoked.lock().unwrap().get(id).is_some_and(|(revoked, _)| epoch <= *revoked) {
            return Err(PortError::new(ErrorKind::Refused, "attach", id, "that epoch was revoked"));
        }
        self.attached.lock().unwrap().insert(id.clone());
        Ok(Attachment::Image { path: image(id), direct: false })
    }
    async fn detach(&self, id: &VolumeId) -> Result<()> {
        machine::give_way().await;
        self.attached.lock().unwrap().remove(id);
        Ok(())
    }
    async fn grow(&self, _: &VolumeId, _: ByteSize) -> Result<()> {
        Ok(())
    }
    async fn list(&self) -> Result<Vec<VolumeId>> {
        Ok(Vec::new())
    }
}

fn image(id: &VolumeId) -> PathBuf {
    Path::new("/volumes").join(format!("{id}.img"))
}

/// A channel on which every member answers, and what they were asked.
#[derive(Clone, Default)]
struct Channel(Arc<Mutex<Vec<(PathBuf, Request)>>>);

#[async_trait]
impl MemberChannel for Channel {
    async fn ask(&self, control: &Path, request: Request) -> Result<MemberStatus> {
        self.0.lock().unwrap().push((control.to_owned(), request));
        let (phase, detail) = (MemberPhase::Running, String::new());
        Ok(MemberStatus { phase, detail, health: None, configuration: 0, restart_pending: false, starts: 1 })
    }
}

fn service() -> ServiceId {
    SERVICE.parse().unwrap()
}

fn member(index: u16) -> MemberName {
    format!("orders-{index}").parse().unwrap()
}

fn config(index: u16, journal: bool) -> MemberConfig {
    let size = ByteSize::bytes(1 << 30);
    MemberConfig {
        service_id: service(),
        service: "orders".parse().unwrap(),
        member: member(index),
        index,
        epoch: Epoch::NONE,
        engine: "postgresql".to_owned(),
        version: "15".to_owned(),
        address: format!("172.30.0.{}", 10 + index).parse().unwrap(),
        peers: Vec::new(),
        primary: None,
        resources: Resources { memory: ByteSize::bytes(1 << 30), cpu_millis: None },
        volumes: VolumeSizes { data: size, journal: journal.then_some(size) },
        settings: BTreeMap::new(),
        options: BTreeMap::new(),
        configuration: 1,
    }
}

/// A node with its agent, the servers, and the voters of other nodes.
struct World {
    host: FakeHost,
    control: FakeControlPlane,
    volumes: Images,
    channel: Channel,
    voters: FakeVoters,
    prober: Arc<dyn Prober>,
    clock: Arc<VirtualClock>,
    turns: Turns,
    cluster: bool,
    orchestrator_port: Option<u16>,
}

impl World {
    /// A machine of its own, with two members, each with a journal of its own.
    fn new() -> Self {
        let control = FakeControlPlane::default();
        (0..2).for_each(|index| control.add(config(index, true)));
        let clock = Arc::new(VirtualClock::default());
        let volumes =
            Images { fencing: Fencing::None, attached: Arc::default(), revoked: Arc::default(), clock: clock.clone() };
        Self {
            host: FakeHost::new(node(1)),
            control,
            volumes,
            channel: Channel::default(),
            voters: FakeVoters::default(),
            prober: Arc::new(Alone),
            clock,
            turns: Turns::default(),
            cluster: false,
            orchestrator_port: None,
        }
    }

    /// A cluster of so many nodes, of which this is the first; the others vote and have voted for long.
    fn of_nodes(count: u16, fencing: Fencing) -> Self {
        let mut world = Self::new();
        world.volumes.fencing = fencing;
        world.cluster = true;
        world.control.set_roster(roster(count));
        (2..=count).for_each(|index| drop(world.put_voter(index, &roster(count))));
        world.clock.advance(TERM * 2);
        world.clock.share();
        world
    }

    /// A voter that has just started and knows that roster.
    fn put_voter(&self, index: u16, roster: &Roster) -> Agent {
        let voter = self.agent_on(FakeHost::new(node(index)));
        self.run(voter.take_roster(roster.clone())).unwrap();
        self.voters.put(node(index), Arc::new(voter.clone()));
        voter
    }

    /// An agent: the first, or another after a restart.
    fn agent(&self) -> Agent {
        self.agent_on(self.host.clone())
    }

    fn agent_on(&self, host: FakeHost) -> Agent {
        let cluster = ClusterSettings {
            address: "10.0.0.1".parse().unwrap(),
            agent: "10.0.0.1:27041".parse().unwrap(),
            zone: None,
            version: "1".to_owned(),
            lease_term: TERM,
            orchestrator_port: self.orchestrator_port,
        };
        let addresses = AddressSettings {
            interface: "eth0".to_owned(),
            prefix: 24,
            range: "172.30.0.10".parse().unwrap()..="172.30.0.99".parse().unwrap(),
        };
        let ports = AgentPorts {
            control: Arc::new(self.control.clone()),
            host: Arc::new(host),
            volumes: Arc::new(self.volumes.clone()),
            channel: Arc::new(self.channel.clone()),
            runtime: Runtime {
                clock: self.clock.clone(),
                tasks: Arc::new(self.turns.clone()),
                entropy: Arc::new(NoEntropy),
            },
            prober: self.prober.clone(),
            voters: Arc::new(self.voters.clone()),
        };
        let settings = AgentSettings {
            mounts: MOUNTS.into(),
            program: "/usr/lib/openmanage/openmanage-member".into(),
            state: "/state".into(),
            addresses: self.cluster.then_some(addresses),
            cluster: self.cluster.then_some(cluster),
        };
        Agent::new(ports, settings)
    }

    /// Runs `work`, and whatever was spawned, until `work` ends.
    fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.turns.run(work)
    }

    /// Another node claims the member, as one that the servers assigned it to, in its only life.
    fn claim_elsewhere(&self, index: u16, elsewhere: u16) {
        self.control.with_binding(&service(), &member(index), |binding| {
            binding.assigned = Some(node(elsewhere));
            let life = "boot-0".parse().unwrap();
            binding.claim(&node(elsewhere), &life, Timestamp::from_millis(0)).unwrap();
        });
    }

    /// The servers want the member here.
    fn assign_here(&self, index: u16) {
        self.control.with_binding(&service(), &member(index), |binding| binding.assigned = Some(node(1)));
    }

    fn unfenced(&self, index: u16) -> Vec<Former> {
        self.control.with_binding(&service(), &member(index), |binding| binding.unfenced.clone())
    }

    fn device_at(&self, path: &Path) -> (u32, u32) {
        let mounts = self.run(self.host.mounts(path)).unwrap();
        mounts.iter().find(|mount| mount.target == path).expect("it is mounted").device
    }

    fn mount(&self, name: &str, id: &str) -> Result<PathBuf> {
        self.run(self.agent().mount(&name.parse().unwrap(), id))
    }

    fn unmount(&self, name: &str, id: &str) -> Result<()> {
        self.run(self.agent().unmount(&name.parse().unwrap(), id))
    }

    fn read(&self, path: &Path) -> Option<Vec<u8>> {
        self.run(self.host.read_file(path)).unwrap()
    }

    fn assert_nothing_left(&self) {
        assert_eq!(self.host.left_behind(), Vec::<PathBuf>::new());
        assert!(self.volumes.attached.lock().unwrap().is_empty(), "everything is detached");
    }
}

fn refused(result: Result<PathBuf>) -> PortError {
    let error = result.expect_err("it is refused");
    assert_eq!(error.kind, ErrorKind::Refused, "{error}");
    error
}

/// The data volume's name with its member.
fn data(index: u16) -> String {
    format!("{SERVICE}_orders-{index}")
}

fn node(index: u16) -> NodeId {
    format!("node-{index}").parse().unwrap()
}

/// The nodes 1 to `count`.
fn roster(count: u16) -> Roster {
    let known = |index| RosterNode {
        id: node(index),
        address: format!("10.0.0.{index}").parse().unwrap(),
        agent: SocketAddr::new(format!("10.0.0.{index}").parse().unwrap(), 27041),
    };
    Roster { revision: u64::from(count), nodes: (1..=count).map(known).collect() }
}

fn volume(index: u16, role: om_model::VolumeRole) -> VolumeId {
    VolumeId { service: service(), member: member(index), role }
}
