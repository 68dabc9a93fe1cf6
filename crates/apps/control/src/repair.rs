//! Repair: members that should run and do not are started.
//!
//! The orchestrator restarts what ends, but it gives up when a mount fails once (as it does while the agent is away), and
//! it forgets what somebody removed. This loop looks at what is, not at what happened, so that it does the right thing
//! after any interruption. A service with operations under way is left to them.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use om_backend::{Deployment, DeploymentState};
use om_controldb::Watch;
use om_model::{EventKind, MemberName, Phase, ServiceRecord};

use crate::control::Control;
use crate::events::About;
use crate::steps::{StepError, deployment_name};
use crate::store::values;

const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The services whose members should run, as of the last change of any service.
struct Wanted {
    watch: Box<dyn Watch>,
    services: Vec<ServiceRecord>,
}

impl Control {
    /// Looks every few seconds. Does not return.
    pub(crate) async fn keep_members_running(self: Arc<Self>) {
        let mut wanted = None;
        let mut said = None;
        loop {
            let failed = self.repair_all(&mut wanted).await.err().map(|error| error.to_string());
            // A failure is told once, not every two seconds for as long as Docker is away.
            if let Some(error) = failed.as_ref().filter(|_| failed != said) {
                tracing::warn!(%error, "cannot look after the members; tried again and again");
            }
            if failed.is_some() {
                wanted = None;
            }
            said = failed;
            self.ports.runtime.clock.sleep(LOOK_EVERY).await;
        }
    }

    async fn repair_all(&self, wanted: &mut Option<Wanted>) -> Result<(), StepError> {
        // Thousands of services are not read again every few seconds, but when one of them changed.
        let unchanged = wanted.as_mut().is_some_and(|wanted| wanted.watch.changed().now_or_never().is_none());
        let known = wanted.take().filter(|_| unchanged);
        let wanted = wanted.insert(match known {
            Some(known) => known,
            None => self.wanted().await?,
        });
        if wanted.services.is_empty() {
            return Ok(());
        }
        let deployments = self.ports.orchestrator.list(None).await?;
        for service in &wanted.services {
            for index in 0..service.spec.replicas {
                let member = MemberName::of(&service.name, index);
                if let Err(error) = self.repair(service, &member, &deployments).await {
                    tracing::warn!(%member, %error, "cannot start it; tried again soon");
                }
            }
        }
        Ok(())
    }

    async fn wanted(&self) -> Result<Wanted, StepError> {
        // Armed before the reading, so that no change falls in between.
        let watch = self.store.services.watch("").await?;
        let mut services = values(self.store.services.all("").await?);
        services.retain(|service| service.phase == Phase::Active && service.queue.is_empty());
        Ok(Wanted { watch, services })
    }

    async fn repair(&self, service: &ServiceRecord, member: &MemberName, all: &[Deployment]) -> Result<(), StepError> {
        let name = deployment_name(&service.id, member);
        let found = all.iter().find(|deployment| deployment.name == name);
        let why = match found.map(|deployment| deployment.state) {
            Some(DeploymentState::Running | DeploymentState::Restarting) => return Ok(()),
            Some(DeploymentState::Created | DeploymentState::Stopped) => "it had stopped",
            None => "its container was gone",
        };
        // An operation may have been accepted since the list was taken.
        let now = self.store.service(&service.name).await?;
        if now.id != service.id || now.phase != Phase::Active || !now.queue.is_empty() {
            return Ok(());
        }
        if found.is_none() {
            let spec = self.deployment_spec(&service.name, member).await?;
            self.ports.orchestrator.create(&spec).await?;
        }
        self.ports.orchestrator.start(&name).await?;
        let about = About { service: Some(&service.name), member: Some(member), operation: None };
        self.note(EventKind::Repaired, about, format!("{member} was started: {why}")).await;
        Ok(())
    }
}
