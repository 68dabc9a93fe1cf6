//! The container engine of one machine: it runs the orchestrator's tasks, and asks the volume plugin for their volumes.
//!
//! Its containers outlive it. Started anew it ends those it finds, as Docker does, and begins with what it is to run.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use futures::channel::oneshot;
use futures::future::{BoxFuture, Either, FutureExt, select};
use om_backend::{DeploymentState, ErrorKind, PortError, Result, Tasks};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::container::{Container, Made};
use crate::env::Env;
use crate::executor::Process;
use crate::ledger::Ledger;
use crate::machine::{AgentParts, Machine};
use crate::net::{Ask, Net};
use crate::storage::Storage;
use crate::swarm::{Swarm, Task};
use crate::town::Town;

/// How often it asks what it is to run.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long it waits for the volume plugin.
const PLUGIN_WITHIN: Duration = Duration::from_secs(120);
/// Between the end of a container and the next start.
const RESTART_DELAY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// What the engine works with.
#[derive(Clone)]
pub struct Parts {
    /// The surroundings.
    pub env: Env,
    /// The network.
    pub net: Net,
    /// The machine.
    pub machine: Arc<Machine>,
    /// The orchestrator.
    pub swarm: Swarm,
    /// The storage.
    pub storage: Storage,
    /// What is promised.
    pub ledger: Ledger,
    /// The other machines.
    pub town: Town,
}

/// The engine: one life of it.
#[derive(Clone)]
pub struct Docker {
    parts: Parts,
    process: Process,
    runs: Arc<Mutex<BTreeMap<u64, Run>>>,
}

/// A task that it runs.
struct Run {
    /// Tells it to stop.
    stop: Option<oneshot::Sender<()>>,
}

/// What asks a container to stop.
type Stop = futures::future::Shared<BoxFuture<'static, ()>>;

impl Docker {
    /// A new life of the engine.
    pub fn new(parts: Parts, process: Process) -> Self {
        Self { parts, process, runs: Arc::default() }
    }

    fn runs(&self) -> MutexGuard<'_, BTreeMap<u64, Run>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs what is to run, for ever.
    pub async fn work(self) {
        for container in self.parts.machine.containers() {
            self.parts.machine.kill(container.pid());
        }
        loop {
            let running: Vec<u64> = self.runs().keys().copied().collect();
            if let Some(tasks) = self.parts.swarm.tasks(&self.parts.machine.id, &running) {
                self.compare(&tasks);
            }
            self.parts.env.sleep(LOOK_EVERY).await;
        }
    }

    /// Starts what is missing and stops what is too many.
    fn compare(&self, tasks: &[Task]) {
        let mut runs = self.runs();
        for (number, run) in runs.iter_mut() {
            if !tasks.iter().any(|task| task.number == *number)
                && let Some(stop) = run.stop.take()
            {
                stop.send(()).ok();
            }
        }
        let missing: Vec<Task> = tasks.iter().filter(|task| !runs.contains_key(&task.number)).cloned().collect();
        drop(runs);
        missing.into_iter().for_each(|task| self.begin(task));
    }

    /// Runs a task once more, beside whatever runs, for a while: what an orchestrator that has lost count does.
    pub fn stray(&self, task: Task, length: Duration) {
        let (docker, env) = (self.clone(), self.parts.env.clone());
        let over: BoxFuture<'static, ()> = Box::pin(async move { env.sleep(length).await });
        let stop = over.shared();
        let run = async move {
            let name = task.spec.name.clone();
            let ended = docker.run_once(&task, &stop).await;
            docker.parts.env.note(|| format!("stray container of {name}: {ended:?}"));
        };
        self.process.spawn("stray", Box::pin(run));
    }

    fn begin(&self, task: Task) {
        let (stop, stopped) = oneshot::channel::<()>();
        self.runs().insert(task.number, Run { stop: Some(stop) });
        // Dropped with this life of the engine, it asks nobody to stop.
        let stopped = async move {
            if stopped.await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let (docker, stop) = (self.clone(), stopped.boxed().shared());
        let run = async move {
            docker.keep(&task, &stop).await;
            docker.runs().remove(&task.number);
        };
        self.process.spawn("run", Box::pin(run));
    }

    /// Starts the task's container again and again, until it is to stop.
    async fn keep(&self, task: &Task, stop: &Stop) {
        let (parts, number) = (&self.parts, task.number);
        let mut delay = RESTART_DELAY.0;
        while stop.peek().is_none() {
            let ended = self.run_once(task, stop).await;
            let error = match ended {
                Ok(code) => (code != 0).then(|| format!("exit code {code}")),
                Err(error) => Some(error.to_string()),
            };
            delay = if error.is_some() { (delay * 2).min(RESTART_DELAY.1) } else { RESTART_DELAY.0 };
            parts.swarm.stands(&parts.machine.id, number, DeploymentState::Restarting, error);
            let pause = std::pin::pin!(parts.env.sleep(delay));
            if let Either::Left(_) = select(stop.clone(), pause).await {
                break;
            }
        }
        parts.swarm.stands(&parts.machine.id, number, DeploymentState::Stopped, None);
    }

    /// One container, from its volumes' mounts to their release; the code it ended with.
    async fn run_once(&self, task: &Task, stop: &Stop) -> Result<i32> {
        let id = format!("{:016x}", self.parts.env.chance().number());
        let mut mounts = BTreeMap::new();
        let mut failed = None;
        for (path, volume) in &task.spec.volumes {
            match self.plugin("Mount", volume, &id).await {
                Ok(answer) => {
                    let place = answer["Mountpoint"].as_str().unwrap_or_default();
                    mounts.insert(path.clone(), PathBuf::from(place));
                }
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        let ended = match failed {
            Some(error) => Err(error),
            None => self.run_container(task, mounts.clone(), stop).await,
        };
        for path in mounts.keys() {
            if let Some(volume) = task.spec.volumes.get(path) {
                // Once: what the plugin does not hear of, it finds out.
                drop(self.plugin("Unmount", volume, &id).await);
            }
        }
        ended
    }

    async fn run_container(&self, task: &Task, mounts: BTreeMap<String, PathBuf>, stop: &Stop) -> Result<i32> {
        let parts = &self.parts;
        let lost = |detail: &str| PortError::new(ErrorKind::Refused, "start", &task.spec.name, detail);
        // Making a container takes a while.
        parts.env.sleep(parts.env.between(Duration::from_millis(30), Duration::from_millis(400))).await;
        let folder = mounts.values().next().ok_or_else(|| lost("it has no volume"))?;
        let pid = parts.machine.host.start_container(folder);
        let made = Made {
            env: parts.env.clone(),
            storage: parts.storage.clone(),
            ledger: parts.ledger.clone(),
            town: parts.town.clone(),
            node: parts.machine.id.clone(),
            host: parts.machine.host.clone(),
            clock: parts.machine.clock.clone(),
            pid,
            process: parts.env.executor.process(),
            mounts: mounts.clone(),
        };
        let Some(container) = Container::new(made).await else {
            parts.machine.host.end_container(pid);
            return Err(lost("a volume is not mounted any more"));
        };
        parts.env.note(|| format!("container {pid} of {} begins on {}", task.spec.name, parts.machine.id));
        parts.machine.has(container.clone());
        parts.swarm.stands(&parts.machine.id, task.number, DeploymentState::Running, None);
        let code = self.wait_for(&container, task, stop).await;
        parts.machine.kill(pid);
        parts.env.note(|| format!("container {pid} of {} ended: {code}", task.spec.name));
        Ok(code)
    }

    /// Lets the container live until it ends by itself, or is asked to and given its time.
    async fn wait_for(&self, container: &Arc<Container>, task: &Task, stop: &Stop) -> i32 {
        let (terminate, terminated) = oneshot::channel::<()>();
        let (tell, told) = oneshot::channel::<i32>();
        let member = container.member().clone();
        let asked = async move {
            if terminated.await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let life = async move {
            tell.send(member.run(asked.boxed()).await).ok();
        };
        container.process().spawn("member", Box::pin(life));
        match select(told, stop.clone()).await {
            // Dropped: somebody killed it.
            Either::Left((code, _)) => code.unwrap_or(137),
            Either::Right(((), told)) => {
                terminate.send(()).ok();
                let late = std::pin::pin!(self.parts.env.sleep(task.spec.stop_within));
                match select(told, late).await {
                    Either::Left((code, _)) => code.unwrap_or(137),
                    Either::Right(_) => 137,
                }
            }
        }
    }

    /// Calls the volume plugin on this machine.
    async fn plugin(&self, verb: &str, volume: &str, id: &str) -> Result<Value> {
        let here = &self.parts.machine.id;
        let ask = Ask { from: here, to: here, what: verb, within: PLUGIN_WITHIN };
        let machine = self.parts.machine.clone();
        let (verb, body) = (verb.to_owned(), json!({ "Name": volume, "ID": id }).to_string());
        let answer = self.parts.net.ask(
            ask,
            move || machine.agent(),
            move |agent: AgentParts| post(agent, format!("/VolumeDriver.{verb}"), body.clone()).boxed(),
        );
        answer.await
    }
}

async fn post(agent: AgentParts, path: String, body: String) -> Result<Value> {
    let fail = |detail: String| PortError::new(ErrorKind::Refused, "call", "the volume plugin", detail);
    let request = Request::post(path).body(Body::from(body)).map_err(|error| fail(error.to_string()))?;
    let Ok(response) = agent.agent.plugin_router().oneshot(request).await;
    let status = response.status();
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.map_err(|error| fail(error.to_string()))?;
    let value: Value = serde_json::from_slice(&bytes).map_err(|error| fail(error.to_string()))?;
    if status.is_success() { Ok(value) } else { Err(fail(value["Err"].as_str().unwrap_or_default().to_owned())) }
}
