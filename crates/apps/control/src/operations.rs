//! Reading, following, cancelling and retrying operations.

use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, BoxStream, StreamExt};
use om_model::{OperationId, OperationKind, OperationState, Phase, ServiceName, StepRecord, StepState};
use om_planning::Step;

use crate::control::Control;
use crate::error::ControlError;
use crate::kinds::ServiceOperation;
use crate::store::or_exists;

/// A retried operation may take as long as it was given at first, but at least this.
const RETRY_AT_LEAST: Duration = Duration::from_secs(120);

impl Control {
    /// The operation with that identity.
    ///
    /// # Errors
    /// [`ControlError::NotFound`] if there is none.
    pub async fn operation(&self, id: &OperationId) -> Result<ServiceOperation, ControlError> {
        let stored = self.store.operations.get(id.as_str()).await?;
        stored.map(|stored| stored.value).ok_or_else(|| ControlError::not_found("operation", id))
    }

    /// Operations after `after`, oldest first, of one service or all; and whether there are more.
    ///
    /// # Errors
    /// [`ControlError::Unavailable`] if the control database does not answer.
    pub async fn operations(
        &self,
        service: Option<&ServiceName>,
        after: Option<&OperationId>,
        limit: usize,
    ) -> Result<(Vec<ServiceOperation>, bool), ControlError> {
        let mut found = Vec::new();
        let mut after = after.map(|id| id.as_str().to_owned());
        loop {
            let (page, more) = self.store.operations.page("", after.as_deref(), om_controldb::PAGE_MAX).await?;
            after = page.last().map(|last| last.name.clone()).or(after);
            for stored in page {
                if service.is_some_and(|name| stored.value.service != *name) {
                    continue;
                }
                if found.len() == limit {
                    return Ok((found, true));
                }
                found.push(stored.value);
            }
            if !more {
                return Ok((found, false));
            }
        }
    }

    /// Asks for the operation to be cancelled: one that waits ends at once, one under way is rolled back.
    ///
    /// # Errors
    /// [`ControlError::Conflict`] if it has ended, or has no way back (a delete under way).
    pub async fn cancel(&self, id: &OperationId) -> Result<ServiceOperation, ControlError> {
        let now = self.now();
        let mut refusal = None;
        let changed = self.store.operations.change(id.as_str(), |operation| {
            refusal = why_not_cancel(operation);
            if refusal.is_some() || operation.cancel_requested {
                return None;
            }
            let mut operation = operation.clone();
            operation.cancel_requested = true;
            // One that waits has done nothing yet; but for a create, which has its service's record to take back.
            if operation.state == OperationState::Queued && operation.kind != OperationKind::Create {
                operation.state = OperationState::RolledBack;
                operation.reason = Some("cancelled while it waited".into());
                operation.ended = Some(now);
            }
            Some(operation)
        });
        let operation = changed.await?.ok_or_else(|| ControlError::not_found("operation", id))?;
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
        if operation.state.ended() {
            self.note_end(&operation).await;
            self.clear(&operation).await?;
        }
        Ok(operation)
    }

    /// Takes up again an operation that needs attention, where it stopped.
    ///
    /// # Errors
    /// [`ControlError::Conflict`] if it does not need attention, or waits for members of a service that was stopped since;
    /// [`ControlError::Unavailable`] while the server that worked on
    /// it is still clearing it away.
    pub async fn retry(&self, id: &OperationId) -> Result<ServiceOperation, ControlError> {
        let now = self.now();
        if self.store.pending.get(id.as_str()).await?.is_some() && self.operation(id).await?.state.ended() {
            // Whoever clears it away would take its mark and its place in the queue from under the next attempt.
            return Err(ControlError::Unavailable(format!("operation {id} has just ended; try again in a moment")));
        }
        self.refuse_without_members(&self.operation(id).await?).await?;
        let mut refusal = None;
        let changed = self.store.operations.change(id.as_str(), |operation| {
            refusal = None;
            if operation.state != OperationState::NeedsAttention {
                refusal = Some(ControlError::Conflict {
                    detail: format!("operation {id} is {}", state_word(operation.state)),
                    next: "only an operation that needs attention can be retried".into(),
                });
                return None;
            }
            let mut operation = operation.clone();
            let back = !operation.rollback.is_empty();
            operation.state = if back { OperationState::RollingBack } else { OperationState::Running };
            let given = operation.deadline.since(operation.created);
            operation.deadline = now.plus(given.max(RETRY_AT_LEAST));
            operation.ended = None;
            if !back {
                operation.reason = None;
            }
            operation.cancel_requested = false;
            for step in operation.steps.iter_mut().chain(&mut operation.rollback) {
                if step.state == StepState::Failed {
                    step.state = StepState::Pending;
                }
            }
            Some(operation)
        });
        let operation = changed.await?.ok_or_else(|| ControlError::not_found("operation", id))?;
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
        or_exists(self.store.pending.create(id.as_str(), &operation.service).await)?;
        Ok(operation)
    }

    /// Refuses an operation that would wait for members which are not to run: their service was stopped since it was planned.
    async fn refuse_without_members(&self, operation: &ServiceOperation) -> Result<(), ControlError> {
        let steps = || operation.steps.iter().chain(&operation.rollback);
        let starts = steps().any(|record| matches!(record.step, Step::SetPhase { phase: Phase::Active }));
        let waits = |record: &StepRecord<Step>| {
            matches!(record.step, Step::AwaitMember { .. }) && record.state != StepState::Done
        };
        let service = self.store.services.get(operation.service.as_str()).await?.map(|stored| stored.value);
        let stopped = service.is_some_and(|service| service.phase == Phase::Stopped);
        let attended = operation.state == OperationState::NeedsAttention;
        if attended && stopped && !starts && steps().any(waits) {
            let name = &operation.service;
            return Err(ControlError::Conflict {
                detail: format!("service {name} was stopped since, and the operation waits for its members"),
                next: format!("openmanage start {name}; then try again"),
            });
        }
        Ok(())
    }

    /// The operation as it is, and then after each change, until it has ended.
    ///
    /// # Errors
    /// As [`Self::operation`].
    pub async fn follow_operation(
        self: &Arc<Self>,
        id: &OperationId,
    ) -> Result<BoxStream<'static, Result<ServiceOperation, ControlError>>, ControlError> {
        let watch = self.store.operations.watch(id.as_str()).await?;
        self.operation(id).await?;
        let state = (self.clone(), watch, id.clone(), None::<ServiceOperation>);
        Ok(stream::try_unfold(state, |(control, mut watch, id, last)| async move {
            if last.as_ref().is_some_and(|operation| operation.state.ended()) {
                return Ok(None);
            }
            loop {
                let operation = control.operation(&id).await?;
                if last.as_ref() != Some(&operation) {
                    return Ok(Some((operation.clone(), (control, watch, id, Some(operation)))));
                }
                watch.changed().await?;
            }
        })
        .boxed())
    }
}

fn why_not_cancel(operation: &ServiceOperation) -> Option<ControlError> {
    let conflict = |detail: String, next: &str| Some(ControlError::Conflict { detail, next: next.into() });
    if operation.state.ended() {
        return conflict(format!("operation {} has ended", operation.id), "there is nothing to cancel");
    }
    let begun = operation.steps.iter().any(|step| step.state != StepState::Pending);
    let one_way = matches!(operation.kind, OperationKind::Delete | OperationKind::Grow | OperationKind::Recover);
    if begun && one_way {
        return conflict(format!("a {} under way has no way back", operation.kind), "let it end");
    }
    None
}

pub(crate) const fn state_word(state: OperationState) -> &'static str {
    match state {
        OperationState::Queued => "queued",
        OperationState::Running => "running",
        OperationState::RollingBack => "rolling back",
        OperationState::Succeeded => "succeeded",
        OperationState::RolledBack => "rolled back",
        OperationState::NeedsAttention => "in need of attention",
    }
}
