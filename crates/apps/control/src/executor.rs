//! Carrying operations out.
//!
//! For each service one worker takes the head of the queue, and for each member that is being recovered one more takes that
//! member's recoveries ([`Lane`]): **plan → persist → execute**. Progress is written by
//! conditional update under an owner generation, so that a worker of a former process can change nothing any more; the
//! plan and the steps done are in the record, so that the next process goes on where the last one was.
//!
//! A step that fails for a while is repeated; one that fails for good, a cancellation or the deadline turns the operation
//! round: its rollback is a plan too, carried out by the same code.

mod attempt;
mod progress;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use om_model::mutation::{Mutation, planted};
use om_model::{EventKind, MemberName, OperationId, OperationState, ServiceName, ServiceRecord, StepRecord, StepState};
use om_planning::{Plan, Step, plan, rollback};

use crate::control::Control;
use crate::error::ControlError;
use crate::events::About;
use crate::kinds::ServiceOperation;
use crate::operations::state_word;

/// How long a rollback may take.
const ROLLBACK_WITHIN: Duration = Duration::from_secs(300);
/// After the control database did not answer: one member of it may be gone, and the others go on.
const AFTER_FAILURE: Duration = Duration::from_millis(500);
/// Pending operations are looked at this often even if nothing wakes the executor.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// A server that does not lead looks this often whether it does by now.
const LEAD_EVERY: Duration = Duration::from_millis(100);

/// A pending mark whose operation is not written by then is the rest of an interrupted request.
pub(crate) const ACCEPT_WITHIN: Duration = Duration::from_secs(60);

/// The worker's hold on an operation has ended: another process owns it, or it is gone.
pub(crate) struct Lost;

/// What one worker works off: a service's queue, or the recoveries of one of its members, which wait for nothing else.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Lane {
    service: ServiceName,
    /// The member that is recovered; none for the service's queue.
    recovered: Option<MemberName>,
}

impl Control {
    /// Works on all queues. Does not return.
    pub(crate) async fn execute_operations(self: Arc<Self>) {
        // Accepting an operation begins with its pending mark, so that it is found again whatever happens, and ends with its
        // place in its service's queue: whoever looks at the mark alone may come too early, and is not woken again.
        loop {
            if !self.leads() {
                self.ports.runtime.clock.sleep(LEAD_EVERY).await;
                continue;
            }
            let watches = (self.store.pending.watch("").await, self.store.services.watch("").await);
            if let Err(error) = self.start_workers().await {
                tracing::warn!(%error, "cannot look for operations");
            }
            let (Ok(mut pending_watch), Ok(mut services_watch)) = watches else {
                self.ports.runtime.clock.sleep(AFTER_FAILURE).await;
                continue;
            };
            let change = futures::future::select(pending_watch.changed(), services_watch.changed());
            drop(self.ports.runtime.within(LOOK_EVERY, change).await);
        }
    }

    /// Has a worker on every lane in which something is to be done.
    pub(crate) async fn start_workers(self: &Arc<Self>) -> Result<(), ControlError> {
        let pending = self.store.pending.all("").await?;
        let services: BTreeSet<ServiceName> = pending.into_iter().map(|pending| pending.value).collect();
        for service in services {
            if self.settings.several_nodes
                && let Some(record) = self.store.services.get(service.as_str()).await?
            {
                self.start_workers_of(&record.value);
            }
            self.start_worker(Lane { service, recovered: None });
        }
        Ok(())
    }

    /// Has a worker on every lane in which the service has an operation.
    pub(crate) fn start_workers_of(self: &Arc<Self>, service: &ServiceRecord) {
        let members = service.recoveries.iter().map(|recovery| Some(recovery.member.clone()));
        let queue = (!service.queue.is_empty()).then_some(None);
        for recovered in members.chain(queue) {
            self.start_worker(Lane { service: service.name.clone(), recovered });
        }
    }

    fn start_worker(self: &Arc<Self>, lane: Lane) {
        if !self.busy().insert(lane.clone()) {
            return;
        }
        let control = self.clone();
        let work = async move {
            while control.work_on(&lane).await.is_ok() {
                control.busy().remove(&lane);
                // What came between the last look and the line above is not left until the next wake-up.
                let more = matches!(control.next_of(&lane).await, Ok(Some(_)));
                if !more || !control.busy().insert(lane.clone()) {
                    return;
                }
            }
            control.busy().remove(&lane);
        };
        self.ports.runtime.tasks.spawn("operation", Box::pin(work));
    }

    /// Works off one lane; an error means: try again later.
    async fn work_on(self: &Arc<Self>, lane: &Lane) -> Result<(), Lost> {
        loop {
            match self.next_of(lane).await {
                Ok(Some(operation)) => self.carry(operation).await?,
                Ok(None) => return Ok(()),
                Err(error) => {
                    tracing::warn!(service = %lane.service, %error, "cannot go on with the operations of this service");
                    return Err(Lost);
                }
            }
        }
    }

    /// The operation whose turn it is.
    async fn next_of(&self, lane: &Lane) -> Result<Option<ServiceOperation>, ControlError> {
        if lane.recovered.is_none() {
            self.give_places(&lane.service).await?;
        }
        loop {
            let Some(record) = self.store.services.get(lane.service.as_str()).await? else { return Ok(None) };
            let head = match &lane.recovered {
                None => record.value.queue.first(),
                Some(member) => {
                    let first = record.value.recoveries.iter().find(|recovery| recovery.member == *member);
                    first.map(|recovery| &recovery.operation)
                }
            };
            let Some(head) = head else { return Ok(None) };
            match self.store.operations.get(head.as_str()).await? {
                Some(stored) if !stored.value.state.ended() => return Ok(Some(stored.value)),
                _ => self.leave_queue(&lane.service, head).await?,
            }
        }
    }

    /// Gives pending operations of the service that have no place in a queue one; those that have ended are cleared away.
    async fn give_places(&self, service: &ServiceName) -> Result<(), ControlError> {
        for pending in self.store.pending.all("").await? {
            if pending.value != *service {
                continue;
            }
            let Some(stored) = self.store.operations.get(&pending.name).await? else {
                // Being accepted right now; or its acceptance was interrupted, and nobody was told of it.
                if self.is_left_over(&pending.name) {
                    self.store.pending.remove(&pending.name).await?;
                }
                continue;
            };
            self.unaccepted().remove(&pending.name);
            if stored.value.state.ended() {
                self.clear(&stored.value).await?;
            } else if let Err(error) = self.enqueue(&stored.value).await {
                match error {
                    ControlError::Unavailable(_) | ControlError::Broken(_) => return Err(error),
                    gone => self.end_refused(&stored.value, &gone).await?,
                }
            }
        }
        Ok(())
    }

    /// Whether this server has seen a mark without its operation for too long. By its own clock: the time in the mark's name is
    /// by the clock of whichever server made it.
    fn is_left_over(&self, mark: &str) -> bool {
        let now = self.ports.runtime.clock.monotonic();
        let mut unaccepted = self.unaccepted();
        let since = *unaccepted.entry(mark.to_owned()).or_insert(now);
        let over = now.saturating_sub(since) > ACCEPT_WITHIN;
        if over {
            unaccepted.remove(mark);
        }
        over
    }

    /// Carries one operation to its end.
    async fn carry(self: &Arc<Self>, operation: ServiceOperation) -> Result<(), Lost> {
        let mut operation = self.take_over(&operation).await?;
        if !operation.planned {
            operation = self.make_plan(operation).await?;
        }
        if operation.state == OperationState::Running {
            operation = self.forward(operation).await?;
        }
        if operation.state == OperationState::RollingBack {
            operation = self.backward(operation).await?;
        }
        self.note_end(&operation).await;
        self.clear(&operation).await.map_err(|error| {
            tracing::warn!(%error, operation = %operation.id, "cannot clear an ended operation; tried again soon");
            Lost
        })
    }

    /// Tells that the operation has ended, and how.
    pub(crate) async fn note_end(&self, operation: &ServiceOperation) {
        let about = About { service: Some(&operation.service), operation: Some(&operation.id), member: None };
        let reason = operation.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let message = format!("{} {} {}{reason}", operation.kind, operation.service, state_word(operation.state));
        self.note(EventKind::OperationEnded, about, message).await;
    }

    /// Plans now, when its turn has come: earlier operations have changed what is.
    async fn make_plan(&self, operation: ServiceOperation) -> Result<ServiceOperation, Lost> {
        let planned = match self.observe_for(&operation.service, &operation.parameters).await {
            Ok(observed) => plan(&operation.service, &operation.service_id, &operation.parameters, &observed)
                .map_err(|refusal| (refusal.to_string(), rollback(&operation, &observed).unwrap_or_default())),
            Err(error) => {
                tracing::warn!(%error, operation = %operation.id, "cannot observe the service");
                self.ports.runtime.clock.sleep(LOOK_EVERY).await;
                return Err(Lost);
            }
        };
        let deadline = self.now().plus(ROLLBACK_WITHIN);
        self.advance(&operation, |operation| {
            operation.planned = true;
            match &planned {
                Ok(plan) => {
                    operation.state = OperationState::Running;
                    operation.steps = records(plan);
                }
                // It fitted when it was accepted. A create has made the service's record by now, which goes again.
                Err((refusal, back)) => {
                    operation.state = OperationState::RollingBack;
                    operation.rollback = records(back);
                    operation.reason = Some(refusal.clone());
                    operation.deadline = deadline;
                }
            }
        })
        .await
    }

    async fn forward(self: &Arc<Self>, mut operation: ServiceOperation) -> Result<ServiceOperation, Lost> {
        let mut failed = None;
        while let Some(index) = operation.steps.iter().position(|step| step.state != StepState::Done) {
            operation = match self.attempt(operation, index, false).await? {
                Ok(operation) => operation,
                Err((operation_now, reason)) => {
                    operation = operation_now;
                    failed = Some(reason);
                    break;
                }
            };
        }
        match failed {
            None => self.end(&operation, OperationState::Succeeded, None).await,
            Some(reason) => self.turn_round(operation, reason).await,
        }
    }

    /// Plans the way back and persists it; or, where there is none, ends with the reason.
    async fn turn_round(&self, operation: ServiceOperation, reason: String) -> Result<ServiceOperation, Lost> {
        let back = match self.observe(&operation.service).await {
            Ok(observed) => rollback(&operation, &observed),
            Err(error) => {
                let reason = format!("{reason}; and the way back cannot be planned: {error}");
                return self.end(&operation, OperationState::NeedsAttention, Some(reason)).await;
            }
        };
        let Some(back) = back else {
            let next = format!("mend the cause, then: openmanage operations retry {}", operation.id);
            return self.end(&operation, OperationState::NeedsAttention, Some(format!("{reason} ({next})"))).await;
        };
        let deadline = self.now().plus(ROLLBACK_WITHIN);
        self.advance(&operation, |operation| {
            operation.state = OperationState::RollingBack;
            operation.rollback = records(&back);
            operation.reason = Some(reason.clone());
            operation.deadline = deadline;
        })
        .await
    }

    async fn backward(self: &Arc<Self>, mut operation: ServiceOperation) -> Result<ServiceOperation, Lost> {
        let open = |step: &StepRecord<Step>| step.state != StepState::Done && !planted(Mutation::RollbackSkipped);
        while let Some(index) = operation.rollback.iter().position(open) {
            operation = match self.attempt(operation, index, true).await? {
                Ok(operation) => operation,
                Err((operation, reason)) => {
                    let first = operation.reason.clone().unwrap_or_default();
                    let next = format!("mend the cause, then: openmanage operations retry {}", operation.id);
                    let reason = format!("{first}; and rolling back failed: {reason} ({next})");
                    return self.end(&operation, OperationState::NeedsAttention, Some(reason)).await;
                }
            };
        }
        let reason = operation.reason.clone();
        self.end(&operation, OperationState::RolledBack, reason).await
    }

    /// An operation that can have no place any more: its service is gone, or its name is taken.
    async fn end_refused(&self, operation: &ServiceOperation, why: &ControlError) -> Result<(), ControlError> {
        let Ok(operation) = self.take_over(operation).await else { return Ok(()) };
        let deleted = matches!(operation.parameters, om_planning::Change::Delete { .. }) && operation.planned;
        let (state, reason) = match operation.state {
            _ if deleted => (OperationState::Succeeded, None),
            OperationState::RollingBack => (OperationState::RolledBack, operation.reason.clone()),
            _ => (OperationState::RolledBack, Some(why.to_string())),
        };
        if let Ok(operation) = self.end(&operation, state, reason).await {
            self.clear(&operation).await?;
        }
        Ok(())
    }

    /// Takes an ended operation out of its queue and off the pending marks, in this order.
    pub(crate) async fn clear(&self, operation: &ServiceOperation) -> Result<(), ControlError> {
        self.leave_queue(&operation.service, &operation.id).await?;
        if planted(Mutation::PendingNotCleared) {
            return Ok(());
        }
        Ok(self.store.pending.remove(operation.id.as_str()).await?)
    }

    async fn leave_queue(&self, service: &ServiceName, id: &OperationId) -> Result<(), ControlError> {
        let without = |service: &om_model::ServiceRecord| {
            let mut service = service.clone();
            let before = service.queue.len() + service.recoveries.len();
            service.queue.retain(|queued| queued != id);
            service.recoveries.retain(|recovery| recovery.operation != *id);
            (service.queue.len() + service.recoveries.len() < before).then_some(service)
        };
        self.store.services.change(service.as_str(), without).await?;
        Ok(())
    }
}

fn records(plan: &Plan) -> Vec<StepRecord<Step>> {
    let record = |step: &Step| StepRecord {
        step: step.clone(),
        state: StepState::Pending,
        began: None,
        ended: None,
        attempts: 0,
        error: None,
    };
    plan.steps.iter().map(|planned| record(&planned.step)).collect()
}
