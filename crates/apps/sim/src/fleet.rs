//! A whole cluster: machines, each with a server, an agent and a container engine; one orchestrator, one storage.
//!
//! Everything that decides is the real code: control, agents, member programs. Parts: `mishaps` (what befalls whole machines,
//! processes and ways), `adversary` (mishaps that wait for the worst moment), `users` (who changes services and writes rows), `settling` (what must be so once all is well again).
//!
//! **Invariant:** a process that ends is begun again by whoever would on a real machine, as long as that has power.

mod adversary;
mod mishaps;
mod settling;
pub mod users;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use om_agent::{AddressSettings, Agent, AgentPorts, AgentSettings, ClusterSettings};
use om_backend::fake::{FakeAuthority, FakeSeal};
use om_backend::faulty::{FaultyControlPlane, FaultyDb, FaultyOrchestrator, FaultyVolumes};
use om_backend::{Runtime, Tasks};
use om_control::{Addressing, Control, Detection, Ports, Settings};
use om_model::NodeId;

use crate::clock::{MachineClock, RATE_MAX};
use crate::docker::{self, Docker};
use crate::env::Env;
use crate::executor::Process;
use crate::ledger::Ledger;
use crate::lines::{AgentLines, Channel, Lines};
use crate::machine::{AgentParts, INTERFACE, Kernel, Machine, Role, STATE};
use crate::names::Names;
use crate::net::{Net, Running};
use crate::records::{Etcd, MOUNTS, Watched};
use crate::storage::{Kind, Provider, Storage};
use crate::swarm::{Swarm, SwarmPort};
use crate::town::Town;
use crate::weather::Steps;

pub use mishaps::Mishap;

/// The first and the last address of members.
const ADDRESSES: (Ipv4Addr, Ipv4Addr) = (Ipv4Addr::new(10, 1, 0, 1), Ipv4Addr::new(10, 1, 0, 99));
const LEASE_TERM: Duration = Duration::from_millis(2500);
/// How long after its end a process is begun again.
const BEGUN_AGAIN: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(4));

/// How large a cluster is, and how hasty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// How many machines it has.
    pub machines: u8,
    /// How long agents miss a node before it is lost.
    pub budget: Duration,
    /// How long a lease lasts.
    pub lease: Duration,
}

impl Default for Size {
    fn default() -> Self {
        Self { machines: 3, budget: Detection::default().budget, lease: LEASE_TERM }
    }
}

/// The cluster.
pub struct Fleet {
    /// The surroundings.
    pub env: Env,
    /// The network.
    pub net: Net,
    /// The storage.
    pub storage: Storage,
    /// The orchestrator.
    pub swarm: Swarm,
    /// The machines.
    pub town: Town,
    /// What was promised.
    pub ledger: Ledger,
    /// The control database.
    pub records: Watched,
    /// Where users are.
    pub client: NodeId,
    /// How large it is, and how hasty.
    pub size: Size,
    engines: Mutex<BTreeMap<NodeId, Docker>>,
    progress: Mutex<users::Progress>,
}

/// A machine's name.
pub fn node(name: &str) -> NodeId {
    name.parse().expect("letters and digits")
}

impl Fleet {
    /// A cluster whose machines have just been started.
    pub fn new(env: &Env, kind: Kind, size: Size) -> Arc<Self> {
        let net = Net::new(env.clone());
        let ledger = Ledger::new(env.clone());
        let storage = Storage::new(env.clone(), net.clone(), ledger.clone(), kind, node("storage"));
        let town = Town::new(env.clone(), net.clone());
        let nodes: Vec<NodeId> = (1..=size.machines).map(|index| node(&format!("n{index}"))).collect();
        for (index, id) in (1..=size.machines).zip(&nodes) {
            let rate = i64::from(env.chance().permille()) * RATE_MAX / 500 - RATE_MAX;
            let clock = MachineClock::new(env.clone(), rate);
            town.add(Machine::new(id.clone(), IpAddr::V4(Ipv4Addr::new(10, 0, 0, index)), clock));
        }
        let fleet = Arc::new(Self {
            env: env.clone(),
            swarm: Swarm::new(env.clone(), net.clone(), nodes),
            records: Watched::new(town.clone(), storage.clone(), ledger.clone()),
            client: node("client"),
            size,
            net,
            storage,
            town,
            ledger,
            engines: Mutex::default(),
            progress: Mutex::default(),
        });
        env.beside(fleet.swarm.clone().keep_leading());
        for machine in fleet.town.machines() {
            fleet.power_on(&machine);
        }
        fleet
    }

    fn engines(&self) -> MutexGuard<'_, BTreeMap<NodeId, Docker>> {
        self.engines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The machine's container engine, if it runs.
    pub fn engine(&self, id: &NodeId) -> Option<Docker> {
        self.engines().get(id).cloned()
    }

    /// A machine is started.
    pub fn power_on(self: &Arc<Self>, machine: &Arc<Machine>) {
        if machine.is_on() {
            return;
        }
        self.env.note(|| format!("{}: power on", machine.id));
        machine.power_on();
        self.net.power(&machine.id, true);
        Role::ALL.into_iter().for_each(|role| self.begin(role, machine));
    }

    /// A machine loses its power.
    pub fn power_off(&self, machine: &Arc<Machine>) {
        self.env.note(|| format!("{}: power off", machine.id));
        self.net.power(&machine.id, false);
        machine.power_off();
        self.engines().remove(&machine.id);
        self.storage.power_off(&machine.id);
    }

    /// A process ends where it is; it is begun again after a while.
    pub fn crash(self: &Arc<Self>, role: Role, id: &NodeId) {
        let Some(machine) = self.town.machine(id) else { return };
        if !machine.end(role) {
            return;
        }
        let (fleet, pause) = (self.clone(), self.env.between(BEGUN_AGAIN.0, BEGUN_AGAIN.1));
        self.env.beside(async move {
            fleet.env.sleep(pause).await;
            fleet.begin(role, &machine);
        });
    }

    /// Begins the process of that role, if the machine has power and none runs.
    pub fn begin(self: &Arc<Self>, role: Role, machine: &Arc<Machine>) {
        if !machine.is_on() || machine.process(role).is_some() {
            return;
        }
        self.env.note(|| format!("{}: {} begins", machine.id, role.word()));
        let process = self.env.executor.process();
        match role {
            Role::Agent => self.begin_agent(machine, process),
            Role::Server => self.begin_server(machine, process),
            Role::Docker => self.begin_docker(machine, process),
        }
    }

    /// The steps of a process.
    fn steps(self: &Arc<Self>, role: Role, id: &NodeId) -> Arc<Steps> {
        let (fleet, of) = (Arc::downgrade(self), id.clone());
        let end = move || fleet.upgrade().iter().for_each(|fleet| fleet.crash(role, &of));
        Steps::new(self.env.clone(), role.word(), id.as_str(), end)
    }

    fn runtime(&self, machine: &Machine, process: &Process) -> Runtime {
        Runtime {
            clock: Arc::new(machine.clock.clone()),
            tasks: Arc::new(process.clone()),
            entropy: self.env.executor.runtime().entropy,
        }
    }

    fn lines(&self, id: &NodeId) -> Lines {
        Lines::new(self.env.clone(), self.net.clone(), self.town.clone(), id.clone())
    }

    fn begin_agent(self: &Arc<Self>, machine: &Arc<Machine>, process: Process) {
        let steps = self.steps(Role::Agent, &machine.id);
        let lines = Arc::new(self.lines(&machine.id));
        let provider = Arc::new(Provider::new(self.storage.clone(), machine.id.clone()));
        let volumes = Arc::new(FaultyVolumes::new(provider, steps.clone()));
        let kernel = Kernel::new(self.env.clone(), machine.clone(), self.storage.clone(), steps.clone());
        let ports = AgentPorts {
            control: Arc::new(FaultyControlPlane::new(lines.clone(), steps)),
            host: Arc::new(kernel),
            volumes: volumes.clone(),
            channel: Arc::new(Channel { env: self.env.clone(), machine: machine.clone() }),
            runtime: self.runtime(machine, &process),
            prober: lines.clone(),
            voters: lines,
        };
        let agent = Agent::new(ports, agent_settings(machine, self.size.lease));
        let keeping = agent.clone();
        process.spawn("agent", Box::pin(async move { keeping.run().await }));
        let service = AgentParts { agent, volumes, names: Names::new(self.ledger.clone()) };
        machine.agent_runs(Running { process, service });
    }

    fn begin_server(self: &Arc<Self>, machine: &Arc<Machine>, process: Process) {
        let steps = self.steps(Role::Server, &machine.id);
        let members = Arc::new(self.town.machines().iter().map(|machine| machine.id.clone()).collect());
        let etcd = Etcd {
            env: self.env.clone(),
            net: self.net.clone(),
            records: self.records.clone(),
            here: machine.id.clone(),
            begun: self.env.now(),
            members,
        };
        let swarm = Arc::new(SwarmPort::new(self.swarm.clone(), machine.id.clone()));
        let fencing = self.storage.kind().fencing();
        let ports = Ports {
            db: Arc::new(FaultyDb::new(Arc::new(etcd), steps.clone())),
            runtime: self.runtime(machine, &process),
            orchestrator: Arc::new(FaultyOrchestrator::new(swarm, steps.clone())),
            agents: Arc::new(AgentLines { lines: self.lines(&machine.id), fencing }),
            names: Arc::new(Names::new(self.ledger.clone())),
            seal: Arc::new(FakeSeal),
            authority: Arc::new(FakeAuthority),
        };
        let control = Control::new(ports, server_settings(machine, self.size.budget));
        let working = control.clone();
        process.spawn("server", Box::pin(async move { working.run().await }));
        machine.server_runs(Running { process, service: control });
    }

    fn begin_docker(self: &Arc<Self>, machine: &Arc<Machine>, process: Process) {
        let parts = docker::Parts {
            env: self.env.clone(),
            net: self.net.clone(),
            machine: machine.clone(),
            swarm: self.swarm.clone(),
            storage: self.storage.clone(),
            ledger: self.ledger.clone(),
            town: self.town.clone(),
        };
        let engine = Docker::new(parts, process.clone());
        self.engines().insert(machine.id.clone(), engine.clone());
        process.spawn("docker", Box::pin(engine.work()));
        machine.docker_runs(process);
    }

    /// Takes the cluster apart, so that nothing keeps anything else alive.
    pub fn clear(&self) {
        self.env.executor.crash();
        self.engines().clear();
        self.town.clear();
    }
}

fn agent_settings(machine: &Machine, lease: Duration) -> AgentSettings {
    let cluster = ClusterSettings {
        address: machine.address,
        agent: (machine.address, 27041).into(),
        zone: None,
        version: "sim".to_owned(),
        lease_term: lease,
        orchestrator_port: Some(2377),
    };
    AgentSettings {
        mounts: PathBuf::from(MOUNTS),
        program: PathBuf::from("/program"),
        state: PathBuf::from(STATE),
        addresses: Some(AddressSettings {
            interface: INTERFACE.to_owned(),
            prefix: 24,
            range: IpAddr::V4(ADDRESSES.0)..=IpAddr::V4(ADDRESSES.1),
        }),
        cluster: Some(cluster),
    }
}

fn server_settings(machine: &Machine, budget: Duration) -> Settings {
    let cluster: om_model::ClusterName = "sim".parse().expect("a cluster name");
    Settings {
        zone: cluster.default_zone(),
        cluster,
        region: None,
        zones: Vec::new(),
        server_addresses: vec![machine.address],
        addresses: Addressing::Static { first: ADDRESSES.0, last: ADDRESSES.1 },
        detection: Detection { budget },
        server: machine.id.to_string(),
        several_nodes: true,
    }
}
