//! Tasks: containers that run once, to their end.
//!
//! Each is a Swarm service whose one container is not started again. It stays in the Swarm, as the memory of what came
//! of it, until it is removed.

use std::time::Duration;

use bollard::models::{Service, ServiceSpec, Task, TaskSpecRestartPolicyConditionEnum, TaskState};
use futures::StreamExt;
use om_backend::{DeploymentSpec, ErrorKind, LogLine, Orchestrator, PortError, Result, TaskResult};

use crate::client::{SwarmOrchestrator, failed, status};
use crate::service::{LABEL_DEPLOYMENT, LABEL_SPEC, definition, label, scaled};
use crate::tasks::{Nodes, complaint, latest, state};

const ACTION: &str = "run task";
/// In the place of the deployment's name, so that it is not taken for one.
const LABEL_TASK: &str = "com.openmanage.task";
const OUTPUT_LINES: usize = 100;
/// Nodes are asked for the output; one that is gone does not answer.
const OUTPUT_WITHIN: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The service that runs `body` once.
fn once(body: ServiceSpec) -> ServiceSpec {
    let mut body = scaled(body, 1);
    let labels = body.labels.get_or_insert_default();
    let name = labels.remove(LABEL_DEPLOYMENT).unwrap_or_default();
    labels.insert(LABEL_TASK.to_owned(), name);
    if let Some(policy) = body.task_template.as_mut().and_then(|template| template.restart_policy.as_mut()) {
        policy.condition = Some(TaskSpecRestartPolicyConditionEnum::NONE);
    }
    body
}

/// The exit code, if it has ended; why it never will, if it cannot.
fn ended(task: &Task, nodes: &Nodes) -> std::result::Result<Option<i64>, String> {
    let why = |otherwise: &str| Err(complaint(task).unwrap_or_else(|| otherwise.to_owned()));
    let container = task.status.as_ref().and_then(|status| status.container_status.as_ref());
    let code = container.and_then(|container| container.exit_code).unwrap_or(0);
    match state(task) {
        Some(TaskState::COMPLETE) => Ok(Some(0)),
        Some(TaskState::FAILED) if code != 0 => Ok(Some(code)),
        Some(state) if state > TaskState::RUNNING => why("the Swarm ended it"),
        _ if nodes.lost(task) => why("its node is down"),
        _ => Ok(None),
    }
}

impl SwarmOrchestrator {
    /// Runs `spec` once; see the port.
    #[allow(clippy::disallowed_methods, reason = "waits for Docker; adapters of vendors have no clock port")]
    pub(crate) async fn run_once(&self, spec: &DeploymentSpec, wait: Duration) -> Result<TaskResult> {
        let service = self.task_of(spec).await?;
        let until = tokio::time::Instant::now() + wait;
        loop {
            let (tasks, nodes) = (self.tasks(Some(&service)).await?, Nodes::new(self.all_nodes().await?));
            let task = latest(&tasks);
            match task.map_or(Ok(None), |task| ended(task, &nodes)) {
                Ok(Some(exit_code)) => return Ok(TaskResult { exit_code, output: self.output(&spec.name).await? }),
                Ok(None) => {}
                Err(why) => {
                    return Err(PortError::new(ErrorKind::Unavailable, ACTION, &spec.name, why)
                        .advise("it is not tried again by itself: remove it, then run it again"));
                }
            }
            if tokio::time::Instant::now() >= until {
                let detail = task.and_then(complaint).unwrap_or_else(|| "it has not ended yet".to_owned());
                return Err(
                    PortError::new(ErrorKind::TimedOut, ACTION, &spec.name, detail).advise("it runs on: ask again")
                );
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// The service that runs it, made if it is not there.
    async fn task_of(&self, spec: &DeploymentSpec) -> Result<Service> {
        let body = once(definition(spec, &self.settings));
        let wanted = body.labels.as_ref().and_then(|labels| labels.get(LABEL_SPEC)).cloned();
        if self.find(ACTION, &spec.name).await?.is_none() {
            match self.client().await?.create_service(body, None).await {
                Ok(_) => {}
                // Another server was faster.
                Err(error) if status(&error) == Some(409) => {}
                Err(error) => return Err(failed(ACTION, &spec.name, error)),
            }
        }
        let gone = || PortError::new(ErrorKind::Unavailable, ACTION, &spec.name, "somebody removed it");
        let found = self.find(ACTION, &spec.name).await?.ok_or_else(gone)?;
        if label(&found, LABEL_TASK).is_some() && label(&found, LABEL_SPEC) == wanted.as_deref() {
            return Ok(found);
        }
        Err(PortError::new(
            ErrorKind::Refused,
            ACTION,
            &spec.name,
            "the name is taken by something else of this cluster",
        )
        .advise("remove that first"))
    }

    #[allow(clippy::disallowed_methods, reason = "waits for Docker; adapters of vendors have no clock port")]
    async fn output(&self, name: &str) -> Result<Vec<LogLine>> {
        let lines = self.logs(name, OUTPUT_LINES, false).await?;
        let read = lines.filter_map(|line| futures::future::ready(line.ok())).collect();
        // What it ended with is known; its words are a courtesy.
        Ok(tokio::time::timeout(OUTPUT_WITHIN, read).await.unwrap_or_default())
    }
}
