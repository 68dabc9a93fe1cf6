//! Accepting a change.
//!
//! What is written, in this order: the request (under its idempotency key), the pending mark, the operation, the place
//! in the service's queue. Each is create-if-absent, so the same request again finishes what a crash interrupted; and a
//! pending operation without a place in a queue is given one by the executor.

use std::time::Duration;

use om_model::mutation::{Mutation, planted};
use om_model::{EventKind, OperationId, OperationState, Phase, Recovery, ServiceId, ServiceName, ServiceRecord};
use om_planning::{Change, Observed, Plan, plan, possible_neighbours};
use sha2::{Digest, Sha256};

use crate::control::{Addressing, Control};
use crate::error::ControlError;
use crate::events::About;
use crate::executor::ACCEPT_WITHIN;
use crate::kinds::{AcceptedRequest, ServiceOperation};
use crate::store::or_exists;

/// How long an operation may take when nobody says.
const DEADLINE: Duration = Duration::from_secs(600);
/// Most operations that wait for one service.
const QUEUE_MAX: usize = 32;

/// A change to be made.
#[derive(Clone, Debug)]
pub struct Submission {
    /// The service it is about.
    pub service: ServiceName,
    /// What is to change.
    pub change: Change,
    /// The client's key: the same key again returns the same operation; with another request it is a conflict.
    pub idempotency_key: Option<String>,
    /// How long the operation may take; 10 minutes when absent.
    pub deadline: Option<Duration>,
}

/// A change that was accepted.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// The operation that carries it out.
    pub operation: ServiceOperation,
    /// True if this request had been accepted before.
    pub repeated: bool,
}

impl Control {
    /// Accepts a change: from here on it will be carried out, rolled back, or end with the reason a person must look.
    ///
    /// # Errors
    /// [`ControlError::Invalid`] or [`ControlError::Conflict`] if it cannot be done, before anything is touched.
    pub async fn submit(&self, submission: Submission) -> Result<Accepted, ControlError> {
        let Submission { service, change, .. } = &submission;
        let key = submission.idempotency_key.as_ref().filter(|_| !planted(Mutation::RetryWithoutKey));
        let request = key.map(|key| (hash(key.as_bytes()), fingerprint(service, change)));
        let mut id: Option<OperationId> = None;
        if let Some((key, fingerprint)) = &request
            && let Some(accepted) = self.accepted_before(key, fingerprint).await?
        {
            if let Some(stored) = self.store.operations.get(accepted.as_str()).await? {
                if !stored.value.state.ended() {
                    or_exists(self.store.pending.create(accepted.as_str(), service).await)?;
                }
                return Ok(Accepted { operation: stored.value, repeated: true });
            }
            id = Some(accepted);
        }
        if let Change::Create { spec } = change
            && let Some(operation) = self.created_before(service, spec).await?
        {
            return Ok(Accepted { operation, repeated: true });
        }
        if let Err(refusal) = self.preview(service, change).await {
            return self.unless_created_meanwhile(service, change, refusal).await;
        }
        self.orchestrator_answers(change).await?;
        let id = match id {
            Some(id) => id,
            None => self.ports.runtime.new_id().parse().map_err(om_model::Invalid::from)?,
        };
        let id = match &request {
            Some((key, fingerprint)) => self.record_request(key, fingerprint, id).await?,
            None => id,
        };
        self.accept(id, submission).await
    }

    async fn accept(&self, id: OperationId, submission: Submission) -> Result<Accepted, ControlError> {
        let operation = self.new_operation(id, submission).await?;
        let began = self.ports.runtime.clock.monotonic();
        or_exists(self.store.pending.create(operation.id.as_str(), &operation.service).await)?;
        let (operation, repeated) = match self.store.operations.create(operation.id.as_str(), &operation).await {
            Ok(_) => (operation, false),
            // The same request under the same key at the same time, or before a crash: that one's operation is ours.
            Err(error) if error.is_conflict() => (self.operation(&operation.id).await?, true),
            Err(error) => return Err(error.into()),
        };
        if !operation.planned
            && let Err(error) = self.enqueue(&operation).await
        {
            if matches!(error, ControlError::Unavailable(_) | ControlError::Broken(_)) {
                // It may have its place or not; the executor sees to it. Asking again under the same key tells.
                return Err(error);
            }
            return self.accepted_after_all(&operation, error).await;
        }
        if self.ports.runtime.clock.monotonic().saturating_sub(began) >= ACCEPT_WITHIN / 2 {
            // The mark may have been taken for left over meanwhile.
            or_exists(self.store.pending.create(operation.id.as_str(), &operation.service).await)?;
        }
        let now = self.store.operations.get(operation.id.as_str()).await?;
        if let Some(ended) = now.map(|stored| stored.value).filter(|operation| operation.state.ended()) {
            // The executor, which gives places too, was quicker: it has ended and needs none any more.
            self.clear(&ended).await?;
        }
        if !repeated {
            let about = About { service: Some(&operation.service), operation: Some(&operation.id), member: None };
            let message = format!("{} {} accepted", operation.kind, operation.service);
            self.note(EventKind::OperationAccepted, about, message).await;
        }
        Ok(Accepted { operation, repeated })
    }

    /// Somebody took the name meanwhile, or the last place. Nothing of the request stays.
    async fn accepted_after_all(
        &self,
        operation: &ServiceOperation,
        refusal: ControlError,
    ) -> Result<Accepted, ControlError> {
        self.store.pending.remove(operation.id.as_str()).await?;
        self.store.operations.remove(operation.id.as_str()).await?;
        self.unless_created_meanwhile(&operation.service, &operation.parameters, refusal).await
    }

    /// The refusal; but if somebody took the name since it was looked at, and asked for the same service, it is there as
    /// asked for.
    async fn unless_created_meanwhile(
        &self,
        service: &ServiceName,
        change: &Change,
        refusal: ControlError,
    ) -> Result<Accepted, ControlError> {
        if let Change::Create { spec } = change
            && let Some(operation) = self.created_before(service, spec).await?
        {
            return Ok(Accepted { operation, repeated: true });
        }
        Err(refusal)
    }

    async fn new_operation(&self, id: OperationId, submission: Submission) -> Result<ServiceOperation, ControlError> {
        let now = self.now();
        let service_id: ServiceId = match &submission.change {
            Change::Create { .. } => self.ports.runtime.new_id().parse().map_err(om_model::Invalid::from)?,
            _ => self.store.service(&submission.service).await?.id,
        };
        Ok(ServiceOperation {
            id,
            kind: submission.change.kind(),
            service: submission.service,
            service_id,
            parameters: submission.change,
            state: OperationState::Queued,
            steps: Vec::new(),
            rollback: Vec::new(),
            planned: false,
            cancel_requested: false,
            reason: None,
            owner_generation: 0,
            created: now,
            deadline: now.plus(submission.deadline.unwrap_or(DEADLINE)),
            ended: None,
        })
    }

    /// Gives the operation its place: at the end of its service's queue, or as the first of a new service.
    pub(crate) async fn enqueue(&self, operation: &ServiceOperation) -> Result<(), ControlError> {
        let name = operation.service.as_str();
        if let (Change::Create { spec }, false) = (&operation.parameters, operation.planned) {
            let service = ServiceRecord {
                name: operation.service.clone(),
                id: operation.service_id.clone(),
                primary: Some(om_model::MemberName::of(&operation.service, 0)),
                spec: spec.clone(),
                phase: Phase::Creating,
                queue: vec![operation.id.clone()],
                recoveries: Vec::new(),
                origin: operation.id.clone(),
                configuration: 1,
                created: operation.created,
            };
            or_exists(self.store.service_ids.create(operation.service_id.as_str(), &operation.service).await)?;
            or_exists(self.store.services.create(name, &service).await)?;
            let there = self.store.service(&operation.service).await?;
            if there.id == operation.service_id {
                return Ok(());
            }
            self.store.service_ids.remove(operation.service_id.as_str()).await?;
            return Err(taken(&operation.service, there.phase));
        }
        let mut refusal = None;
        let changed = self.store.services.change(name, |service| {
            refusal = None;
            if service.id != operation.service_id || service.queue.contains(&operation.id) {
                return None;
            }
            if let Change::Recover { member, from_node, epoch } = &operation.parameters {
                let recovery = Recovery {
                    member: member.clone(),
                    from: from_node.clone(),
                    epoch: *epoch,
                    operation: operation.id.clone(),
                };
                return with_recovery(service, recovery, &mut refusal);
            }
            if service.queue.len() >= QUEUE_MAX {
                refusal = Some(ControlError::Conflict {
                    detail: format!("{QUEUE_MAX} operations wait for service {name}"),
                    next: "wait for some to end".into(),
                });
                return None;
            }
            let mut service = service.clone();
            service.queue.push(operation.id.clone());
            Some(service)
        });
        let changed = changed.await?;
        match (refusal, changed) {
            (Some(refusal), _) => Err(refusal),
            (None, Some(service)) if service.id == operation.service_id => Ok(()),
            (None, _) => Err(ControlError::service(&operation.service)),
        }
    }

    /// The plan that [`Self::submit`] would carry out if its turn came now.
    ///
    /// # Errors
    /// As [`Self::submit`].
    pub async fn preview(&self, service: &ServiceName, change: &Change) -> Result<Plan, ControlError> {
        let observed = self.observe_for(service, change).await?;
        let placeholder = "0".repeat(32).parse().map_err(om_model::Invalid::from)?;
        let id = observed.service.as_ref().map_or(placeholder, |record| record.id.clone());
        if let (Change::Create { .. }, Some(record)) = (change, &observed.service) {
            return Err(taken(service, record.phase));
        }
        Ok(plan(service, &id, change, &observed)?)
    }

    /// What is, as far as plans need it.
    pub(crate) async fn observe(&self, service: &ServiceName) -> Result<Observed, ControlError> {
        let sites = self.sites().await?;
        let mut zones = self.settings.zones.clone();
        zones.extend(sites.nodes.iter().filter_map(|site| site.zone.clone()));
        zones.sort();
        zones.dedup();
        let Some(stored) = self.store.services.get(service.as_str()).await? else {
            return Ok(Observed { zones, sites, ..Observed::default() });
        };
        let members = self.store.members_of(&stored.value.id).await?;
        let volumes = self.store.volumes_of(&stored.value.id).await?;
        Ok(Observed { service: Some(stored.value), members, volumes, zones, sites, ..Observed::default() })
    }

    /// What is, as far as the plan of `change` needs it.
    pub(crate) async fn observe_for(&self, service: &ServiceName, change: &Change) -> Result<Observed, ControlError> {
        let mut observed = self.observe(service).await?;
        if let Change::Create { spec } = change {
            let possible = possible_neighbours(service, spec.replicas);
            let looks = possible.iter().map(|name| self.store.services.get(name.as_str()));
            let found = futures::future::try_join_all(looks).await?;
            observed.neighbours = found.into_iter().flatten().map(|stored| stored.value).collect();
        }
        Ok(observed)
    }

    /// The operation that made the service, if it was made by this very request.
    async fn created_before(
        &self,
        name: &ServiceName,
        spec: &om_model::ServiceSpec,
    ) -> Result<Option<ServiceOperation>, ControlError> {
        let Some(service) = self.store.services.get(name.as_str()).await?.map(|stored| stored.value) else {
            return Ok(None);
        };
        let origin = self.store.operations.get(service.origin.as_str()).await?.map(|stored| stored.value);
        let same = |operation: &ServiceOperation| matches!(&operation.parameters, Change::Create { spec: asked } if asked == spec);
        match origin.filter(|operation| service.spec == *spec || same(operation)) {
            Some(operation) if service.phase != Phase::Deleting => Ok(Some(operation)),
            _ => Err(taken(name, service.phase)),
        }
    }

    async fn accepted_before(&self, key: &str, fingerprint: &str) -> Result<Option<OperationId>, ControlError> {
        let Some(stored) = self.store.requests.get(key).await? else { return Ok(None) };
        if stored.value.fingerprint == fingerprint {
            return Ok(Some(stored.value.operation));
        }
        Err(ControlError::Conflict {
            detail: "this idempotency key was used for another request".into(),
            next: "use a new key for a new request".into(),
        })
    }

    async fn record_request(&self, key: &str, fingerprint: &str, id: OperationId) -> Result<OperationId, ControlError> {
        let request = AcceptedRequest { operation: id.clone(), fingerprint: fingerprint.to_owned(), at: self.now() };
        match self.store.requests.create(key, &request).await {
            Ok(_) => Ok(id),
            Err(error) if error.is_conflict() => self
                .accepted_before(key, fingerprint)
                .await?
                .ok_or_else(|| ControlError::Broken("request vanished".into())),
            Err(error) => Err(error.into()),
        }
    }

    /// Refuses work that needs the orchestrator while it does not answer, before anything is touched.
    async fn orchestrator_answers(&self, change: &Change) -> Result<(), ControlError> {
        if matches!(change, Change::Create { .. }) && self.settings.addresses == Addressing::Orchestrator {
            self.ports.orchestrator.network().await?;
        }
        Ok(())
    }
}

/// The service with the recovery in its lane: there is one at a time for the same loss.
fn with_recovery(
    service: &ServiceRecord,
    recovery: Recovery,
    refusal: &mut Option<ControlError>,
) -> Option<ServiceRecord> {
    let same = |other: &&Recovery| {
        other.member == recovery.member && other.from == recovery.from && other.epoch == recovery.epoch
    };
    match service.recoveries.iter().find(same) {
        Some(there) if there.operation == recovery.operation => None,
        Some(there) => {
            *refusal = Some(ControlError::Conflict {
                detail: format!("operation {} recovers {} already", there.operation, recovery.member),
                next: "there is nothing to do".into(),
            });
            None
        }
        None => {
            let mut service = service.clone();
            service.recoveries.push(recovery);
            Some(service)
        }
    }
}

fn taken(name: &ServiceName, phase: Phase) -> ControlError {
    let next = match phase {
        Phase::Deleting => "it is being deleted: try again when it is gone".to_owned(),
        _ => format!("choose another name, or look at it: openmanage get {name}"),
    };
    ControlError::Conflict { detail: format!("service {name} exists with another specification"), next }
}

fn fingerprint(service: &ServiceName, change: &Change) -> String {
    let text = serde_json::to_vec(&(service, change)).unwrap_or_default();
    hash(&text)
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
