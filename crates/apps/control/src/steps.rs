//! What each step does. Every step is idempotent: it looks at what is and does only what is missing, so that it may be
//! repeated after a crash, a time-out, or a failure half-way.

mod assign;
mod lifecycle;
mod provision;
mod release;

use std::sync::Arc;

use om_backend::PortError;
use om_model::{MemberName, MemberRecord, OperationKind, ServiceId};
use om_planning::Step;

use crate::control::Control;
use crate::error::ControlError;
use crate::kinds::ServiceOperation;

/// Why a step is not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StepError {
    /// A port failed: whether it is worth repeating, its kind says.
    #[error("{0}")]
    Port(#[from] PortError),
    /// It is on its way: look again soon, until the operation's deadline.
    #[error("{0}")]
    NotYet(String),
    /// It cannot be done.
    #[error("{0}")]
    ForGood(String),
}

impl From<om_controldb::Error> for StepError {
    fn from(error: om_controldb::Error) -> Self {
        match error.kind {
            om_controldb::ErrorKind::Unavailable | om_controldb::ErrorKind::Conflict => {
                let kind = om_backend::ErrorKind::Unavailable;
                Self::Port(PortError::new(kind, error.operation, &error.key, &error.detail))
            }
            _ => Self::ForGood(error.to_string()),
        }
    }
}

impl From<ControlError> for StepError {
    fn from(error: ControlError) -> Self {
        match error {
            ControlError::Unavailable(detail) => {
                let kind = om_backend::ErrorKind::Unavailable;
                Self::Port(PortError::new(kind, "carry out", "the step", detail))
            }
            other => Self::ForGood(other.to_string()),
        }
    }
}

impl Control {
    /// Carries `step` out.
    pub(crate) async fn carry_out(
        self: &Arc<Self>,
        operation: &ServiceOperation,
        step: &Step,
    ) -> Result<(), StepError> {
        if operation.kind != OperationKind::Recover {
            return self.do_step(operation, step).await;
        }
        self.recovery_goes_on(operation, step).await?;
        self.do_step(operation, step).await?;
        self.take_back(operation, step).await
    }

    /// True if a move would take the member from a node that it has left already, recovered from there while the move waited
    /// for its turn: whoever holds it by now is to be left alone.
    async fn has_moved(&self, operation: &ServiceOperation, step: &Step) -> Result<bool, StepError> {
        let (OperationKind::Move, Step::StopMember { member } | Step::ReleaseMember { member }) =
            (operation.kind, step)
        else {
            return Ok(false);
        };
        let steps = if operation.rollback.is_empty() { &operation.steps } else { &operation.rollback };
        let from = steps.iter().find_map(|planned| match &planned.step {
            Step::AssignMember { from, .. } => Some(from.clone()),
            _ => None,
        });
        let record = self.store.member(&operation.service_id, member).await?;
        Ok(from.is_some() && record.is_some_and(|record| record.place() != from.as_ref()))
    }

    async fn do_step(&self, operation: &ServiceOperation, step: &Step) -> Result<(), StepError> {
        if self.has_moved(operation, step).await? {
            return Ok(());
        }
        let (name, id) = (&operation.service, &operation.service_id);
        match step {
            Step::AddMember { member, index, node } => self.add_member(name, id, member, *index, node.as_ref()).await,
            Step::AssignMember { member, from, to } => self.assign_member(operation, member, from, to.as_ref()).await,
            Step::RemoveFormer { member } => self.remove_former(id, member).await,
            Step::MakeSecrets => Ok(self.make_secrets(name).await?),
            Step::CreateVolume { volume, size } => self.create_volume(name, volume, *size).await,
            Step::CreateDeployment { member } => self.create_deployment(name, member).await,
            Step::StartMember { member } => self.start_member(name, member).await,
            Step::AwaitMember { member, role } => self.await_member(operation, member, *role).await,
            Step::StopMember { member } => self.stop_member(id, member).await,
            Step::RemoveDeployment { member } => self.remove_deployment(id, member).await,
            Step::ReleaseMember { member } if operation.kind == OperationKind::Move => {
                self.release_moving(id, member).await
            }
            Step::ReleaseMember { member } => self.release_member(id, member).await,
            Step::KeepVolume { volume } => self.keep_volume(volume).await,
            Step::DeleteVolume { volume } => self.remove_volume(volume).await,
            Step::GrowVolume { volume, size } => self.grow_volume(name, volume, *size).await,
            Step::RemoveMember { member } => self.remove_member(id, member).await,
            Step::RemoveSecrets => Ok(self.remove_secrets(id).await?),
            Step::StoreSpec { spec, .. } => self.store_spec(operation, spec).await,
            Step::ReloadMember { member } => self.reload_member(id, member).await,
            Step::RestartMember { member } => self.restart_member(name, id, member).await,
            Step::SetPhase { phase } => self.set_phase(operation, *phase).await,
            Step::RemoveService => self.remove_service(name, id).await,
        }
    }
}

/// The name of a member's deployment: another one each time it is replaced, so that the former can be removed in its own
/// time. The service's identity is in it, so that a service made again under the same name never meets the containers of
/// the former one.
pub(crate) fn deployment_name(record: &MemberRecord) -> String {
    named(&record.service, &record.name, record.replacement)
}

pub(crate) fn named(service: &ServiceId, member: &MemberName, replacement: u64) -> String {
    // The end of an identity is chance; its beginning is time, which two clusters on one machine share.
    let tail = &service.as_str()[service.as_str().len() - 8..];
    match replacement {
        0 => format!("{member}-{tail}"),
        n => format!("{member}-{tail}-e{n}"),
    }
}

impl Control {
    /// The name of the member's present deployment; of its first where nothing is known of it any more.
    async fn deployment_of(&self, service: &ServiceId, member: &MemberName) -> Result<String, StepError> {
        let record = self.store.member(service, member).await?;
        Ok(record.map_or_else(|| named(service, member, 0), |record| deployment_name(&record)))
    }
}
