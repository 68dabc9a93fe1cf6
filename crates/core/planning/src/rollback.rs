//! The way back: a plan of its own, so that undoing is carried out, repeated and resumed by the same code as doing.

use om_engines::{Engine, catalog};
use om_model::{MemberName, Operation, Phase, ServiceRecord, StepState};

use crate::change::{Change, VolumeFate};
use crate::plan::{Members, Observed, Plan, move_to, start_all, stop_all, tear_down};
use crate::step::Step;

/// The steps that take back what `operation` has done so far; `None` where there is no way back and a person must decide
/// (a delete under way, a volume already grown).
pub fn rollback(operation: &Operation<Change, Step>, observed: &Observed) -> Option<Plan> {
    let mut plan = Plan::default();
    let Some(service) = &observed.service else { return Some(plan) };
    let engine = catalog::find(&service.spec.engine).ok()?;
    let members = Members::of(service, engine);
    let begun: Vec<&Step> = operation.steps.iter().filter(|s| s.state != StepState::Pending).map(|s| &s.step).collect();
    match &operation.parameters {
        // Never active, so nothing on its volumes was ever acknowledged to anybody.
        Change::Create { .. } => tear_down(&mut plan, service, &members, VolumeFate::Delete, &observed.volumes),
        _ if begun.is_empty() => {}
        Change::Delete { .. } => return None,
        // A service that was stopped is not started for a stop that failed, nor one that was active stopped for a start.
        Change::Stop | Change::Start if !changes_phase(operation) => {}
        Change::Stop => {
            start_all(&mut plan, &members);
            plan.add(Step::SetPhase { phase: Phase::Active }, "as it was");
        }
        Change::Start => {
            plan.add(Step::SetPhase { phase: Phase::Stopped }, "as it was");
            stop_all(&mut plan, &members);
        }
        Change::Restart { .. } => {
            for member in restarted(&begun) {
                plan.add(Step::StartMember { member: member.clone() }, "it may have been stopped");
                plan.add(members.awaiting(&member), "as it was");
            }
        }
        Change::Configure { .. } => configure(&mut plan, service, &members, engine, &begun),
        Change::Recover { member, .. } if stays_given(service, member, observed) => return None,
        // Nothing was given to anybody; or the node it was given to is lost too, and another recovery follows.
        Change::Recover { .. } => {}
        Change::Move { member, .. } => move_back(&mut plan, service, &members, member, &begun, observed),
        Change::Grow { .. } => {
            return begun.iter().all(|step| !matches!(step, Step::GrowVolume { .. })).then_some(plan);
        }
    }
    Some(plan)
}

/// The member was given to a node that is there: it is for that node to have it, and for a person to see why it does not
/// serve there.
fn stays_given(service: &ServiceRecord, member: &MemberName, observed: &Observed) -> bool {
    let record = observed.members.iter().find(|record| record.name == *member);
    let there = record.and_then(|record| record.place()).is_some_and(|place| observed.sites.present(place));
    there && matches!(service.phase, Phase::Active | Phase::Creating)
}

/// Back to where it was, if it was given away by then; else it is started again where it is.
fn move_back(
    plan: &mut Plan,
    service: &ServiceRecord,
    members: &Members,
    member: &MemberName,
    begun: &[&Step],
    observed: &Observed,
) {
    let given = begun.iter().find_map(|step| match step {
        Step::AssignMember { from, .. } => Some(from),
        _ => None,
    });
    let record = observed.members.iter().find(|record| record.name == *member);
    let now = record.and_then(|record| record.place());
    match (given, now) {
        (Some(from), Some(now)) if from != now && observed.sites.present(from) => {
            move_to(plan, service, members, member, now, Some(from), "as it was");
        }
        _ if service.phase != Phase::Active => {}
        _ => {
            plan.add(Step::StartMember { member: member.clone() }, "it may have been stopped");
            plan.add(members.awaiting(member), "as it was");
        }
    }
}

fn changes_phase(operation: &Operation<Change, Step>) -> bool {
    operation.steps.iter().any(|record| matches!(record.step, Step::SetPhase { .. }))
}

fn restarted(begun: &[&Step]) -> Vec<MemberName> {
    let member = |step: &&Step| match step {
        Step::RestartMember { member } => Some(member.clone()),
        _ => None,
    };
    begun.iter().filter_map(member).collect()
}

/// Stores the former specification and has every member take it up: those that were restarted may not run at all under
/// the new one, so they are restarted again; the others reload.
fn configure(plan: &mut Plan, service: &ServiceRecord, members: &Members, engine: &dyn Engine, begun: &[&Step]) {
    let stored = begun.iter().find_map(|step| match step {
        Step::StoreSpec { spec, before } => Some((spec, before)),
        _ => None,
    });
    let Some((spec, before)) = stored else { return };
    plan.add(Step::StoreSpec { spec: before.clone(), before: spec.clone() }, "as it was");
    let again = restarted(begun);
    for member in engine.configure_order(spec, before, members.names(), service.primary.as_ref()) {
        let step = match again.contains(&member) {
            true => Step::RestartMember { member: member.clone() },
            false => Step::ReloadMember { member: member.clone() },
        };
        plan.add(step, "takes up the former configuration");
        plan.add(members.awaiting(&member), "as it was");
    }
}

#[cfg(test)]
mod tests;
