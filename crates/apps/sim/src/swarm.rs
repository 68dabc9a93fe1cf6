//! The orchestrator of several machines: what is to run where, decided by a leader among its managers.
//!
//! One manager on every machine. Without a leader that reaches a majority nobody is answered; a new one is found after some
//! seconds. Machines ask it for their tasks ([`Swarm::tasks`]) and tell it how they stand. It can be late with either.
//!
//! `port` is the orchestrator as a server uses it.

mod port;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use om_backend::{DeploymentSpec, DeploymentState};
use om_model::NodeId;

use crate::env::Env;
use crate::net::Net;

pub use port::SwarmPort;

/// How long there is no leader after the last was lost.
const ELECTION: (Duration, Duration) = (Duration::from_secs(9), Duration::from_secs(16));
/// A machine that was not heard of for so long is down.
const DOWN_AFTER: Duration = Duration::from_secs(15);
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The orchestrator. Clones are the same.
#[derive(Clone)]
pub struct Swarm {
    env: Env,
    net: Net,
    nodes: Arc<Vec<NodeId>>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    deployments: BTreeMap<String, Entry>,
    made: u64,
    leader: Option<NodeId>,
    /// When there was last a leader with a majority.
    led: Duration,
    heard: BTreeMap<NodeId, Duration>,
    /// Machines whose tasks are late, until then.
    late: BTreeMap<NodeId, Duration>,
    /// What it lists instead of what is, until then.
    past: Option<(Duration, BTreeMap<String, Entry>)>,
}

/// A deployment.
#[derive(Clone)]
struct Entry {
    spec: DeploymentSpec,
    /// A deployment that is removed and made again is another.
    number: u64,
    wanted: Wanted,
    state: DeploymentState,
    error: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Nothing,
    Running,
    Stopped,
}

/// What a machine is to run.
#[derive(Clone)]
pub struct Task {
    /// Which deployment, of those that ever had this name.
    pub number: u64,
    /// What.
    pub spec: DeploymentSpec,
}

impl Swarm {
    /// An orchestrator of these machines.
    pub fn new(env: Env, net: Net, nodes: Vec<NodeId>) -> Self {
        let state = State { leader: nodes.first().cloned(), ..State::default() };
        Self { env, net, nodes: Arc::new(nodes), state: Arc::new(Mutex::new(state)) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a leader, for ever.
    pub async fn keep_leading(self) {
        let mut patience = self.env.between(ELECTION.0, ELECTION.1);
        loop {
            let now = self.env.now();
            let leader = self.lock().leader.clone();
            if leader.as_ref().is_some_and(|leader| self.reaches_majority(leader)) {
                self.lock().led = now;
            } else if now.saturating_sub(self.lock().led) > patience {
                let able: Vec<_> = self.nodes.iter().filter(|node| self.reaches_majority(node)).cloned().collect();
                if let Some(next) = self.env.chance().pick(&able) {
                    self.env.note(|| format!("orchestrator: {next} leads"));
                    let mut state = self.lock();
                    (state.leader, state.led) = (Some(next.clone()), now);
                }
                patience = self.env.between(ELECTION.0, ELECTION.1);
            }
            self.env.sleep(LOOK_EVERY).await;
        }
    }

    fn reaches_majority(&self, node: &NodeId) -> bool {
        self.nodes.iter().filter(|other| self.net.both_ways(node, other)).count() * 2 > self.nodes.len()
    }

    /// Whether the manager on `node` gives an answer now.
    fn answers(&self, node: &NodeId) -> bool {
        let leader = self.lock().leader.clone();
        leader.is_some_and(|leader| self.reaches_majority(&leader) && self.net.both_ways(node, &leader))
    }

    /// Tasks of that machine come late from now on, for so long.
    pub fn is_late(&self, node: &NodeId, length: Duration) {
        let until = self.env.now() + length;
        self.lock().late.insert(node.clone(), until);
    }

    /// For so long it lists what is now, whatever becomes of it.
    pub fn lists_the_past(&self, length: Duration) {
        let until = self.env.now() + length;
        let mut state = self.lock();
        state.past = Some((until, state.deployments.clone()));
    }

    /// It forgets what a deployment's machine is to do, until somebody says it again.
    pub fn forgets(&self, number: usize) -> Option<String> {
        let mut state = self.lock();
        let count = state.deployments.len();
        let (name, entry) = state.deployments.iter_mut().nth(number % count.max(1))?;
        entry.wanted = Wanted::Nothing;
        entry.state = DeploymentState::Stopped;
        Some(name.clone())
    }

    /// What a machine is to run, having said what it runs; nothing if it is not told now.
    pub fn tasks(&self, node: &NodeId, running: &[u64]) -> Option<Vec<Task>> {
        if !self.answers(node) {
            return None;
        }
        let now = self.env.now();
        let mut state = self.lock();
        state.heard.insert(node.clone(), now);
        if state.late.get(node).is_some_and(|until| *until > now) {
            return None;
        }
        for entry in state.deployments.values_mut().filter(|entry| entry.spec.node.as_ref() == Some(node)) {
            let over = entry.wanted != Wanted::Running && entry.state != DeploymentState::Created;
            if over && !running.contains(&entry.number) {
                entry.state = DeploymentState::Stopped;
            }
        }
        let here = |entry: &&Entry| entry.spec.node.as_ref() == Some(node) && entry.wanted == Wanted::Running;
        let task = |entry: &Entry| Task { number: entry.number, spec: entry.spec.clone() };
        Some(state.deployments.values().filter(here).map(task).collect())
    }

    /// A machine tells how a deployment stands.
    pub fn stands(&self, node: &NodeId, number: u64, stands: DeploymentState, error: Option<String>) {
        if !self.answers(node) {
            return;
        }
        let mut state = self.lock();
        if let Some(entry) = state.deployments.values_mut().find(|entry| entry.number == number) {
            let stopping = entry.wanted != Wanted::Running && stands != DeploymentState::Stopped;
            if !stopping {
                (entry.state, entry.error) = (stands, error);
            }
        }
    }

    /// Whether it takes a machine for down.
    fn is_down(&self, node: &NodeId) -> bool {
        let heard = self.lock().heard.get(node).copied().unwrap_or_default();
        self.env.now().saturating_sub(heard) > DOWN_AFTER
    }

    /// The names of all deployments.
    pub fn deployments(&self) -> Vec<DeploymentSpec> {
        self.lock().deployments.values().map(|entry| entry.spec.clone()).collect()
    }

    /// Machines of a deployment that is not to run any more have nothing of it left; for those that are stopped.
    fn settle_stopped(&self, name: &str) -> bool {
        let state = self.lock();
        let entry = state.deployments.get(name);
        entry.is_none_or(|entry| entry.wanted == Wanted::Running || entry.state == DeploymentState::Stopped)
    }
}
