//! The `Orchestrator` port on Docker Engine.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use bollard::models::{
    ContainerCreateBody, ContainerInspectResponse, ContainerStateStatusEnum, ContainerSummary,
    ContainerSummaryStateEnum,
};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, ListContainersOptionsBuilder, LogsOptionsBuilder, RemoveContainerOptionsBuilder,
    RemoveVolumeOptionsBuilder,
};
use futures::stream::BoxStream;
use om_backend::{
    Deployment, DeploymentSpec, DeploymentState, ErrorKind, LogLine, Network, Orchestrator, PortError, Result,
    TaskResult,
};
use om_model::ServiceId;

use crate::client::{DockerEngine, failed, status};
use crate::container::{LABEL_CLUSTER, LABEL_MEMBER, LABEL_SERVICE, LABEL_SPEC, Surroundings, definition};
use crate::logs;

/// Beyond a container's own time to stop, what Docker takes to kill it and to unmount its volumes.
const STOP_MARGIN: Duration = Duration::from_secs(60);
/// How long a container without a stop time of its own gets from Docker.
const STOP_DEFAULT: u64 = 10;

pub(crate) fn label<'a>(found: &'a ContainerInspectResponse, name: &str) -> Option<&'a str> {
    found.config.as_ref()?.labels.as_ref()?.get(name).map(String::as_str)
}

fn state_of(state: Option<ContainerSummaryStateEnum>) -> DeploymentState {
    match state {
        Some(ContainerSummaryStateEnum::CREATED) => DeploymentState::Created,
        Some(ContainerSummaryStateEnum::RUNNING | ContainerSummaryStateEnum::PAUSED) => DeploymentState::Running,
        Some(ContainerSummaryStateEnum::RESTARTING) => DeploymentState::Restarting,
        _ => DeploymentState::Stopped,
    }
}

impl DockerEngine {
    /// Our container of that name, if there is one. A stranger's is refused.
    pub(crate) async fn find(&self, action: &str, name: &str) -> Result<Option<ContainerInspectResponse>> {
        let found = match self.client().await?.inspect_container(name, None).await {
            Ok(found) => found,
            Err(error) if status(&error) == Some(404) => return Ok(None),
            Err(error) => return Err(failed(action, format!("container {name}"), error)),
        };
        // Docker also finds by a part of the id.
        if found.name.as_deref().map(|full| full.trim_start_matches('/')) != Some(name) {
            return Ok(None);
        }
        if label(&found, LABEL_CLUSTER) == Some(self.settings.cluster.as_str()) {
            return Ok(Some(found));
        }
        let detail = "a container of that name is there which this cluster did not make";
        Err(PortError::new(ErrorKind::Refused, action, format!("container {name}"), detail)
            .advise(format!("rename it (docker rename {name} NEW-NAME) or remove it, then repeat")))
    }

    /// The container's definition, on our network.
    pub(crate) async fn definition_of(&self, spec: &DeploymentSpec) -> Result<ContainerCreateBody> {
        let network = self.ensure_network().await?;
        let around = Surroundings {
            cluster: self.settings.cluster.to_string(),
            network: self.network_name(),
            gateway: network.gateway.to_string(),
            volume_driver: self.settings.volume_driver.clone(),
        };
        Ok(definition(spec, &around))
    }

    /// Removes a container of ours, its anonymous volumes, and Docker's notes of the volumes it had from our driver.
    async fn discard(&self, name: &str, found: &ContainerInspectResponse) -> Result<()> {
        let client = self.client().await?;
        let options = RemoveContainerOptionsBuilder::default().v(true).force(true).build();
        match client.remove_container(found.id.as_deref().unwrap_or(name), Some(options)).await {
            Ok(()) => {}
            Err(error) if status(&error) == Some(404) => {}
            // 409: another removal is under way; it is waited for below.
            Err(error) if status(&error) == Some(409) => self.wait_until_gone(name).await?,
            Err(error) => return Err(failed("remove", format!("container {name}"), error)),
        }
        for mount in found.mounts.iter().flatten() {
            let (Some(volume), Some(driver)) = (&mount.name, &mount.driver) else { continue };
            if *driver != self.settings.volume_driver {
                continue;
            }
            let options = RemoveVolumeOptionsBuilder::default().force(true).build();
            // Docker only forgets the name: the volume itself is the provider's. In use by another container it stays.
            if let Err(error) = client.remove_volume(volume, Some(options)).await {
                tracing::debug!(%volume, %error, "Docker keeps its note of the volume");
            }
        }
        Ok(())
    }

    #[allow(clippy::disallowed_methods, reason = "waits for Docker; adapters of vendors have no clock port")]
    async fn wait_until_gone(&self, name: &str) -> Result<()> {
        for _ in 0..100 {
            if self.find("remove", name).await?.is_none() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err(PortError::new(ErrorKind::TimedOut, "remove", format!("container {name}"), "Docker is still removing it"))
    }

    /// What a list does not tell: why it failed last.
    async fn last_error(&self, name: &str) -> Option<String> {
        let found = self.find("look at", name).await.ok().flatten()?;
        let state = found.state?;
        let said = state.error.filter(|text| !text.is_empty());
        let ended =
            matches!(state.status, Some(ContainerStateStatusEnum::EXITED | ContainerStateStatusEnum::RESTARTING));
        said.or_else(|| match (ended, state.oom_killed, state.exit_code) {
            (true, Some(true), _) => Some("ended: out of memory".to_owned()),
            (true, _, Some(code)) if code != 0 => Some(format!("ended with exit code {code}")),
            _ => None,
        })
    }

    async fn deployment(&self, found: ContainerSummary) -> Option<Deployment> {
        let labels = found.labels.unwrap_or_default();
        let name = found.names?.first()?.trim_start_matches('/').to_owned();
        let state = state_of(found.state);
        let error = if state == DeploymentState::Running { None } else { self.last_error(&name).await };
        let (service, member) = (labels.get(LABEL_SERVICE)?.parse().ok()?, labels.get(LABEL_MEMBER)?.parse().ok()?);
        Some(Deployment { name, service, member, state, node: None, container: found.id, error })
    }
}

#[async_trait]
impl Orchestrator for DockerEngine {
    async fn network(&self) -> Result<Network> {
        self.ensure_network().await
    }

    async fn image(&self, candidates: &[String]) -> Result<String> {
        self.resolve_image(candidates).await
    }

    async fn create(&self, spec: &DeploymentSpec) -> Result<()> {
        let body = self.definition_of(spec).await?;
        if let Some(found) = self.find("create", &spec.name).await? {
            let wanted = body.labels.as_ref().and_then(|labels| labels.get(LABEL_SPEC)).map(String::as_str);
            if label(&found, LABEL_SPEC) == wanted {
                return Ok(());
            }
            self.stop(&spec.name).await?;
            self.discard(&spec.name, &found).await?;
        }
        let options = CreateContainerOptionsBuilder::default().name(&spec.name).build();
        let made = self.client().await?.create_container(Some(options), body).await;
        made.map(drop).map_err(|error| failed("create", format!("container {}", spec.name), error))
    }

    async fn start(&self, name: &str) -> Result<()> {
        let subject = || format!("container {name}");
        if self.find("start", name).await?.is_none() {
            return Err(PortError::new(ErrorKind::NotFound, "start", subject(), "there is no such container"));
        }
        match self.client().await?.start_container(name, None).await {
            Ok(()) => Ok(()),
            // It runs already.
            Err(error) if status(&error) == Some(304) => Ok(()),
            Err(error) => Err(failed("start", subject(), error)),
        }
    }

    async fn stop(&self, name: &str) -> Result<()> {
        let Some(found) = self.find("stop", name).await? else { return Ok(()) };
        let within = found.config.and_then(|config| config.stop_timeout).and_then(|secs| u64::try_from(secs).ok());
        let patience = Duration::from_secs(within.unwrap_or(STOP_DEFAULT)) + STOP_MARGIN;
        // Docker answers when the container has ended.
        let client = self.client().await?.clone().with_timeout(patience);
        match client.stop_container(name, None).await {
            Ok(()) => Ok(()),
            Err(error) if matches!(status(&error), Some(304 | 404)) => Ok(()),
            Err(error) => Err(failed("stop", format!("container {name}"), error)),
        }
    }

    async fn remove(&self, name: &str) -> Result<()> {
        match self.find("remove", name).await? {
            Some(found) => self.discard(name, &found).await,
            None => Ok(()),
        }
    }

    async fn list(&self, service: Option<&ServiceId>) -> Result<Vec<Deployment>> {
        let mut labels = vec![format!("{LABEL_CLUSTER}={}", self.settings.cluster)];
        labels.extend(service.map(|service| format!("{LABEL_SERVICE}={service}")));
        let filters = HashMap::from([("label", labels)]);
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        let found = self.client().await?.list_containers(Some(options)).await;
        let mut deployments = Vec::new();
        for container in found.map_err(|error| failed("list", "containers", error))? {
            deployments.extend(self.deployment(container).await);
        }
        deployments.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(deployments)
    }

    async fn logs(&self, name: &str, tail: usize, follow: bool) -> Result<BoxStream<'static, Result<LogLine>>> {
        if self.find("read the output of", name).await?.is_none() {
            let subject = format!("container {name}");
            return Err(PortError::new(
                ErrorKind::NotFound,
                "read the output of",
                subject,
                "there is no such container",
            ));
        }
        let options = LogsOptionsBuilder::default().stdout(true).stderr(true).follow(follow).tail(&tail.to_string());
        // The client is cheap to clone, and the stream must outlive the borrow of this engine.
        let client = self.client().await?.clone();
        Ok(logs::lines(name.to_owned(), client.logs(name, Some(options.build()))))
    }

    async fn run_task(&self, spec: &DeploymentSpec, wait: Duration) -> Result<TaskResult> {
        self.run_once(spec, wait).await
    }

    async fn teardown(&self) -> Result<()> {
        let left = self.list(None).await?;
        if let Some(first) = left.first() {
            let detail = format!("{} deployments are on it, {} among them", left.len(), first.name);
            return Err(PortError::new(ErrorKind::Refused, "remove network", self.network_name(), detail)
                .advise("delete the services first"));
        }
        self.remove_network().await
    }
}
