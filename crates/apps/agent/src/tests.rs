//! Tests of the agent over a fake machine, fake servers and a clock that jumps.

mod crashes;
mod members;
mod protocol;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;
use om_backend::fake::{FakeControlPlane, FakeHost};
use om_backend::member_channel::Request;
use om_backend::{
    Attachment, Clock, Entropy, ErrorKind, MemberChannel, MemberPhase, MemberStatus, PortError, Result, Runtime, Tasks,
    VolumeProvider,
};
use om_engines::MemberConfig;
use om_model::{ByteSize, Epoch, MemberName, Resources, ServiceId, Timestamp, VolumeId, VolumeSizes};

use crate::{Agent, AgentPorts, AgentSettings};

const SERVICE: &str = "0123456789abcdef0123456789abcdef";
const MOUNTS: &str = "/state/mnt";

/// A clock on which sleeping takes no time but its own.
#[derive(Default)]
struct JumpingClock(Mutex<Duration>);

#[async_trait]
impl Clock for JumpingClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(0)
    }

    fn monotonic(&self) -> Duration {
        *self.0.lock().unwrap()
    }

    async fn sleep(&self, length: Duration) {
        *self.0.lock().unwrap() += length;
    }
}

/// Tasks that run to their end at once.
struct AtOnce;

impl Tasks for AtOnce {
    #[allow(clippy::disallowed_methods, reason = "an executor inside an executor needs a thread of its own")]
    fn spawn(&self, _: &'static str, task: BoxFuture<'static, ()>) {
        std::thread::spawn(|| futures::executor::block_on(task)).join().unwrap();
    }
}

struct NoEntropy;

impl Entropy for NoEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(0);
    }
}

/// Image volumes that are always there; remembers which are attached.
#[derive(Clone, Default)]
struct Images(Arc<Mutex<BTreeSet<VolumeId>>>);

#[async_trait]
impl VolumeProvider for Images {
    fn name(&self) -> &'static str {
        "images"
    }
    fn single_writer_by(&self) -> &'static str {
        "there is one node"
    }
    async fn create(&self, _: &VolumeId, _: ByteSize) -> Result<()> {
        Ok(())
    }
    async fn delete(&self, _: &VolumeId) -> Result<()> {
        Ok(())
    }
    async fn attach(&self, id: &VolumeId, _: Epoch) -> Result<Attachment> {
        self.0.lock().unwrap().insert(id.clone());
        Ok(Attachment::Image { path: image(id), direct: false })
    }
    async fn detach(&self, id: &VolumeId) -> Result<()> {
        self.0.lock().unwrap().remove(id);
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
        address: "172.30.0.10".parse().unwrap(),
        peers: Vec::new(),
        primary: None,
        resources: Resources { memory: ByteSize::bytes(1 << 30), cpu_millis: None },
        volumes: VolumeSizes { data: size, journal: journal.then_some(size) },
        settings: BTreeMap::new(),
        options: BTreeMap::new(),
        configuration: 1,
    }
}

/// A node with its agent, and the servers.
struct World {
    host: FakeHost,
    control: FakeControlPlane,
    volumes: Images,
    channel: Channel,
    runtime: Runtime,
}

impl World {
    /// With two members, each with a journal of its own.
    fn new() -> Self {
        let control = FakeControlPlane::default();
        (0..2).for_each(|index| control.add(config(index, true)));
        let runtime =
            Runtime { clock: Arc::new(JumpingClock::default()), tasks: Arc::new(AtOnce), entropy: Arc::new(NoEntropy) };
        let host = FakeHost::new("node-1".parse().unwrap());
        Self { host, control, volumes: Images::default(), channel: Channel::default(), runtime }
    }

    /// An agent: the first, or another after a restart.
    fn agent(&self) -> Agent {
        let ports = AgentPorts {
            control: Arc::new(self.control.clone()),
            host: Arc::new(self.host.clone()),
            volumes: Arc::new(self.volumes.clone()),
            channel: Arc::new(self.channel.clone()),
            runtime: self.runtime.clone(),
        };
        let settings = AgentSettings { mounts: MOUNTS.into(), program: "/usr/lib/openmanage/openmanage-member".into() };
        Agent::new(ports, settings)
    }

    fn mount(&self, name: &str, id: &str) -> Result<PathBuf> {
        futures::executor::block_on(self.agent().mount(&name.parse().unwrap(), id))
    }

    fn unmount(&self, name: &str, id: &str) -> Result<()> {
        futures::executor::block_on(self.agent().unmount(&name.parse().unwrap(), id))
    }

    fn read(&self, path: &Path) -> Option<Vec<u8>> {
        use om_backend::Host;
        futures::executor::block_on(self.host.read_file(path)).unwrap()
    }

    fn assert_nothing_left(&self) {
        assert_eq!(self.host.left_behind(), Vec::<PathBuf>::new());
        assert!(self.volumes.0.lock().unwrap().is_empty(), "everything is detached");
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
