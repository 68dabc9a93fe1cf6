//! Plans that give members to nodes: at their creation, when a node is lost, and on purpose.

use om_engines::Engine;
use om_model::{Epoch, MemberName, MemberRecord, NodeId, Phase, ServiceId, ServiceRecord, ServiceSpec};

use super::{Members, Observed, Plan, Refusal};
use crate::placement::{Guest, Sites, Tenant, choose};
use crate::step::Step;

/// The node of a member that is being made; none on one machine.
pub(super) fn first_place(
    sites: &mut Sites,
    service: &ServiceId,
    spec: &ServiceSpec,
    engine: &dyn Engine,
    member: &MemberName,
    index: u16,
) -> Result<Option<NodeId>, Refusal> {
    if !sites.several {
        return Ok(None);
    }
    let tenant = Tenant { service: service.clone(), member: member.clone(), port: engine.port() };
    let guest = Guest { tenant: tenant.clone(), index, places: &spec.places };
    let node = choose(sites, &guest, None).ok_or_else(|| Refusal::Conflict {
        detail: format!("no node can take {member}"),
        next:
            "see openmanage node list: nodes must be present and not drained, in a zone asked for, and (where members \
               have their node's address) without another member on the same port"
                .into(),
    })?;
    sites.settle(&node, tenant);
    Ok(Some(node))
}

/// Has another node take over a member whose node was lost. What brings the member back comes before everything that may
/// wait for something.
pub(super) fn recover(
    service: &ServiceRecord,
    members: &Members,
    member: &MemberName,
    from: &NodeId,
    epoch: Epoch,
    observed: &Observed,
) -> Plan {
    let mut plan = Plan::default();
    let record = observed.members.iter().find(|record| record.name == *member);
    let still = |record: &MemberRecord| record.place() == Some(from) && record.binding.epoch == epoch;
    if !record.is_some_and(still) {
        plan.note(format!("nothing to do: {member} is no longer on node {from} under epoch {epoch}"));
    } else if observed.sites.present(from) {
        plan.note(format!("nothing to do: node {from} is back"));
    } else if !matches!(service.phase, Phase::Active | Phase::Creating) {
        plan.note(format!("nothing to do: the service is {}", service.phase.as_str()));
    } else {
        give(&mut plan, service, member, from, None, observed, "its node is lost");
        plan.add(Step::CreateDeployment { member: member.clone() }, "pinned to the new node");
        plan.add(Step::StartMember { member: member.clone() }, "at once: nothing waits for the lost node");
        plan.add(Step::RemoveFormer { member: member.clone() }, "so that nothing starts it there again");
        plan.add(members.awaiting(member), "recovered when it serves");
    }
    plan
}

/// Has another node take over a member whose node is there: stopped and proven gone first.
pub(super) fn move_member(
    service: &ServiceRecord,
    members: &Members,
    member: &MemberName,
    to: Option<&NodeId>,
    observed: &Observed,
) -> Result<Plan, Refusal> {
    let mut plan = Plan::default();
    let conflict = |detail: String, next: &str| Err(Refusal::Conflict { detail, next: next.into() });
    if !observed.sites.several {
        return conflict(format!("{member} cannot move: the cluster is one machine"), "see openmanage node list");
    }
    if !matches!(service.phase, Phase::Active | Phase::Stopped) {
        return conflict(format!("the service is {}", service.phase.as_str()), "wait for it to be active");
    }
    if let Some(to) = to.filter(|to| !observed.sites.present(to)) {
        return conflict(format!("node {to} is not there"), "see openmanage node list");
    }
    let record = observed.members.iter().find(|record| record.name == *member);
    let Some(from) = record.and_then(|record| record.place()) else {
        return conflict(format!("{member} is on no node"), "wait for its creation to end");
    };
    if to == Some(from) {
        plan.note(format!("nothing to do: {member} is on node {from}"));
        return Ok(plan);
    }
    let target = to.cloned().or_else(|| choice(service, member, from, observed));
    if target.is_none() {
        return conflict(format!("no other node can take {member}"), "see openmanage node list");
    }
    move_to(&mut plan, service, members, member, from, target.as_ref(), "on purpose");
    if members.accepts_writes(member) && service.phase == Phase::Active {
        plan.write_pause = Some(std::time::Duration::from_secs(10));
        plan.note(format!("writes pause while {member}, the primary, moves"));
    }
    Ok(plan)
}

/// From one node that is there to another.
pub(crate) fn move_to(
    plan: &mut Plan,
    service: &ServiceRecord,
    members: &Members,
    member: &MemberName,
    from: &NodeId,
    to: Option<&NodeId>,
    reason: &str,
) {
    let member = member.clone();
    plan.add(Step::StopMember { member: member.clone() }, reason);
    plan.add(Step::ReleaseMember { member: member.clone() }, "proven unmounted before another node has it");
    plan.add(Step::AssignMember { member: member.clone(), from: from.clone(), to: to.cloned() }, reason);
    if service.phase == Phase::Active {
        plan.add(Step::CreateDeployment { member: member.clone() }, "pinned to its node");
        plan.add(Step::StartMember { member: member.clone() }, "with its name, address and volumes");
    }
    plan.add(Step::RemoveFormer { member: member.clone() }, "so that nothing starts it there again");
    if service.phase == Phase::Active {
        plan.add(members.awaiting(&member), "moved when it serves");
    }
}

/// Members of a stopped service whose node was lost meanwhile start elsewhere.
pub(super) fn leave_lost_nodes(plan: &mut Plan, service: &ServiceRecord, members: &Members, observed: &Observed) {
    if !observed.sites.several {
        return;
    }
    for member in members.start_order() {
        let record = observed.members.iter().find(|record| record.name == member);
        let Some(from) = record.and_then(|record| record.place()) else { continue };
        if !observed.sites.present(from) {
            give(plan, service, &member, from, None, observed, "its node is lost");
            plan.add(Step::RemoveFormer { member }, "so that nothing starts it there again");
        }
    }
}

/// The step that gives `member` to `to`, or to the node that fits best now.
fn give(
    plan: &mut Plan,
    service: &ServiceRecord,
    member: &MemberName,
    from: &NodeId,
    to: Option<&NodeId>,
    observed: &Observed,
    reason: &str,
) {
    let to = to.cloned().or_else(|| choice(service, member, from, observed));
    plan.add(Step::AssignMember { member: member.clone(), from: from.clone(), to }, reason);
}

fn choice(service: &ServiceRecord, member: &MemberName, from: &NodeId, observed: &Observed) -> Option<NodeId> {
    let port = om_engines::catalog::find(&service.spec.engine).map_or(0, |engine| engine.port());
    let index = observed.members.iter().find(|record| record.name == *member).map_or(0, |record| record.index);
    let tenant = Tenant { service: service.id.clone(), member: member.clone(), port };
    choose(&observed.sites, &Guest { tenant, index, places: &service.spec.places }, Some(from))
}
