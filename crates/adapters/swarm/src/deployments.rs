//! The `Orchestrator` port on Docker Swarm.
//!
//! Every change of a service is conditional on the version that was read, so that two servers never undo one another's.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use bollard::models::{Service, ServiceSpec, Task, TaskState};
use bollard::query_parameters::{
    ListServicesOptionsBuilder, ListTasksOptionsBuilder, LogsOptionsBuilder, UpdateServiceOptionsBuilder,
};
use futures::stream::BoxStream;
use om_backend::{
    Deployment, DeploymentSpec, ErrorKind, LogLine, Network, Orchestrator, OrchestratorNode, PortError, Result,
    TaskResult,
};
use om_model::ServiceId;

use crate::client::{SwarmOrchestrator, failed, out_of_sequence, status};
use crate::service::{
    LABEL_CLUSTER, LABEL_SERVICE, LABEL_SPEC, definition, label, replicas, scaled, stop_within, swarm_name,
};
use crate::tasks::{Nodes, alive, deployment};
use crate::{logs, nodes};

/// Beyond a container's own time to stop, what Docker takes to kill it and to unmount its volumes.
const STOP_MARGIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A stopped service whose container the Swarm has not been told to end by then is brought to its notice again.
const TELL_AGAIN: Duration = Duration::from_secs(3);
/// How long the Swarm is given to clear stopped tasks away before their service is removed.
const CLEARED_WITHIN: Duration = Duration::from_secs(3);
/// How often a change is tried again because somebody else changed the same service meanwhile.
const ATTEMPTS: usize = 20;

/// What came of a change that was conditional on the version that was read.
enum Updated {
    Done,
    /// Somebody else changed it meanwhile, as Docker says it.
    Outdated(String),
    Gone,
}

fn subject(name: &str) -> String {
    format!("Swarm service {}", swarm_name(name))
}

fn missing(action: &str, name: &str) -> PortError {
    PortError::new(ErrorKind::NotFound, action, subject(name), "there is no such service")
}

fn id_of(service: &Service) -> &str {
    service.id.as_deref().unwrap_or_default()
}

impl SwarmOrchestrator {
    /// Our service for that deployment, if there is one. A stranger's is refused.
    pub(crate) async fn find(&self, action: &str, name: &str) -> Result<Option<Service>> {
        let wanted = swarm_name(name);
        let found = match self.client().await?.inspect_service(&wanted, None).await {
            Ok(found) => found,
            Err(error) if status(&error) == Some(404) => return Ok(None),
            Err(error) => return Err(failed(action, subject(name), error)),
        };
        // Docker also finds by a part of the id.
        if found.spec.as_ref().and_then(|spec| spec.name.as_deref()) != Some(&wanted) {
            return Ok(None);
        }
        if label(&found, LABEL_CLUSTER) == Some(self.settings.cluster.as_str()) {
            return Ok(Some(found));
        }
        let detail = "a service of that name is there which this cluster did not make";
        Err(PortError::new(ErrorKind::Refused, action, subject(name), detail)
            .advise(format!("remove it if nobody needs it (docker service rm {wanted}), then repeat")))
    }

    /// Sets how many containers the deployment is to have. The service, or none if there is none.
    async fn scale(&self, action: &str, name: &str, wanted: i64) -> Result<Option<Service>> {
        let mut refused = None;
        for _ in 0..ATTEMPTS {
            let Some(found) = self.find(action, name).await? else { return Ok(None) };
            if replicas(&found) == wanted {
                return Ok(Some(found));
            }
            let spec = scaled(found.spec.clone().unwrap_or_default(), wanted);
            match self.update(action, name, &found, spec).await? {
                Updated::Done => return Ok(Some(found)),
                Updated::Outdated(why) => refused = Some(why),
                Updated::Gone => return Ok(None),
            }
        }
        let why = refused.unwrap_or_default();
        Err(PortError::new(ErrorKind::Unavailable, action, subject(name), format!("it changes all the time: {why}")))
    }

    /// Gives the service another definition, if it is still as it was found.
    async fn update(&self, action: &str, name: &str, found: &Service, spec: ServiceSpec) -> Result<Updated> {
        let version = found.version.as_ref().and_then(|version| version.index).unwrap_or_default();
        let version = i32::try_from(version).map_err(|error| {
            PortError::new(ErrorKind::Invalid, action, subject(name), format!("its version is {version}: {error}"))
        })?;
        let options = UpdateServiceOptionsBuilder::default().version(version).build();
        match self.client().await?.update_service(id_of(found), spec, options, None).await {
            Ok(_) => Ok(Updated::Done),
            Err(error) if out_of_sequence(&error) => Ok(Updated::Outdated(error.to_string())),
            Err(error) if status(&error) == Some(404) => Ok(Updated::Gone),
            Err(error) => Err(failed(action, subject(name), error)),
        }
    }

    /// The tasks of one service, or of all.
    pub(crate) async fn tasks(&self, service: Option<&Service>) -> Result<Vec<Task>> {
        let filters: HashMap<&str, Vec<&str>> =
            service.map(|service| ("service", vec![id_of(service)])).into_iter().collect();
        let options = ListTasksOptionsBuilder::default().filters(&filters).build();
        match self.client().await?.list_tasks(Some(options)).await {
            Ok(tasks) => Ok(tasks),
            // The service is gone; its tasks are not worth waiting for.
            Err(error) if service.is_some() && status(&error) == Some(404) => Ok(Vec::new()),
            Err(error) => Err(failed("list", "the Swarm's tasks", error)),
        }
    }

    /// Waits a moment until the Swarm has cleared away the tasks of a service that was stopped. Removing the service while it
    /// does makes swarmkit of Docker 20.10 dereference a task that is gone, and the leader's dockerd ends
    /// (`SetServiceTasksRemove`). Tasks of a lost node stay, and nobody waits for those for long.
    #[allow(clippy::disallowed_methods, reason = "waits for Docker; adapters of vendors have no clock port")]
    async fn let_tasks_go(&self, service: &Service) -> Result<()> {
        let until = tokio::time::Instant::now() + CLEARED_WITHIN;
        let going = |task: &Task| task.desired_state == Some(TaskState::REMOVE);
        while replicas(service) == 0 && tokio::time::Instant::now() < until {
            if !self.tasks(Some(service)).await?.iter().any(going) {
                break;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// Until no node that the Swarm reaches runs a container of the service.
    #[allow(clippy::disallowed_methods, reason = "waits for Docker; adapters of vendors have no clock port")]
    async fn wait_until_ended(&self, name: &str, service: &Service) -> Result<()> {
        let patience = stop_within(service) + STOP_MARGIN;
        let until = tokio::time::Instant::now() + patience;
        let mut told = tokio::time::Instant::now();
        loop {
            let nodes = Nodes::new(self.all_nodes().await?);
            let tasks = self.tasks(Some(service)).await?;
            if !tasks.iter().any(|task| alive(task, &nodes)) {
                return Ok(());
            }
            let untold = |task: &Task| alive(task, &nodes) && task.desired_state == Some(TaskState::RUNNING);
            if tasks.iter().any(untold) && told.elapsed() >= TELL_AGAIN {
                self.tell_again(name).await?;
                told = tokio::time::Instant::now();
            }
            if tokio::time::Instant::now() >= until {
                let detail = format!("its container has not ended within {} s", patience.as_secs());
                return Err(PortError::new(ErrorKind::TimedOut, "stop", subject(name), detail)
                    .advise("see whether its node answers: openmanage node list, docker node ls"));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Has the Swarm look at a stopped service once more. A leader that just became one may fail to stop a task ("failed to
    /// update task to REMOVE: update out of sequence") and then forgets about it; a change of the service reminds it.
    async fn tell_again(&self, name: &str) -> Result<()> {
        let Some(found) = self.find("stop", name).await?.filter(|found| replicas(found) == 0) else { return Ok(()) };
        let mut spec = found.spec.clone().unwrap_or_default();
        let task = spec.task_template.get_or_insert_default();
        task.force_update = Some(task.force_update.unwrap_or_default() + 1);
        // Where somebody else changed it just now, that reminds the Swarm as well.
        self.update("stop", name, &found, spec).await.map(drop)
    }

    async fn delete(&self, name: &str, service: &Service) -> Result<()> {
        match self.client().await?.delete_service(id_of(service)).await {
            Ok(()) => Ok(()),
            Err(error) if status(&error) == Some(404) => Ok(()),
            Err(error) => Err(failed("remove", subject(name), error)),
        }
    }

    async fn services(&self, service: Option<&ServiceId>) -> Result<Vec<Service>> {
        let mut labels = vec![format!("{LABEL_CLUSTER}={}", self.settings.cluster)];
        labels.extend(service.map(|service| format!("{LABEL_SERVICE}={service}")));
        let options = ListServicesOptionsBuilder::default().filters(&HashMap::from([("label", labels)])).build();
        let found = self.client().await?.list_services(Some(options)).await;
        found.map_err(|error| failed("list", "the Swarm's services", error))
    }
}

#[async_trait]
impl Orchestrator for SwarmOrchestrator {
    /// Members are on the nodes' own network: there is none to make.
    async fn network(&self) -> Result<Network> {
        self.manages().await?;
        Ok(self.settings.network.clone())
    }

    async fn image(&self, candidates: &[String]) -> Result<String> {
        self.resolve_image(candidates).await
    }

    async fn create(&self, spec: &DeploymentSpec) -> Result<()> {
        let body = definition(spec, &self.settings);
        let wanted = body.labels.as_ref().and_then(|labels| labels.get(LABEL_SPEC)).cloned();
        let same = |found: &Service| label(found, LABEL_SPEC) == wanted.as_deref();
        if let Some(found) = self.find("create", &spec.name).await? {
            if same(&found) {
                return Ok(());
            }
            self.stop(&spec.name).await?;
            self.delete(&spec.name, &found).await?;
        }
        match self.client().await?.create_service(body, None).await {
            Ok(_) => Ok(()),
            // Another server was faster.
            Err(error) if status(&error) == Some(409) => match self.find("create", &spec.name).await? {
                Some(found) if same(&found) => Ok(()),
                _ => Err(PortError::new(ErrorKind::Unavailable, "create", subject(&spec.name), error)),
            },
            Err(error) => Err(failed("create", subject(&spec.name), error)),
        }
    }

    /// Returns when the Swarm has taken it on; what hinders it is then in the list.
    async fn start(&self, name: &str) -> Result<()> {
        self.scale("start", name, 1).await?.map(drop).ok_or_else(|| missing("start", name))
    }

    /// Waits for the container, but not on a node that the Swarm knows to be down: such a node ends it when it is back.
    async fn stop(&self, name: &str) -> Result<()> {
        match self.scale("stop", name, 0).await? {
            Some(found) => self.wait_until_ended(name, &found).await,
            None => Ok(()),
        }
    }

    /// Returns when the Swarm has forgotten it. Its container ends soon after, wherever its node can be reached: nobody
    /// who replaces a deployment of a lost node can wait for that, and fencing does not rely on it.
    async fn remove(&self, name: &str) -> Result<()> {
        match self.find("remove", name).await? {
            Some(found) => {
                self.let_tasks_go(&found).await?;
                self.delete(name, &found).await
            }
            None => Ok(()),
        }
    }

    async fn list(&self, service: Option<&ServiceId>) -> Result<Vec<Deployment>> {
        let found = self.services(service).await?;
        if found.is_empty() {
            return Ok(Vec::new());
        }
        let only = if let [only] = &found[..] { Some(only) } else { None };
        let (tasks, nodes) = (self.tasks(only).await?, Nodes::new(self.all_nodes().await?));
        let mut of_service: HashMap<&str, Vec<&Task>> = HashMap::new();
        for task in &tasks {
            of_service.entry(task.service_id.as_deref().unwrap_or_default()).or_default().push(task);
        }
        let view = |service: &Service| {
            deployment(service, of_service.get(id_of(service)).cloned().unwrap_or_default(), &nodes)
        };
        let mut deployments: Vec<_> = found.iter().filter_map(view).collect();
        deployments.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(deployments)
    }

    /// `tail` counts for each of its last few containers.
    async fn logs(&self, name: &str, tail: usize, follow: bool) -> Result<BoxStream<'static, Result<LogLine>>> {
        const ACTION: &str = "read the output of";
        let found = self.find(ACTION, name).await?.ok_or_else(|| missing(ACTION, name))?;
        let options = LogsOptionsBuilder::default().stdout(true).stderr(true).follow(follow).tail(&tail.to_string());
        // The client is cheap to clone, and the stream must outlive the borrow of this orchestrator.
        let client = self.client().await?.clone();
        Ok(logs::lines(name.to_owned(), client.service_logs(id_of(&found), Some(options.build()))))
    }

    async fn nodes(&self) -> Result<Vec<OrchestratorNode>> {
        Ok(nodes::inventory(self.all_nodes().await?))
    }

    async fn run_task(&self, spec: &DeploymentSpec, wait: Duration) -> Result<TaskResult> {
        self.run_once(spec, wait).await
    }

    async fn teardown(&self) -> Result<()> {
        let left = self.services(None).await?;
        let Some(first) = left.first() else { return Ok(()) };
        let name = first.spec.as_ref().and_then(|spec| spec.name.as_deref()).unwrap_or_default();
        let detail = format!("{} of its services are in the Swarm, {name} among them", left.len());
        let subject = format!("cluster {}", self.settings.cluster);
        Err(PortError::new(ErrorKind::Refused, "take down", subject, detail).advise("delete the services first"))
    }
}
