//! Steps that start, stop, wait for and reconfigure what is there.

use std::time::Duration;

use om_backend::{DeploymentState, ErrorKind, MemberPhase, MemberStatus};
use om_engines::Role;
use om_model::{MemberName, MemberRecord, Phase, ServiceId, ServiceName, ServiceRecord, ServiceSpec};

use super::{StepError, deployment_name};
use crate::control::Control;
use crate::error::ControlError;
use crate::kinds::ServiceOperation;
use crate::store::member_key;

/// A member whose server was started this often in one container without ever serving is not going to.
const STARTS_MAX: u32 = 4;
/// So long the orchestrator is given to note that something on a lost node is to stop.
const LOST_WITHIN: Duration = Duration::from_secs(3);

impl Control {
    pub(super) async fn start_member(&self, service: &ServiceName, member: &MemberName) -> Result<(), StepError> {
        let id = self.store.service(service).await?.id;
        let name = self.deployment_of(&id, member).await?;
        match self.ports.orchestrator.start(&name).await {
            Err(error) if error.kind == ErrorKind::NotFound => {
                self.create_deployment(service, member).await?;
                Ok(self.ports.orchestrator.start(&name).await?)
            }
            other => Ok(other?),
        }
    }

    pub(super) async fn stop_member(&self, id: &ServiceId, member: &MemberName) -> Result<(), StepError> {
        let name = self.deployment_of(id, member).await?;
        let stop = self.ports.orchestrator.stop(&name);
        if self.is_stranded(id, member).await? {
            // Told to stop, which keeps it from being started; but nobody there can answer that it has stopped.
            return match self.ports.runtime.within(LOST_WITHIN, stop).await {
                Some(Err(error)) if !error.may_pass() => self.unless_a_strangers(id, &name, Err(error)).await,
                _ => Ok(()),
            };
        }
        let stopped = stop.await;
        self.unless_a_strangers(id, &name, stopped).await
    }

    pub(super) async fn remove_deployment(&self, id: &ServiceId, member: &MemberName) -> Result<(), StepError> {
        let name = self.deployment_of(id, member).await?;
        let removed = self.ports.orchestrator.remove(&name).await;
        self.unless_a_strangers(id, &name, removed).await?;
        if self.settings.several_nodes { self.remove_former(id, member).await } else { Ok(()) }
    }

    /// Whether the member is meant to be on a node that is lost.
    async fn is_stranded(&self, id: &ServiceId, member: &MemberName) -> Result<bool, StepError> {
        let record = self.store.member(id, member).await?;
        match record.as_ref().and_then(|record| record.place()) {
            Some(place) => Ok(self.is_lost(place).await?),
            None => Ok(false),
        }
    }

    /// A stranger may have a container of that name; then ours is not there, and that is what was wanted.
    async fn unless_a_strangers(
        &self,
        id: &ServiceId,
        name: &str,
        result: om_backend::Result<()>,
    ) -> Result<(), StepError> {
        let Err(error) = result else { return Ok(()) };
        let ours = self.ports.orchestrator.list(Some(id)).await?.iter().any(|deployment| deployment.name == name);
        if error.kind == ErrorKind::Refused && !ours { Ok(()) } else { Err(error.into()) }
    }

    pub(super) async fn restart_member(
        &self,
        service: &ServiceName,
        id: &ServiceId,
        member: &MemberName,
    ) -> Result<(), StepError> {
        self.ports.orchestrator.stop(&self.deployment_of(id, member).await?).await?;
        self.start_member(service, member).await
    }

    /// Done when the member says that it serves in `role` under the service's present configuration.
    pub(super) async fn await_member(
        &self,
        operation: &ServiceOperation,
        member: &MemberName,
        role: Role,
    ) -> Result<(), StepError> {
        let service = self.store.service(&operation.service).await?;
        let gone = || StepError::ForGood(format!("{member} is gone"));
        let record = self.store.member(&service.id, member).await?.ok_or_else(gone)?;
        let status = match self.agent_of(&record).await {
            // Nobody can be asked on a lost node; a recovery gives the member to another, and this goes on there.
            Err(error) => return Err(StepError::NotYet(error.to_string())),
            Ok(agent) => agent.status(&service.id, member).await,
        };
        let status = match status {
            Ok(status) => status,
            Err(error) => return Err(self.why_not_up(&record, error.to_string()).await?),
        };
        let health = status.health.as_ref();
        let serves = status.phase == MemberPhase::Running && health.is_some_and(|h| h.healthy && h.role == Some(role));
        if serves && status.configuration >= service.configuration {
            return Ok(());
        }
        if !serves && role == Role::Standby {
            self.start_primary_again(operation, &service, member).await?;
        }
        if !serves && status.starts >= STARTS_MAX {
            let advice = format!("openmanage logs {member}");
            return Err(StepError::ForGood(format!("{member} does not come up: {} (see {advice})", said(&status))));
        }
        Err(StepError::NotYet(format!("{member}: {}", said(&status))))
    }

    /// A standby waits for its primary, which the orchestrator may have given up meanwhile. While the operation has the
    /// service to itself, nobody else would start it.
    async fn start_primary_again(
        &self,
        operation: &ServiceOperation,
        service: &ServiceRecord,
        member: &MemberName,
    ) -> Result<(), StepError> {
        let alone = service.queue.first() == Some(&operation.id) && service.recoveries.is_empty();
        let Some(primary) = service.primary.as_ref().filter(|primary| alone && *primary != member) else {
            return Ok(());
        };
        let Some(record) = self.store.member(&service.id, primary).await? else { return Ok(()) };
        let name = deployment_name(&record);
        let deployments = self.ports.orchestrator.list(Some(&service.id)).await?;
        if deployments.iter().any(|there| there.name == name && there.state == DeploymentState::Stopped) {
            self.ports.orchestrator.start(&name).await?;
        }
        Ok(())
    }

    /// The container may have failed for good, which the member itself cannot say.
    async fn why_not_up(&self, record: &MemberRecord, said: String) -> Result<StepError, StepError> {
        let (name, member) = (deployment_name(record), &record.name);
        let deployments = self.ports.orchestrator.list(Some(&record.service)).await?;
        let deployment = deployments.into_iter().find(|deployment| deployment.name == name);
        Ok(match deployment {
            None => StepError::ForGood(format!("the container of {member} is gone")),
            Some(gone) if gone.state == DeploymentState::Stopped => {
                // The orchestrator gave up; one more start is cheap, and says why if it fails.
                self.ports.orchestrator.start(&name).await?;
                StepError::NotYet(format!("{member} had stopped: {}", gone.error.unwrap_or(said)))
            }
            Some(there) => StepError::NotYet(there.error.unwrap_or(said)),
        })
    }

    pub(super) async fn reload_member(&self, id: &ServiceId, member: &MemberName) -> Result<(), StepError> {
        let gone = || StepError::ForGood(format!("{member} is gone"));
        let record = self.store.member(id, member).await?.ok_or_else(gone)?;
        match self.agent_of(&record).await?.reload(id, member).await {
            // It is on its way there, or restarts: with the configuration that it finds then, which a later look confirms.
            Err(error) if error.kind == ErrorKind::NotFound => Err(self.why_not_up(&record, error.to_string()).await?),
            done => Ok(done.map(drop)?),
        }
    }

    pub(super) async fn store_spec(&self, operation: &ServiceOperation, spec: &ServiceSpec) -> Result<(), StepError> {
        let store = |service: &om_model::ServiceRecord| {
            let mine = service.id == operation.service_id && service.spec != *spec;
            mine.then(|| {
                let mut service = service.clone();
                service.spec = spec.clone();
                service.configuration += 1;
                service
            })
        };
        let stored = self.store.services.change(operation.service.as_str(), store).await?;
        stored.map(drop).ok_or_else(|| ControlError::service(&operation.service).into())
    }

    pub(super) async fn set_phase(&self, operation: &ServiceOperation, phase: Phase) -> Result<(), StepError> {
        let set = |service: &om_model::ServiceRecord| {
            let mine = service.id == operation.service_id && service.phase != phase;
            mine.then(|| om_model::ServiceRecord { phase, ..service.clone() })
        };
        self.store.services.change(operation.service.as_str(), set).await?;
        if phase == Phase::Deleting {
            self.refuse_claims_under_way(&operation.service_id).await?;
        }
        Ok(())
    }

    /// A claim under way may have read the service before it was being deleted. None such is written over another revision of
    /// the member's record.
    async fn refuse_claims_under_way(&self, id: &ServiceId) -> Result<(), StepError> {
        for member in self.store.members_of(id).await? {
            let key = member_key(id, &member.name);
            self.store.members.change(&key, |record| Some(record.clone())).await?;
        }
        Ok(())
    }
}

fn said(status: &MemberStatus) -> String {
    match &status.health {
        Some(health) if !health.detail.is_empty() && status.phase == MemberPhase::Running => health.detail.clone(),
        _ => status.detail.clone(),
    }
}
