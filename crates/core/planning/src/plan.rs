//! From what is to what is wanted.

mod checks;
mod moves;
mod steps;

use std::time::Duration;

use om_engines::{ChangeClass, Engine, catalog};
use om_model::{Invalid, MemberRecord, Phase, ServiceId, ServiceName, ServiceRecord, ServiceSpec, VolumeRecord};

use crate::change::{Change, VolumeFate};
use crate::placement::Sites;
use crate::step::Step;

pub use checks::possible_neighbours;
pub(crate) use moves::move_to;
pub(crate) use steps::{Members, await_all, start_all, stop_all, tear_down};

/// What is, as far as a plan needs it.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// The service's record, if there is one.
    pub service: Option<ServiceRecord>,
    /// Its members' records.
    pub members: Vec<MemberRecord>,
    /// Its volumes' records.
    pub volumes: Vec<VolumeRecord>,
    /// For a create: those of [`possible_neighbours`] that exist.
    pub neighbours: Vec<ServiceRecord>,
    /// Zones that the cluster's nodes are in; empty where nodes have none.
    pub zones: Vec<String>,
    /// The nodes and what is on them, where there are several.
    pub sites: Sites,
}

/// What is to be done, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The steps.
    pub steps: Vec<PlannedStep>,
    /// For how long writes are expected to pause; `None`: not at all, or (see the notes) until started again.
    pub write_pause: Option<Duration>,
    /// What a user should know before saying yes.
    pub notes: Vec<String>,
}

/// A step and why it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedStep {
    /// The step.
    pub step: Step,
    /// Why, in words.
    pub reason: String,
}

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Fields of the request are not acceptable.
    #[error("{0}")]
    Invalid(#[from] Invalid),
    /// The request does not fit the state the service is in.
    #[error("{detail} ({next})")]
    Conflict {
        /// What is in the way.
        detail: String,
        /// What to do next.
        next: String,
    },
    /// There is no such service.
    #[error("service {0:?} does not exist")]
    NotFound(String),
}

impl Plan {
    pub(crate) fn add(&mut self, step: Step, reason: impl Into<String>) {
        self.steps.push(PlannedStep { step, reason: reason.into() });
    }

    pub(crate) fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }
}

/// The steps that carry out `change`.
///
/// # Errors
/// [`Refusal`], before anything is touched.
pub fn plan(name: &ServiceName, id: &ServiceId, change: &Change, observed: &Observed) -> Result<Plan, Refusal> {
    if let Change::Create { spec } = change {
        return create(name, id, spec, observed);
    }
    let Some(service) = &observed.service else { return Err(Refusal::NotFound(name.to_string())) };
    let engine = catalog::find(&service.spec.engine).map_err(Invalid::from)?;
    let members = Members::of(service, engine);
    if service.phase == Phase::Deleting && !matches!(change, Change::Delete { .. }) {
        let detail = format!("service {name} is being deleted");
        return Err(Refusal::Conflict { detail, next: "wait for it to be gone".into() });
    }
    match change {
        Change::Create { .. } => unreachable!("handled above"),
        Change::Delete { volumes } => Ok(delete(service, &members, *volumes, observed)),
        Change::Stop => Ok(stop(service, &members)),
        Change::Start => Ok(start(service, &members, observed)),
        Change::Restart { member } => restart(service, &members, member.as_ref()),
        Change::Configure { settings, options } => configure(service, &members, engine, settings, options),
        Change::Grow { data, journal } => grow(service, &members, *data, *journal),
        Change::Recover { member, from_node, epoch } => {
            let member = checks::member_of(&members, member)?;
            Ok(moves::recover(service, &members, &member, from_node, *epoch, observed))
        }
        Change::Move { member, to } => {
            let member = checks::member_of(&members, member)?;
            moves::move_member(service, &members, &member, to.as_ref(), observed)
        }
    }
}

fn create(name: &ServiceName, id: &ServiceId, spec: &ServiceSpec, observed: &Observed) -> Result<Plan, Refusal> {
    let engine = checks::creatable(name, spec, observed)?;
    let members = Members::new(name, id, spec, engine);
    let mut plan = Plan::default();
    let mut sites = observed.sites.clone();
    for (index, member) in members.indexed() {
        let node = moves::first_place(&mut sites, id, spec, engine, &member, index)?;
        plan.add(Step::AddMember { member, index, node }, "a member keeps its name and address for life");
    }
    plan.add(Step::MakeSecrets, "generated once, stored encrypted");
    for (member, role, size) in members.volumes(spec) {
        let volume = members.volume(&member, role);
        plan.add(Step::CreateVolume { volume, size }, "a member keeps its volumes for life");
    }
    for member in members.start_order() {
        plan.add(Step::CreateDeployment { member: member.clone() }, "one deployment per member");
        plan.add(Step::StartMember { member }, "members start together; standbys wait for the primary");
    }
    await_all(&mut plan, &members);
    plan.add(Step::SetPhase { phase: Phase::Active }, "every member serves");
    plan.note(format!("{} {} with {} member(s)", spec.engine, spec.version, spec.replicas));
    if spec.replicas == 1 {
        plan.note("a single member has no standby: while it restarts, the service is down");
    }
    Ok(plan)
}

fn delete(service: &ServiceRecord, members: &Members, fate: VolumeFate, observed: &Observed) -> Plan {
    let mut plan = Plan::default();
    tear_down(&mut plan, service, members, fate, &observed.volumes);
    match fate {
        VolumeFate::Keep => {
            plan.note("volumes are kept: `openmanage volume list` shows them, `openmanage volume delete` removes one");
        }
        VolumeFate::Delete => plan.note("volumes are deleted with everything on them; this cannot be undone"),
    }
    plan.note("the service stops at once");
    plan
}

fn stop(service: &ServiceRecord, members: &Members) -> Plan {
    let mut plan = Plan::default();
    match service.phase {
        Phase::Stopped => plan.note("the service is stopped already"),
        _ => plan.add(Step::SetPhase { phase: Phase::Stopped }, "so that nothing starts it again"),
    }
    stop_all(&mut plan, members);
    plan.note("writes and reads pause until the service is started again; volumes, names and addresses are kept");
    plan
}

fn start(service: &ServiceRecord, members: &Members, observed: &Observed) -> Plan {
    let mut plan = Plan::default();
    moves::leave_lost_nodes(&mut plan, service, members, observed);
    start_all(&mut plan, members);
    match service.phase {
        Phase::Active => plan.note("the service is active already; members that run are left alone"),
        _ => plan.add(Step::SetPhase { phase: Phase::Active }, "every member serves"),
    }
    plan
}

fn restart(service: &ServiceRecord, members: &Members, only: Option<&om_model::MemberName>) -> Result<Plan, Refusal> {
    checks::running(service, "restart")?;
    let mut plan = Plan::default();
    let order = match only {
        Some(member) => vec![checks::member_of(members, member)?],
        None => members.restart_order(),
    };
    for member in order {
        restart_one(&mut plan, members, &member, "one at a time, so that the others serve meanwhile");
    }
    Ok(plan)
}

fn restart_one(plan: &mut Plan, members: &Members, member: &om_model::MemberName, reason: &str) {
    plan.add(Step::RestartMember { member: member.clone() }, reason);
    plan.add(members.awaiting(member), "go on only once it serves again");
    if members.accepts_writes(member) {
        plan.write_pause = Some(Duration::from_secs(5));
        plan.note(format!("writes pause while {member}, the primary, restarts"));
    }
}

fn configure(
    service: &ServiceRecord,
    members: &Members,
    engine: &dyn Engine,
    settings: &std::collections::BTreeMap<String, Option<String>>,
    options: &std::collections::BTreeMap<String, Option<String>>,
) -> Result<Plan, Refusal> {
    checks::running(service, "change the configuration")?;
    let mut spec = service.spec.clone();
    checks::merge(&mut spec.settings, settings);
    checks::merge(&mut spec.options, options);
    checks::acceptable(&service.spec, &spec, engine)?;
    let class = engine.change_class(&service.spec, &spec);
    let mut plan = Plan::default();
    if class == ChangeClass::Nothing {
        plan.note("nothing changes: the values are those in force");
        return Ok(plan);
    }
    let order = engine.configure_order(&service.spec, &spec, members.names(), service.primary.as_ref());
    plan.add(
        Step::StoreSpec { spec: Box::new(spec), before: Box::new(service.spec.clone()) },
        "stored first, so that a member that restarts meanwhile takes it up",
    );
    if class == ChangeClass::Reload {
        for member in order {
            plan.add(Step::ReloadMember { member: member.clone() }, "these settings take effect without a restart");
            plan.add(members.awaiting(&member), "it confirms the configuration it runs");
        }
        return Ok(plan);
    }
    for member in order {
        restart_one(&mut plan, members, &member, "these settings take effect at a restart");
    }
    Ok(plan)
}

fn grow(
    service: &ServiceRecord,
    members: &Members,
    data: Option<om_model::ByteSize>,
    journal: Option<om_model::ByteSize>,
) -> Result<Plan, Refusal> {
    let sizes = checks::growable(service, data, journal)?;
    let mut plan = Plan::default();
    if sizes == service.spec.volumes {
        plan.note("nothing changes: the volumes have this size");
        return Ok(plan);
    }
    let mut spec = service.spec.clone();
    spec.volumes = sizes;
    for member in members.restart_order() {
        for (role, size) in spec.volumes.each() {
            let volume = members.volume(&member, role);
            plan.add(Step::GrowVolume { volume, size }, "grown while in use, file system included");
        }
        if service.phase == Phase::Active {
            plan.add(members.awaiting(&member), "where the kernel does not grow it in use, the member is restarted");
        }
    }
    plan.add(
        Step::StoreSpec { spec: Box::new(spec), before: Box::new(service.spec.clone()) },
        "settings that depend on the size follow it",
    );
    if service.phase == Phase::Active {
        for member in members.restart_order() {
            plan.add(Step::ReloadMember { member }, "settings that depend on the size take effect");
        }
    }
    plan.note("volumes can be enlarged, never made smaller");
    Ok(plan)
}

#[cfg(test)]
pub(crate) mod tests;
