//! The stage: a cluster in calm weather, and the words that scenarios are told in.
//!
//! Parts: `acts` (what befalls machines, processes and ways, and what operators do), `sights` (who is where, and what must be so).
//! Here: users and their operations, time, and the end.
//!
//! **Invariant:** what must be so and is not is written into the ledger, and nothing is done after that.

mod acts;
mod sights;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use om_control::{Control, ControlError, ServiceOperation, Submission};
use om_model::{MemberName, OperationId, OperationState};
use om_planning::Change;

use crate::fleet::Fleet;
use crate::fleet::users::{create, subject};

/// Longer than an operation with its rollback may take.
const OPERATION_ENDS: Duration = secs(1800);
/// Until all is well after something that is to be mended in no particular time.
pub(crate) const SOON: Duration = secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// So many seconds.
pub(crate) const fn secs(number: u64) -> Duration {
    Duration::from_secs(number)
}

/// The name of a member of the service.
pub(crate) fn member(index: u16) -> MemberName {
    MemberName::of(&subject(), index)
}

/// The stage. Clones are the same.
#[derive(Clone)]
pub struct Stage {
    pub(crate) fleet: Arc<Fleet>,
    asked: Arc<AtomicU64>,
}

impl Stage {
    /// A stage over a cluster that has just been started.
    pub fn new(fleet: Arc<Fleet>) -> Self {
        Self { fleet, asked: Arc::default() }
    }

    /// Ends the run: this is not as it must be.
    pub(crate) async fn fail<T>(&self, what: &str) -> T {
        self.fleet.ledger.violated(what);
        std::future::pending().await
    }

    /// This must be so now.
    pub(crate) async fn must(&self, so: bool, what: &str) {
        if !so {
            self.fail(what).await
        }
    }

    /// Lets time pass.
    pub(crate) async fn wait(&self, length: Duration) {
        self.fleet.env.sleep(length).await;
    }

    /// This must become so within `limit`.
    pub(crate) async fn within<F: Future<Output = bool>>(&self, limit: Duration, what: &str, so: impl Fn() -> F) {
        let began = self.fleet.env.now();
        while !so().await {
            if self.fleet.env.now() > began + limit {
                return self.fail(&format!("not within {} s: {what}", limit.as_secs())).await;
            }
            self.wait(LOOK_EVERY).await;
        }
        let took = self.fleet.env.now().saturating_sub(began);
        self.fleet.env.note(|| format!("stage: {what}, after {:.1} s", took.as_secs_f64()));
    }

    /// Every node has joined, and every agent knows all others.
    pub(crate) async fn joined(&self) {
        let roster = || async { self.roster().await.nodes.len() == self.fleet.town.machines().len() };
        self.within(secs(60), "every node has joined", roster).await;
        let revision = self.roster().await.revision;
        let known = || async { self.nodes().await.iter().all(|node| node.roster == revision) };
        self.within(secs(60), "they know one another", known).await;
    }

    /// The service is made with so many members, and all of them serve.
    pub(crate) async fn create(&self, replicas: u16) {
        self.joined().await;
        self.succeeds(create(replicas)).await;
        self.all_well(SOON).await;
        let before = self.fleet.ledger.rows();
        self.within(secs(30), "rows are written", || async { self.fleet.ledger.rows() > before + 5 }).await;
        self.fleet.env.note(|| "stage: set".to_owned());
    }

    /// A user asks for a change; it must be accepted.
    pub(crate) async fn begins(&self, change: Change) -> OperationId {
        let kind = change.kind();
        match self.asks(change).await {
            Ok(id) => id,
            Err(refused) => self.fail(&format!("{kind} refused: {refused}")).await,
        }
    }

    /// A user asks for a change, until a server answers.
    pub(crate) async fn asks(&self, change: Change) -> Result<OperationId, ControlError> {
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        self.asks_by_key(change, &format!("request-{number}")).await
    }

    /// A user asks for a change under that key.
    pub(crate) async fn asks_by_key(&self, change: Change, key: &str) -> Result<OperationId, ControlError> {
        let kind = change.kind();
        let idempotency_key = Some(key.to_owned());
        let submission = Submission { service: subject(), change, idempotency_key, deadline: None };
        let answer = self.fleet.submit(&submission).await;
        let said =
            answer.as_ref().map_or_else(ToString::to_string, |accepted| format!("accepted {}", accepted.operation.id));
        self.fleet.env.note(|| format!("stage: {kind}: {said}"));
        Ok(answer?.operation.id)
    }

    /// This change must be refused, before anything is touched.
    pub(crate) async fn is_refused(&self, change: Change, what: &str) {
        if self.asks(change).await.is_ok() {
            self.fail(&format!("accepted: {what}")).await
        }
    }

    /// The operation, once it has ended.
    pub(crate) async fn ends(&self, id: &OperationId) -> ServiceOperation {
        let began = self.fleet.env.now();
        loop {
            if let Some(operation) = self.fleet.operation(id).await.filter(|operation| operation.state.ended()) {
                let (kind, state, reason) = (operation.kind, operation.state, operation.reason.clone());
                self.fleet.env.note(|| format!("stage: {kind} ended {state:?}: {}", reason.unwrap_or_default()));
                if state == OperationState::NeedsAttention {
                    self.fleet.progress().attention.push(id.clone());
                }
                return operation;
            }
            if self.fleet.env.now() > began + OPERATION_ENDS {
                return self.fail(&format!("operation {id} has not ended")).await;
            }
            self.wait(LOOK_EVERY).await;
        }
    }

    /// The operation must end well.
    pub(crate) async fn ends_well(&self, id: &OperationId) {
        let operation = self.ends(id).await;
        let (state, reason) = (operation.state, operation.reason.unwrap_or_default());
        self.must(state == OperationState::Succeeded, &format!("{} ended {state:?}: {reason}", operation.kind)).await;
    }

    /// A user has a change made, which must succeed.
    pub(crate) async fn succeeds(&self, change: Change) {
        let id = self.begins(change).await;
        self.ends_well(&id).await;
    }

    /// A user has a change made, whatever becomes of it.
    pub(crate) async fn carries(&self, change: Change) -> ServiceOperation {
        let id = self.begins(change).await;
        self.ends(&id).await
    }

    /// Asks servers until one answers.
    pub(crate) async fn told<T, F>(
        &self,
        what: &str,
        work: impl Fn(Arc<Control>) -> F + Clone + Send + Sync + 'static,
    ) -> T
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        loop {
            if let Ok(answer) = self.fleet.ask_server(what, work.clone()).await {
                return answer;
            }
            self.wait(LOOK_EVERY).await;
        }
    }

    /// Everything is mended, and all must be well in the end; what was planned must have come.
    pub(super) async fn close(&self) {
        if let Some(planned) = self.fleet.env.weather.plans().lift().first() {
            return self.fail(&format!("{:?} at {} never came", planned.fault, planned.step)).await;
        }
        self.fleet.calm();
        self.fleet.settle().await;
    }
}
