//! A member's container: the real member program as its PID 1, over a simulated database server.
//!
//! Parts: `files` and `processes` (the ports of the member program), `database` (the server: what its programs do, what it
//! answers, and how it commits rows).
//!
//! **Invariant:** a row is acknowledged only after the storage has acknowledged it, by a server that runs at that moment.

mod database;
mod files;
mod processes;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use om_backend::fake::FakeHost;
use om_backend::{Clock, EngineClient, PortError};
use om_engines::MemberConfig;
use om_engines::member::{CONFIG_FILE, CONTROL_DIR, DATA_MOUNT};
use om_member::Member;
use om_model::{NodeId, VolumeId, VolumeRole};

use crate::clock::MachineClock;
use crate::env::Env;
use crate::executor::Process;
use crate::ledger::Ledger;
use crate::storage::Storage;
use crate::town::Town;

/// What a container is made of.
pub struct Made {
    /// The surroundings.
    pub env: Env,
    /// The storage.
    pub storage: Storage,
    /// What is promised.
    pub ledger: Ledger,
    /// Where the other members are found.
    pub town: Town,
    /// Its node.
    pub node: NodeId,
    /// The node's kernel.
    pub host: FakeHost,
    /// The node's clock.
    pub clock: MachineClock,
    /// Its first process, as the node sees it.
    pub pid: u32,
    /// Its processes.
    pub process: Process,
    /// What is mounted where in it: the node's path by its own.
    pub mounts: BTreeMap<String, PathBuf>,
}

/// A container that runs.
pub struct Container {
    made: Made,
    /// What the data volume's mount leads to at the storage.
    image: PathBuf,
    device: (u32, u32),
    member: Arc<Member>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// PID 1 has stopped everything else.
    stopped: bool,
    server: Server,
    /// Who waits for the server's end.
    waiting: Vec<Waker>,
    /// Files outside of all volumes.
    files: BTreeMap<String, String>,
    /// How often the configuration was loaded.
    loads: u64,
    /// How often PID 1 or the agent stopped everything.
    pauses: u64,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Server {
    #[default]
    Down,
    /// It recovers; it does not answer yet.
    Starting(u64),
    Up(u64),
    Ended(i32),
}

impl Container {
    /// A container over mounts that are there, its PID 1 not run yet; none if its data volume is not mounted as it should be.
    pub async fn new(made: Made) -> Option<Arc<Self>> {
        let data = made.mounts.get(DATA_MOUNT)?.clone();
        let Some(om_backend::Source::Image { path: image, .. }) = made.host.source_of(&data) else { return None };
        let mounts = om_backend::Host::mounts(&made.host, &data).await.ok()?;
        let device = mounts.iter().find(|mount| mount.target == data)?.device;
        Some(Arc::new_cyclic(|own: &std::sync::Weak<Self>| {
            let ports = processes::ports(own.clone(), &made);
            Self { made, image, device, member: Member::new(ports), state: Mutex::default() }
        }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where its data volume is mounted, as the node sees it.
    pub(crate) fn data(&self) -> Option<&PathBuf> {
        self.made.mounts.get(DATA_MOUNT)
    }

    /// Another container of this machine in which a server runs on the same volume.
    fn rival(&self) -> Option<u32> {
        let others = self.made.town.machine(&self.made.node)?.containers();
        let same = |other: &&Arc<Self>| other.device == self.device && other.made.pid != self.made.pid;
        let serves = |other: &&Arc<Self>| other.made.process.is_alive() && other.server().is_some();
        others.iter().filter(same).find(serves).map(|other| other.pid())
    }

    /// The member program.
    pub fn member(&self) -> &Arc<Member> {
        &self.member
    }

    /// Its first process, as the node sees it.
    pub fn pid(&self) -> u32 {
        self.made.pid
    }

    /// Its processes.
    pub fn process(&self) -> &Process {
        &self.made.process
    }

    /// Its node.
    pub fn node(&self) -> &NodeId {
        &self.made.node
    }

    /// True if `control` is its control folder, as the node sees it.
    pub fn has_control(&self, control: &Path) -> bool {
        self.made.mounts.values().any(|mount| mount.join(CONTROL_DIR) == *control)
    }

    /// What the member was told of itself; nothing while its control folder cannot be read.
    pub async fn config(&self) -> Option<MemberConfig> {
        let path = self.made.mounts.get(DATA_MOUNT)?.join(CONTROL_DIR).join(CONFIG_FILE);
        let text = om_backend::Host::read_file(&self.made.host, &path).await.ok()??;
        serde_json::from_slice(&text).ok()
    }

    /// True while processes of it do not run: stopped by PID 1, or from outside.
    fn is_stopped(&self) -> bool {
        self.lock().stopped || self.made.host.is_stopped(self.made.pid)
    }

    /// Returns once its processes run.
    async fn runs(&self) {
        while self.is_stopped() {
            self.made.env.sleep(Duration::from_millis(20)).await;
        }
    }

    /// How often the server was begun in it, and how often everything was stopped.
    pub fn disturbances(&self) -> u64 {
        self.lock().pauses
    }

    /// Which server runs in it, if one does: another number after each start.
    pub fn server(&self) -> Option<u64> {
        match self.lock().server {
            Server::Starting(number) | Server::Up(number) => Some(number),
            Server::Down | Server::Ended(_) => None,
        }
    }

    fn volume_of(config: &MemberConfig) -> VolumeId {
        VolumeId { service: config.service_id.clone(), member: config.member.clone(), role: VolumeRole::Data }
    }

    /// The server ends, and whoever waits for it is told.
    fn server_ends(&self, code: i32) {
        let mut state = self.lock();
        if matches!(state.server, Server::Starting(_) | Server::Up(_)) {
            state.server = Server::Ended(code);
        }
        state.waiting.drain(..).for_each(Waker::wake);
    }

    /// The container's log goes to the trace.
    fn say(&self, text: &str) {
        self.made.env.note(|| format!("container {} on {}: {text}", self.made.pid, self.made.node));
    }
}

/// A client of the server in the container.
struct Client(std::sync::Weak<Container>);

#[async_trait::async_trait]
impl EngineClient for Client {
    async fn query(&self, sql: &str) -> om_backend::Result<Vec<Vec<Option<String>>>> {
        let gone = || PortError::new(om_backend::ErrorKind::Unavailable, "connect to", "the server", "it is gone");
        self.0.upgrade().ok_or_else(gone)?.answer(sql).await
    }
}

/// The time that the member program goes by.
fn clock_of(made: &Made) -> Arc<dyn Clock> {
    Arc::new(made.clock.clone())
}
