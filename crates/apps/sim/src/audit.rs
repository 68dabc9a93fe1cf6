//! What must hold of single records, and of what they say together, whatever else goes on.
//!
//! [`Watched`](crate::records::Watched) asks at every change; the fleet asks at the end.

use std::path::Path;

use om_backend::Host;
use om_control::ServiceOperation;
use om_engines::catalog;
use om_engines::member::{CONTROL_DIR, SECRETS_DIR, TLS_KEY};
use om_model::{Binding, OperationKind, OperationState, Roster, StepRecord, StepState};
use om_planning::Step;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::fleet::Fleet;
use crate::town::Town;

#[derive(Deserialize)]
struct Envelope<T> {
    record: T,
}

/// The record in what is stored.
pub(crate) fn record_in<T: DeserializeOwned>(value: &[u8]) -> Option<T> {
    serde_json::from_slice::<Envelope<T>>(value).ok().map(|envelope| envelope.record)
}

/// A holder gives way to another node only if the servers want that.
pub(crate) fn evicted(old: &Binding, new: &Binding) -> Option<String> {
    let (was, is) = (old.holder.as_ref()?, new.holder.as_ref()?);
    let wanted = old.assigned.as_ref() == Some(&is.node);
    (was.node != is.node && !wanted).then(|| format!("{} took it from {}, unasked", is.node, was.node))
}

/// An operation never goes back: what was done stays done, and what has ended has ended, unless somebody tries again.
pub(crate) fn went_back(old: &[u8], new: &[u8]) -> Option<String> {
    let (old, new): (ServiceOperation, ServiceOperation) = (record_in(old)?, record_in(new)?);
    let over = matches!(old.state, OperationState::Succeeded | OperationState::RolledBack);
    if over && new.state != old.state {
        return Some(format!("{} goes on after its end", old.id));
    }
    let again = |old: &[StepRecord<Step>], new: &[StepRecord<Step>]| {
        let undone = |(old, new): (&StepRecord<Step>, &StepRecord<Step>)| {
            old.state == StepState::Done && new.state != StepState::Done
        };
        old.iter().zip(new).any(undone)
    };
    let again = again(&old.steps, &new.steps) || again(&old.rollback, &new.rollback);
    again.then(|| format!("{}: a step that was done is begun again", old.id))
}

/// What a change of an operation's record is.
pub(crate) enum Written {
    /// Another worker has it from now on.
    TakenOver,
    /// Its worker writes how far it is.
    Progress,
}

/// What this change is; nothing if it is a user's, who cancels or tries again.
pub(crate) fn written(old: &[u8], new: &[u8]) -> Option<Written> {
    let (old, new): (ServiceOperation, ServiceOperation) = (record_in(old)?, record_in(new)?);
    if new.owner_generation > old.owner_generation {
        return Some(Written::TakenOver);
    }
    let users = new.cancel_requested != old.cancel_requested || old.state == OperationState::NeedsAttention;
    (!users).then_some(Written::Progress)
}

/// The roster is changed only once a majority of its agents has it on disk.
pub(crate) async fn unawaited(town: &Town, old: &[u8]) -> Option<String> {
    let old: Roster = record_in(old)?;
    let mut know = 0;
    for node in &old.nodes {
        let Some(machine) = town.machine(&node.id) else { continue };
        let text = machine.host.read_file(Path::new("/state/roster.json")).await.ok()?;
        let known: Option<Roster> = text.and_then(|text| serde_json::from_slice(&text).ok());
        know += usize::from(known.is_some_and(|known| known.revision >= old.revision));
    }
    let few = know < old.majority();
    few.then(|| format!("roster {} is replaced while only {know} of {} agents know it", old.revision, old.nodes.len()))
}

impl Fleet {
    /// What the records say together that they must not, if anything.
    pub(crate) async fn audit(&self) -> Option<String> {
        let operations: Vec<ServiceOperation> = self.all("operations/").await;
        let asked = operations.iter().filter(|operation| operation.kind != OperationKind::Recover).count() as u64;
        let requests = self.progress().requests;
        if asked > requests {
            return Some(format!("{requests} requests became {asked} operations"));
        }
        self.secret_in_the_clear().await
    }

    /// Where a secret that members were given can be read in the control database.
    async fn secret_in_the_clear(&self) -> Option<String> {
        let mut secrets = Vec::new();
        for machine in self.town.machines() {
            for container in machine.containers() {
                let Some(config) = container.config().await else { continue };
                let named = catalog::find(&config.engine).ok()?.secrets();
                for name in named.iter().map(|secret| secret.name).chain([TLS_KEY]) {
                    let path = container.data()?.join(CONTROL_DIR).join(SECRETS_DIR).join(name);
                    secrets.extend(machine.host.read_file(&path).await.ok()?);
                }
            }
        }
        let mut records = Vec::new();
        for kind in ["secrets/", "services/", "members/", "operations/", "requests/", "events/"] {
            records.extend(self.records.stored(kind).await);
        }
        let clear = |value: &[u8]| {
            secrets.iter().any(|secret| !secret.is_empty() && value.windows(secret.len()).any(|part| part == secret))
        };
        let found = records.iter().find(|entry| clear(&entry.value))?;
        Some(format!("a secret is in the clear in {}", found.key))
    }
}
