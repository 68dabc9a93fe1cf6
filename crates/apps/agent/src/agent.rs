//! [`Agent`]: its ports, its settings, and what it knows while it runs.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::channel::oneshot;
use futures::lock::Mutex as AsyncMutex;
use om_backend::control_plane::Held;
use om_backend::{
    ControlPlane, ErrorKind, Fencing, Host, MemberChannel, PortError, Prober, Result, Runtime, VolumeProvider, Voters,
};
use om_model::{MemberName, ServiceId};

use crate::given_up::Epochs;
use crate::lease::{Lease, Promises};
use crate::locks::Locks;
use crate::roster::Current;
use crate::watch::Watch;

/// What the agent works through.
#[derive(Clone)]
pub struct AgentPorts {
    /// The servers.
    pub control: Arc<dyn ControlPlane>,
    /// The machine.
    pub host: Arc<dyn Host>,
    /// The volumes.
    pub volumes: Arc<dyn VolumeProvider>,
    /// The members on this node.
    pub channel: Arc<dyn MemberChannel>,
    /// Time, tasks and chance.
    pub runtime: Runtime,
    /// Other nodes' signs of life.
    pub prober: Arc<dyn Prober>,
    /// The other agents as voters.
    pub voters: Arc<dyn Voters>,
}

/// How the agent is set up.
#[derive(Clone, Debug)]
pub struct AgentSettings {
    /// The folder under which everything is mounted, and nothing else lies.
    pub mounts: PathBuf,
    /// The member program on this machine, put into every member's control folder.
    pub program: PathBuf,
    /// A folder for what the agent keeps over restarts: the roster, and which epochs it gave up.
    pub state: PathBuf,
    /// Where members' own addresses go; none where the orchestrator gives addresses.
    pub addresses: Option<AddressSettings>,
    /// The cluster of several nodes that this one belongs to, if it does.
    pub cluster: Option<ClusterSettings>,
}

/// Where members' own addresses go.
#[derive(Clone, Debug)]
pub struct AddressSettings {
    /// The network interface.
    pub interface: String,
    /// The length of the network's prefix.
    pub prefix: u8,
    /// The addresses that are members'. Those on the interface that no member here has are taken from it.
    pub range: RangeInclusive<IpAddr>,
}

/// What other nodes and the servers are to know of this one.
#[derive(Clone, Debug)]
pub struct ClusterSettings {
    /// The node's address.
    pub address: IpAddr,
    /// Where its agent answers.
    pub agent: SocketAddr,
    /// Its zone, where it has one.
    pub zone: Option<String>,
    /// The agent's version.
    pub version: String,
    /// How long a lease runs; the same on every node.
    pub lease_term: Duration,
    /// The port at which other nodes' orchestrators are reached, where this node's may get its orders through theirs.
    pub orchestrator_port: Option<u16>,
}

/// The agent of this node. Clones are the same agent.
#[derive(Clone)]
pub struct Agent {
    pub(crate) ports: AgentPorts,
    pub(crate) settings: Arc<AgentSettings>,
    /// One per member: held through everything that makes or takes down its mounts.
    pub(crate) locks: Arc<Locks>,
    pub(crate) known: Arc<Known>,
}

/// What an agent knows while it runs. All of it can be lost: what must hold is found out again, or waited for.
pub(crate) struct Known {
    /// One per member, held briefly: while control folders are unmounted, and while a lease's deadline is written there.
    pub(crate) folders: Locks,
    /// Held while addresses are compared with mounts, and while one is added.
    pub(crate) addressing: AsyncMutex<()>,
    /// Work under way beside the callers, by name.
    busy: Mutex<BTreeSet<String>>,
    /// Why such work failed last, where it did: told once for each reason.
    failing: Mutex<BTreeMap<String, String>>,
    /// Why the last Mount of a member failed, where it did: the servers ask why a member is not there.
    pub(crate) unmounted: Mutex<BTreeMap<(ServiceId, MemberName), PortError>>,
    pub(crate) roster: Mutex<Current>,
    /// Held while a new roster is put on disk.
    pub(crate) taking_roster: AsyncMutex<()>,
    /// Mounts of which a server said that they are over. An epoch that is over stays so.
    pub(crate) over: Mutex<Vec<Held>>,
    pub(crate) watch: Mutex<Watch>,
    /// Only where the storage cannot cut a holder off at once.
    pub(crate) lease: Option<Lease>,
    pub(crate) promises: Promises,
    /// What was granted and given up; none until it is wanted.
    pub(crate) epochs: AsyncMutex<Option<Epochs>>,
}

impl Agent {
    /// An agent. Nothing it keeps in memory must outlive it: another in its place carries on.
    pub fn new(ports: AgentPorts, settings: AgentSettings) -> Self {
        let lease = settings.cluster.as_ref().filter(|_| ports.volumes.fencing() == Fencing::AfterLease);
        let known = Known {
            folders: Locks::default(),
            addressing: AsyncMutex::new(()),
            busy: Mutex::default(),
            failing: Mutex::default(),
            unmounted: Mutex::default(),
            roster: Mutex::default(),
            taking_roster: AsyncMutex::default(),
            over: Mutex::default(),
            watch: Mutex::new(Watch::new(ports.runtime.clock.monotonic())),
            lease: lease.map(|cluster| Lease::new(cluster.lease_term)),
            promises: Promises::new(ports.runtime.clock.clone()),
            epochs: AsyncMutex::default(),
        };
        Self { ports, settings: Arc::new(settings), locks: Arc::default(), known: Arc::new(known) }
    }

    /// What the agent does all the time: watches the other nodes, reports to the servers, keeps its lease. Never returns.
    /// On a machine of its own there is nothing of this to do.
    pub async fn run(&self) {
        let Some(cluster) = &self.settings.cluster else { return futures::future::pending().await };
        self.recall_roster().await;
        futures::join!(self.watch_peers(cluster), self.report_always(cluster), self.keep_lease());
    }

    /// Runs `work` to its end even if the caller stops waiting: Docker gives up on slow plugins, and half a mount is
    /// worse than a late one.
    pub(crate) async fn to_the_end<T, W>(&self, name: &'static str, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: Future<Output = Result<T>> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let task = async move {
            // Nobody may be waiting any more; the work is done all the same.
            let _ = answer.send(work.await);
        };
        self.ports.runtime.tasks.spawn(name, Box::pin(task));
        answered
            .await
            .unwrap_or_else(|_| Err(PortError::new(ErrorKind::Unavailable, name, "here", "the agent is stopping")))
    }

    /// Starts `work` on `subject` beside the caller, unless such work is under way. A loop uses it for what may take long or
    /// hang, one volume's storage being gone, while the others need it.
    pub(crate) fn beside<W>(&self, name: &'static str, subject: String, work: W)
    where
        W: Future<Output = Result<()>> + Send + 'static,
    {
        let key = format!("{name} {subject}");
        if !self.busy().insert(key.clone()) {
            return;
        }
        let done = Done { agent: self.clone(), key };
        let task = async move {
            done.tell(work.await);
        };
        self.ports.runtime.tasks.spawn(name, Box::pin(task));
    }

    fn busy(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.known.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) async fn sleep(&self, length: Duration) {
        self.ports.runtime.clock.sleep(length).await;
    }

    pub(crate) fn now(&self) -> Duration {
        self.ports.runtime.clock.monotonic()
    }
}

/// Notes the end of work, also of work that was dropped or that panicked.
struct Done {
    agent: Agent,
    key: String,
}

impl Done {
    fn tell(&self, result: Result<()>) {
        let mut failing = self.agent.known.failing.lock().unwrap_or_else(PoisonError::into_inner);
        let Err(error) = result else {
            failing.remove(&self.key);
            return;
        };
        let reason = error.to_string();
        if failing.insert(self.key.clone(), reason.clone()) != Some(reason) {
            tracing::warn!(%error, "{}", self.key);
        }
    }
}

impl Drop for Done {
    fn drop(&mut self) {
        self.agent.busy().remove(&self.key);
    }
}
