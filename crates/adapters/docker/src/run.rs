//! Tasks: containers that run once, to their end.
//!
//! The container stays, as the memory of what came of it, until it is removed.

use std::time::Duration;

use bollard::models::{ContainerCreateBody, ContainerStateStatusEnum, RestartPolicy, RestartPolicyNameEnum};
use bollard::query_parameters::CreateContainerOptionsBuilder;
use futures::StreamExt;
use om_backend::{DeploymentSpec, ErrorKind, Orchestrator, PortError, Result, TaskResult};

use crate::client::{DockerEngine, failed, status};
use crate::container::{LABEL_MEMBER, LABEL_SPEC};
use crate::deployments::label;

const ACTION: &str = "run task";
/// In the place of the member's, so that it is not taken for its deployment.
const LABEL_TASK: &str = "com.openmanage.task";
const OUTPUT_LINES: usize = 100;
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The container that runs `body` once.
fn once(mut body: ContainerCreateBody) -> ContainerCreateBody {
    let labels = body.labels.get_or_insert_default();
    let member = labels.remove(LABEL_MEMBER).unwrap_or_default();
    labels.insert(LABEL_TASK.to_owned(), member);
    body.host_config.get_or_insert_default().restart_policy =
        Some(RestartPolicy { name: Some(RestartPolicyNameEnum::NO), maximum_retry_count: None });
    body
}

impl DockerEngine {
    /// Runs `spec` once; see the port.
    #[allow(clippy::disallowed_methods, reason = "waits for Docker; adapters of vendors have no clock port")]
    pub(crate) async fn run_once(&self, spec: &DeploymentSpec, wait: Duration) -> Result<TaskResult> {
        let body = once(self.definition_of(spec).await?);
        let wanted = body.labels.as_ref().and_then(|labels| labels.get(LABEL_SPEC)).cloned();
        if self.find(ACTION, &spec.name).await?.is_none() {
            let options = CreateContainerOptionsBuilder::default().name(&spec.name).build();
            let made = self.client().await?.create_container(Some(options), body).await;
            made.map_err(|error| failed(ACTION, &spec.name, error))?;
        }
        let until = tokio::time::Instant::now() + wait;
        loop {
            let gone = || PortError::new(ErrorKind::Unavailable, ACTION, &spec.name, "somebody removed it");
            let found = self.find(ACTION, &spec.name).await?.ok_or_else(gone)?;
            if label(&found, LABEL_TASK).is_none() || label(&found, LABEL_SPEC) != wanted.as_deref() {
                let detail = "the name is taken by something else of this cluster";
                return Err(PortError::new(ErrorKind::Refused, ACTION, &spec.name, detail).advise("remove that first"));
            }
            let state = found.state.unwrap_or_default();
            match state.status {
                Some(ContainerStateStatusEnum::CREATED) => self.start_once(&spec.name).await?,
                Some(ContainerStateStatusEnum::EXITED | ContainerStateStatusEnum::DEAD) => {
                    let lines = self.logs(&spec.name, OUTPUT_LINES, false).await?;
                    let output = lines.filter_map(|line| futures::future::ready(line.ok())).collect().await;
                    return Ok(TaskResult { exit_code: state.exit_code.unwrap_or(-1), output });
                }
                _ if tokio::time::Instant::now() >= until => {
                    return Err(PortError::new(ErrorKind::TimedOut, ACTION, &spec.name, "it has not ended yet")
                        .advise("it runs on: ask again"));
                }
                _ => {}
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn start_once(&self, name: &str) -> Result<()> {
        match self.client().await?.start_container(name, None).await {
            Ok(()) => Ok(()),
            Err(error) if status(&error) == Some(304) => Ok(()),
            Err(error) => Err(failed(ACTION, name, error)),
        }
    }
}
