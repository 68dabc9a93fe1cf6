//! From the model's records to the wire. The way back is the server's, for it fills in defaults.

use om_model::{
    MemberRecord, Operation as Stored, ServiceRecord, StepRecord, StepState, Timestamp, VolumeRecord, ZoneName,
};
use om_planning::{Change, Step};

use crate::cluster::{Event, Volume};
use crate::operation::{Operation, OperationStep, Plan, PlanStep, Progress};
use crate::service::{Member, Place, Resources, Service, VolumeSizes};

/// A point in time as RFC 3339 text.
pub fn rfc3339(at: Timestamp) -> String {
    let ms = i64::try_from(at.as_millis()).unwrap_or(i64::MAX);
    format!("{:.3}", jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::MAX))
}

impl From<&ServiceRecord> for Service {
    fn from(record: &ServiceRecord) -> Self {
        let spec = &record.spec;
        let place = |place: &om_model::Place| Place { region: place.region.to_string(), zone: place.zone.clone() };
        Self {
            name: record.name.to_string(),
            id: record.id.to_string(),
            engine: spec.engine.clone(),
            version: spec.version.clone(),
            image: spec.image.clone(),
            phase: record.phase,
            replicas: spec.replicas.into(),
            resources: Resources { memory: spec.resources.memory.into(), cpu_millis: spec.resources.cpu_millis },
            volumes: VolumeSizes { data: spec.volumes.data.into(), journal: spec.volumes.journal.map(Into::into) },
            settings: spec.settings.clone(),
            options: spec.options.clone(),
            places: spec.places.iter().map(place).collect(),
            primary: record.primary.as_ref().map(ToString::to_string),
            configuration: record.configuration,
            operations: record.queue.iter().map(ToString::to_string).collect(),
            created: rfc3339(record.created),
        }
    }
}

impl Member {
    /// A member of which nothing but its record is known.
    pub fn from_record(record: &MemberRecord, zone: &ZoneName) -> Self {
        let holder = record.binding.holder.as_ref();
        Self {
            name: record.name.to_string(),
            host: format!("{}.{zone}", record.name),
            index: record.index.into(),
            address: record.address.map(|address| address.to_string()),
            node: holder.map(|holder| holder.node.to_string()),
            container: holder.and_then(|holder| holder.container.clone()),
            epoch: record.binding.epoch.get(),
            deployment: "absent".into(),
            role: None,
            healthy: false,
            detail: String::new(),
            lag_bytes: None,
            configuration: None,
            restart_pending: false,
        }
    }
}

impl From<&Stored<Change, Step>> for Operation {
    fn from(stored: &Stored<Change, Step>) -> Self {
        let way = if stored.rollback.is_empty() { &stored.steps } else { &stored.rollback };
        let done = way.iter().filter(|step| step.state == StepState::Done).count();
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Self {
            id: stored.id.to_string(),
            kind: stored.kind,
            service: stored.service.to_string(),
            service_id: stored.service_id.to_string(),
            state: stored.state,
            ended: stored.state.ended(),
            parameters: serde_json::to_value(&stored.parameters).expect("a change is plain data"),
            progress: Progress { done: count(done), total: count(way.len()) },
            steps: stored.steps.iter().map(OperationStep::from).collect(),
            rollback: stored.rollback.iter().map(OperationStep::from).collect(),
            cancel_requested: stored.cancel_requested,
            reason: stored.reason.clone(),
            created: rfc3339(stored.created),
            deadline: rfc3339(stored.deadline),
            ended_at: stored.ended.map(rfc3339),
        }
    }
}

impl From<&StepRecord<Step>> for OperationStep {
    fn from(record: &StepRecord<Step>) -> Self {
        Self {
            what: record.step.describe(),
            member: record.step.member().map(ToString::to_string),
            state: record.state,
            attempts: record.attempts,
            error: record.error.clone(),
            began: record.began.map(rfc3339),
            ended: record.ended.map(rfc3339),
        }
    }
}

impl From<&om_planning::Plan> for Plan {
    fn from(plan: &om_planning::Plan) -> Self {
        let step = |planned: &om_planning::PlannedStep| PlanStep {
            what: planned.step.describe(),
            member: planned.step.member().map(ToString::to_string),
            reason: planned.reason.clone(),
        };
        Self {
            steps: plan.steps.iter().map(step).collect(),
            write_pause_ms: plan.write_pause.map(|pause| u64::try_from(pause.as_millis()).unwrap_or(u64::MAX)),
            notes: plan.notes.clone(),
        }
    }
}

impl From<&VolumeRecord> for Volume {
    fn from(record: &VolumeRecord) -> Self {
        Self {
            name: record.id.to_string(),
            service: record.service_name.to_string(),
            service_id: record.id.service.to_string(),
            member: record.id.member.to_string(),
            role: record.id.role,
            engine: record.engine.clone(),
            size: record.size.into(),
            provider: record.provider.clone(),
            created: rfc3339(record.created),
            kept_since: record.kept_since.map(rfc3339),
        }
    }
}

impl Event {
    /// The event at `cursor`.
    pub fn at_cursor(cursor: String, event: &om_model::Event) -> Self {
        Self {
            cursor,
            at: rfc3339(event.at),
            kind: event.kind,
            service: event.service.as_ref().map(ToString::to_string),
            member: event.member.as_ref().map(ToString::to_string),
            operation: event.operation.as_ref().map(ToString::to_string),
            message: event.message.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
