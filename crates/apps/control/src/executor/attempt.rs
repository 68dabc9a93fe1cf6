//! One step: begun, carried out, repeated while that may help, and its end written down.

use std::sync::Arc;
use std::time::Duration;

use om_backend::PortError;
use om_model::{EventKind, StepRecord, StepState, Timestamp};
use om_planning::Step;

use super::Lost;
use crate::control::Control;
use crate::events::About;
use crate::kinds::ServiceOperation;
use crate::steps::StepError;

/// A step that keeps failing in a way that may pass is given up after this.
const PATIENCE: Duration = Duration::from_secs(120);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The operation after a step; or, if the step failed for good, with the reason.
type Attempted = Result<ServiceOperation, (ServiceOperation, String)>;

impl Control {
    /// Carries out step `index` of the plan, or of the rollback.
    pub(super) async fn attempt(
        self: &Arc<Self>,
        operation: ServiceOperation,
        index: usize,
        back: bool,
    ) -> Result<Attempted, Lost> {
        let now = self.now();
        let operation = self
            .advance(&operation, |operation| {
                // In one write with the begin: once a step has begun, some operations refuse to be cancelled.
                if operation.cancel_requested && !back {
                    return;
                }
                let step = step_mut(operation, index, back);
                step.state = StepState::Running;
                step.began = Some(now);
                step.attempts += 1;
            })
            .await?;
        if operation.cancel_requested && !back {
            return Ok(Err((operation, "cancelled".into())));
        }
        let step = step_of(&operation, index, back).step.clone();
        tracing::debug!(operation = %operation.id, step = %step.describe(), "begin");
        let left = operation.deadline.since(self.now());
        let outcome = self.ports.runtime.within(left, self.repeat(&operation, &step, index, back)).await;
        let outcome = match outcome {
            Some(outcome) => outcome?,
            None => Err(format!("the deadline passed while waiting: {}", step.describe())),
        };
        match outcome {
            Ok(()) => self.step_done(&operation, &step, index, back).await.map(Ok),
            Err(reason) => {
                let reason = self.last_error(&operation, index, back, reason).await;
                let operation = self
                    .advance(&operation, |operation| {
                        let step = step_mut(operation, index, back);
                        step.state = StepState::Failed;
                        step.error = Some(reason.clone());
                    })
                    .await?;
                Ok(Err((operation, reason)))
            }
        }
    }

    async fn step_done(
        &self,
        operation: &ServiceOperation,
        step: &Step,
        index: usize,
        back: bool,
    ) -> Result<ServiceOperation, Lost> {
        let now: Timestamp = self.now();
        let about = About { service: Some(&operation.service), member: step.member(), operation: Some(&operation.id) };
        self.note(EventKind::OperationStep, about, step.describe()).await;
        self.advance(operation, |operation| {
            let step = step_mut(operation, index, back);
            step.state = StepState::Done;
            step.ended = Some(now);
            step.error = None;
        })
        .await
    }

    /// The step, again and again while its failure may pass and nobody cancels. A control database that does not answer
    /// meanwhile is no failure of the step: the operation is taken up again soon.
    async fn repeat(
        self: &Arc<Self>,
        operation: &ServiceOperation,
        step: &Step,
        index: usize,
        back: bool,
    ) -> Result<Result<(), String>, Lost> {
        let began = self.ports.runtime.clock.monotonic();
        let mut pause = FIRST_PAUSE;
        loop {
            let error = match self.carry_out(operation, step).await {
                Ok(()) => return Ok(Ok(())),
                Err(error) => error,
            };
            let patience = match &error {
                StepError::Port(error) if !worth_repeating(error, step) => return Ok(Err(error.to_string())),
                StepError::ForGood(reason) => return Ok(Err(reason.clone())),
                StepError::NotYet(_) => None,
                StepError::Port(_) => Some(PATIENCE),
            };
            if patience.is_some_and(|limit| self.ports.runtime.clock.monotonic().saturating_sub(began) > limit) {
                return Ok(Err(error.to_string()));
            }
            if !back && self.cancelled(operation, index, back, &error).await? {
                return Ok(Err("cancelled".into()));
            }
            self.ports.runtime.clock.sleep(pause).await;
            pause = (pause * 2).min(if patience.is_some() { LONGEST_PAUSE } else { FIRST_PAUSE });
        }
    }

    /// Writes down, where it is new, why the step is not done yet; and tells whether somebody cancelled meanwhile.
    async fn cancelled(
        &self,
        operation: &ServiceOperation,
        index: usize,
        back: bool,
        error: &StepError,
    ) -> Result<bool, Lost> {
        let text = error.to_string();
        let current = self.operation(&operation.id).await.map_err(|error| {
            tracing::warn!(%error, operation = %operation.id, "cannot read the operation; taken up again soon");
            Lost
        })?;
        if step_of(&current, index, back).error.as_ref() != Some(&text) {
            self.advance(operation, |operation| step_mut(operation, index, back).error = Some(text.clone())).await?;
        }
        Ok(current.cancel_requested)
    }

    /// The reason, with what the step said last if that is more telling.
    async fn last_error(&self, operation: &ServiceOperation, index: usize, back: bool, reason: String) -> String {
        let said = self.operation(&operation.id).await.ok().and_then(|now| step_of(&now, index, back).error.clone());
        match said {
            Some(said) if said != reason => format!("{reason}; last: {said}"),
            _ => reason,
        }
    }
}

/// Refusals pass too where they come from a container that is still on its way out.
fn worth_repeating(error: &PortError, step: &Step) -> bool {
    let leaving = matches!(step, Step::ReleaseMember { .. } | Step::DeleteVolume { .. });
    error.may_pass() || (leaving && error.kind == om_backend::ErrorKind::Refused)
}

fn step_of(operation: &ServiceOperation, index: usize, back: bool) -> &StepRecord<Step> {
    if back { &operation.rollback[index] } else { &operation.steps[index] }
}

fn step_mut(operation: &mut ServiceOperation, index: usize, back: bool) -> &mut StepRecord<Step> {
    if back { &mut operation.rollback[index] } else { &mut operation.steps[index] }
}
