//! One server process over a world that outlives it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use om_backend::fake::{
    FakeAgent, FakeAgents, FakeAuthority, FakeNames, FakeOrchestrator, FakeSeal, FakeVolumes, World, keep_reporting,
};
use om_backend::faulty::{FaultyAgent, FaultyControlPlane, FaultyDb, FaultyNames, FaultyOrchestrator, FaultyVolumes};
use om_backend::{Agents, NameService, NodeAgent, OneAgent, VolumeProvider};
use om_control::{Accepted, Addressing, Control, ControlError, Ports, ServiceOperation, Settings, Submission};
use om_controldb::memory::MemoryDb;
use om_model::{NodeId, OperationId};

use crate::executor::{Ended, Executor};
use crate::faults::{Plan, Script};

/// Longer than any operation's deadline and its rollback together.
const PATIENCE: Duration = Duration::from_secs(3600);

/// A cluster of one server, on one machine or with several nodes.
pub struct Cluster {
    /// Tasks and time.
    pub executor: Executor,
    /// What goes wrong.
    pub script: Script,
    /// The world outside: containers, volumes.
    pub world: World,
    /// The control database.
    pub db: MemoryDb,
    /// The name service.
    pub names: FakeNames,
    /// The agents, where there are several nodes.
    agents: Option<FakeAgents>,
    control: Arc<Control>,
}

/// Faults that last do not last for ever: past this, nothing fails any more, and what is left must come to its end.
const LIFTED_AFTER: Duration = Duration::from_secs(1000);

type Slot<T> = Arc<Mutex<Option<T>>>;

impl Cluster {
    /// An empty cluster of one machine with its server running.
    pub fn new(seed: u64) -> Self {
        Self::over(seed, World::new(), false)
    }

    /// An empty cluster with its server running and these nodes, which have joined.
    pub fn with_nodes(seed: u64, names: &[&str]) -> Self {
        let mut cluster = Self::over(seed, World::with_nodes(names), true);
        cluster.pass(Duration::from_secs(10));
        cluster
    }

    fn over(seed: u64, world: World, several: bool) -> Self {
        let executor = Executor::new(seed);
        let (script, db, names) = (Script::default(), MemoryDb::new(), FakeNames::default());
        let agents = several.then(|| FakeAgents::new(world.clone()));
        let control = start(&executor, &script, &world, &db, &names, agents.as_ref());
        Self { executor, script, world, db, names, agents, control }
    }

    /// Ends the server process where it is and starts another.
    pub fn restart(&mut self) {
        self.executor.crash();
        self.control = start(&self.executor, &self.script, &self.world, &self.db, &self.names, self.agents.as_ref());
    }

    /// Replaces the script; the server is restarted over it.
    pub fn with_script(&mut self, plan: Plan) {
        self.script = Script::new(plan);
        self.restart();
    }

    /// The server.
    pub fn control(&self) -> Arc<Control> {
        self.control.clone()
    }

    /// Runs `work` as a request would be: beside everything else, and once more on the next process if this one ends
    /// under it.
    ///
    /// # Panics
    /// If it does not end.
    pub fn request<T, F, W>(&mut self, mut work: W) -> T
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
        W: FnMut(Arc<Control>) -> F,
    {
        loop {
            let slot: Slot<T> = Slot::default();
            let (answer, request) = (slot.clone(), work(self.control()));
            self.executor.add(Box::pin(async move {
                let value = request.await;
                *answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
            }));
            let mut crashed = false;
            let ended = self.executor.run_until(PATIENCE, || {
                if self.script.take_cancel() {
                    self.executor.add(Box::pin(cancel_all(self.control.clone())));
                }
                crashed |= self.script.take_crash();
                crashed || slot.lock().unwrap_or_else(PoisonError::into_inner).is_some()
            });
            if crashed {
                self.restart();
                continue;
            }
            assert_eq!(ended, Ended::Reached, "a request did not end");
            let value = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
            return value.expect("just seen");
        }
    }

    /// Submits, and again while the servers do not answer, as a client does.
    ///
    /// # Errors
    /// What the server says, but for "not available".
    pub fn submit(&mut self, submission: &Submission) -> Result<Accepted, ControlError> {
        let from = om_backend::Clock::monotonic(&self.executor);
        loop {
            if om_backend::Clock::monotonic(&self.executor) - from > LIFTED_AFTER {
                self.script.lift();
            }
            let (asked, clock) = (submission.clone(), self.executor.clone());
            let answer = self.request(move |control| {
                let (asked, clock) = (asked.clone(), clock.clone());
                async move {
                    let answer = control.submit(asked).await;
                    om_backend::Clock::sleep(&clock, Duration::from_secs(1)).await;
                    answer
                }
            });
            match answer {
                Err(ControlError::Unavailable(_)) => {}
                other => return other,
            }
        }
    }

    /// Runs until the operation has ended, restarting the server whenever the script ends it.
    ///
    /// # Panics
    /// If it does not end.
    pub fn finish(&mut self, id: &OperationId) -> ServiceOperation {
        let from = om_backend::Clock::monotonic(&self.executor);
        loop {
            let waited = om_backend::Clock::monotonic(&self.executor) - from;
            if waited > LIFTED_AFTER {
                self.script.lift();
            }
            assert!(waited < PATIENCE, "operation {id} has not ended after {waited:?}: {:#?}", self.script.story());
            let asked = id.clone();
            let operation = self.request(move |control| {
                let id = asked.clone();
                async move { control.operation(&id).await }
            });
            match operation {
                Ok(operation) if operation.state.ended() => return operation,
                _ => self.pass(Duration::from_millis(500)),
            }
        }
    }

    /// Lets virtual time pass, restarting the server if the script ends it.
    pub fn pass(&mut self, length: Duration) {
        let clock = self.executor.clone();
        self.request(move |_| {
            let clock = clock.clone();
            async move { om_backend::Clock::sleep(&clock, length).await }
        });
    }
}

/// Cancels whatever is under way, as a user who sees it would. A refusal is an answer too.
async fn cancel_all(control: Arc<Control>) {
    let Ok((operations, _)) = control.operations(None, None, 100).await else { return };
    for operation in operations.iter().filter(|operation| !operation.state.ended()) {
        drop(control.cancel(&operation.id).await);
    }
}

fn start(
    executor: &Executor,
    script: &Script,
    world: &World,
    db: &MemoryDb,
    names: &FakeNames,
    several: Option<&FakeAgents>,
) -> Arc<Control> {
    let faults: Arc<Script> = Arc::new(script.clone());
    let one: Arc<dyn Agents> = Arc::new(OneAgent {
        agent: Arc::new(FaultyAgent::new(Arc::new(FakeAgent::new(world.clone())), faults.clone())),
        volumes: Arc::new(FaultyVolumes::new(Arc::new(FakeVolumes::new(world.clone())), faults.clone())),
        names: Arc::new(names.clone()),
    });
    let ports = Ports {
        db: Arc::new(FaultyDb::new(Arc::new(db.clone()), faults.clone())),
        runtime: executor.runtime(),
        orchestrator: Arc::new(FaultyOrchestrator::new(Arc::new(FakeOrchestrator::new(world.clone())), faults.clone())),
        agents: several.map_or(one, |agents| Arc::new(FaultyAgents { agents: agents.clone(), faults: faults.clone() })),
        names: Arc::new(FaultyNames::new(Arc::new(names.clone()), faults.clone())),
        seal: Arc::new(FakeSeal),
        authority: Arc::new(FakeAuthority),
    };
    let control = Control::new(ports, settings(several.is_some()));
    world.connect(Arc::new(FaultyControlPlane::new(control.clone(), faults)));
    executor.add(Box::pin(control.clone().run()));
    if several.is_some() {
        executor.add(Box::pin(keep_reporting(world.clone(), Arc::new(executor.clone()))));
    }
    control
}

fn settings(several_nodes: bool) -> Settings {
    let cluster: om_model::ClusterName = "sim".parse().expect("a cluster name");
    let range = Addressing::Static { first: Ipv4Addr::new(198, 51, 100, 1), last: Ipv4Addr::new(198, 51, 100, 99) };
    Settings {
        zone: cluster.default_zone(),
        cluster,
        region: None,
        zones: Vec::new(),
        server_addresses: vec![Ipv4Addr::LOCALHOST.into()],
        addresses: if several_nodes { range } else { Addressing::Orchestrator },
        detection: om_control::Detection::default(),
        server: "server1".into(),
        several_nodes,
    }
}

/// The agents of several nodes, each call of them with faults.
struct FaultyAgents {
    agents: FakeAgents,
    faults: Arc<Script>,
}

impl Agents for FaultyAgents {
    fn agent(&self, node: &NodeId, at: SocketAddr) -> Arc<dyn NodeAgent> {
        Arc::new(FaultyAgent::new(self.agents.agent(node, at), self.faults.clone()))
    }

    fn volumes(&self, node: &NodeId, at: SocketAddr) -> Arc<dyn VolumeProvider> {
        Arc::new(FaultyVolumes::new(self.agents.volumes(node, at), self.faults.clone()))
    }

    fn names(&self, node: &NodeId, at: SocketAddr) -> Arc<dyn NameService> {
        Arc::new(FaultyNames::new(self.agents.names(node, at), self.faults.clone()))
    }
}
