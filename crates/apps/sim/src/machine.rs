//! A machine of the cluster: its kernel, its clocks, its power, and the processes on it.
//!
//! `kernel` is its kernel as an agent uses it.

mod kernel;

use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use om_agent::Agent;
use om_backend::fake::FakeHost;
use om_backend::{Host, VolumeProvider};
use om_control::Control;
use om_model::{Epoch, Incarnation, MemberName, NodeId, ServiceId};

use crate::clock::MachineClock;
use crate::container::Container;
use crate::executor::Process;
use crate::names::Names;
use crate::net::Running;

pub use kernel::Kernel;

/// The interface that members' addresses are on.
pub const INTERFACE: &str = "eth0";
/// Where its agent keeps what must not be forgotten, and in which file what it has given up.
pub const STATE: &str = "/state";
const EPOCHS_FILE: &str = "epochs.json";

/// A machine.
pub struct Machine {
    /// Its name.
    pub id: NodeId,
    /// Its own address.
    pub address: IpAddr,
    /// Its kernel.
    pub host: FakeHost,
    /// Its clocks.
    pub clock: MachineClock,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    on: bool,
    agent: Option<Running<AgentParts>>,
    server: Option<Running<Arc<Control>>>,
    docker: Option<Process>,
    containers: Vec<Arc<Container>>,
}

/// What the agent's process serves.
#[derive(Clone)]
pub struct AgentParts {
    /// The agent.
    pub agent: Agent,
    /// The volumes as it uses them.
    pub volumes: Arc<dyn VolumeProvider>,
    /// The name server in it.
    pub names: Names,
}

/// What runs on every machine, beside containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// The agent.
    Agent,
    /// The server.
    Server,
    /// The container engine.
    Docker,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Agent, Self::Server, Self::Docker];

    /// A word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Server => "server",
            Self::Docker => "docker",
        }
    }
}

impl Machine {
    /// The last epoch of a member that this machine's agent has given up in its present life, as it has it on disk.
    pub async fn given_up(&self, service: &ServiceId, member: &MemberName) -> Option<Epoch> {
        let text = self.host.read_file(&Path::new(STATE).join(EPOCHS_FILE)).await.ok()??;
        let mut known: serde_json::Value = serde_json::from_slice(&text).ok()?;
        let life: Incarnation = serde_json::from_value(known["life"].take()).ok()?;
        let given_up = known["members"][format!("{service}_{member}")]["given_up"].take();
        serde_json::from_value(given_up).ok().filter(|_| life == self.host.incarnation())
    }

    /// A machine that has no power yet.
    pub fn new(id: NodeId, address: IpAddr, clock: MachineClock) -> Arc<Self> {
        Arc::new(Self { host: FakeHost::new(id.clone()), id, address, clock, state: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it has power.
    pub fn is_on(&self) -> bool {
        self.lock().on
    }

    /// Its agent, if that runs.
    pub fn agent(&self) -> Option<Running<AgentParts>> {
        self.lock().agent.clone()
    }

    /// Its server, if that runs.
    pub fn server(&self) -> Option<Running<Arc<Control>>> {
        self.lock().server.clone()
    }

    /// Its agent began.
    pub fn agent_runs(&self, agent: Running<AgentParts>) {
        self.lock().agent = Some(agent);
    }

    /// Its server began.
    pub fn server_runs(&self, server: Running<Arc<Control>>) {
        self.lock().server = Some(server);
    }

    /// Its container engine began.
    pub fn docker_runs(&self, docker: Process) {
        self.lock().docker = Some(docker);
    }

    /// The process of that role, if it runs.
    pub fn process(&self, role: Role) -> Option<Process> {
        let state = self.lock();
        match role {
            Role::Agent => state.agent.as_ref().map(|running| running.process.clone()),
            Role::Server => state.server.as_ref().map(|running| running.process.clone()),
            Role::Docker => state.docker.clone(),
        }
    }

    /// Ends the process of that role where it is; false if there was none.
    pub fn end(&self, role: Role) -> bool {
        let process = self.process(role);
        {
            let mut state = self.lock();
            match role {
                Role::Agent => state.agent = None,
                Role::Server => state.server = None,
                Role::Docker => state.docker = None,
            }
        }
        process.inspect(Process::end).is_some()
    }

    /// The containers on it.
    pub fn containers(&self) -> Vec<Arc<Container>> {
        self.lock().containers.clone()
    }

    /// A container was made.
    pub fn has(&self, container: Arc<Container>) {
        self.lock().containers.push(container);
    }

    /// Ends a container with all its processes, at once.
    pub fn kill(&self, pid: u32) {
        let ended: Vec<_> = {
            let mut state = self.lock();
            let (ended, left) = std::mem::take(&mut state.containers).into_iter().partition(|c| c.pid() == pid);
            state.containers = left;
            ended
        };
        ended.iter().for_each(|container| container.process().end());
        self.host.end_container(pid);
    }

    /// Ends the containers whose processes the kernel does not have any more.
    fn reap(&self) {
        for container in self.containers() {
            if self.host.held_by(container.pid()) == 0 {
                self.kill(container.pid());
            }
        }
    }

    /// It loses its power: every process is gone, and what the kernel had.
    pub fn power_off(&self) {
        for role in Role::ALL {
            self.end(role);
        }
        for container in self.containers() {
            self.kill(container.pid());
        }
        self.host.reboot();
        self.lock().on = false;
    }

    /// It is started: nothing runs on it yet.
    pub fn power_on(&self) {
        self.clock.restart();
        self.lock().on = true;
    }

    /// Forgets everybody on it.
    pub fn clear(&self) {
        let state = std::mem::take(&mut *self.lock());
        drop(state);
    }
}
