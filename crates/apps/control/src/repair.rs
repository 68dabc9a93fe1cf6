//! Repair: members that should run and do not are started.
//!
//! The orchestrator restarts what ends, but it gives up when a mount fails once (as it does while the agent is away), and
//! it forgets what somebody removed. This loop looks at what is, not at what happened, so that it does the right thing
//! after any interruption. A service with operations under way is left to them.

use std::sync::Arc;
use std::time::Duration;

use om_backend::{Deployment, DeploymentState};
use om_model::{EventKind, MemberName, Phase, ServiceRecord};

use crate::control::Control;
use crate::events::About;
use crate::steps::{StepError, deployment_name};

const LOOK_EVERY: Duration = Duration::from_secs(2);

impl Control {
    /// Looks every few seconds. Does not return.
    pub(crate) async fn keep_members_running(self: Arc<Self>) {
        loop {
            if let Err(error) = self.repair_all().await {
                tracing::warn!(%error, "cannot look after the members");
            }
            self.ports.runtime.clock.sleep(LOOK_EVERY).await;
        }
    }

    async fn repair_all(&self) -> Result<(), StepError> {
        let mut services = self.store.services.all("").await?;
        services.retain(|service| service.value.phase == Phase::Active && service.value.queue.is_empty());
        if services.is_empty() {
            return Ok(());
        }
        let deployments = self.ports.orchestrator.list(None).await?;
        for service in services {
            for member in self.store.members_of(&service.value.id).await? {
                if let Err(error) = self.repair(&service.value, &member.name, &deployments).await {
                    tracing::warn!(member = %member.name, %error, "cannot start it; tried again soon");
                }
            }
        }
        Ok(())
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
