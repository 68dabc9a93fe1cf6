//! Runs of steps that several plans share, and the members they are about.

use std::collections::BTreeMap;

use om_engines::{Engine, Role};
use om_model::{
    ByteSize, MemberName, Phase, ServiceId, ServiceName, ServiceRecord, ServiceSpec, VolumeId, VolumeRecord, VolumeRole,
};

use super::Plan;
use crate::change::VolumeFate;
use crate::step::Step;

/// A service's members in the orders its engine wants.
pub(crate) struct Members {
    id: ServiceId,
    names: Vec<MemberName>,
    restart_order: Vec<MemberName>,
    roles: BTreeMap<MemberName, Role>,
}

impl Members {
    /// The members that a new service of this specification has. The first is its primary.
    pub(crate) fn new(name: &ServiceName, id: &ServiceId, spec: &ServiceSpec, engine: &dyn Engine) -> Self {
        let names: Vec<_> = (0..spec.replicas).map(|index| MemberName::of(name, index)).collect();
        let primary = names.first().cloned();
        Self::from_parts(id.clone(), names, primary.as_ref(), engine)
    }

    /// The members of a service that exists.
    pub(crate) fn of(service: &ServiceRecord, engine: &dyn Engine) -> Self {
        let names = (0..service.spec.replicas).map(|index| MemberName::of(&service.name, index)).collect();
        Self::from_parts(service.id.clone(), names, service.primary.as_ref(), engine)
    }

    fn from_parts(id: ServiceId, names: Vec<MemberName>, primary: Option<&MemberName>, engine: &dyn Engine) -> Self {
        let restart_order = engine.restart_order(&names, primary);
        let roles = engine.expected_roles(&names, primary);
        Self { id, names, restart_order, roles }
    }

    pub(crate) fn names(&self) -> &[MemberName] {
        &self.names
    }

    pub(crate) fn indexed(&self) -> impl Iterator<Item = (u16, MemberName)> {
        (0..).zip(self.names.iter().cloned())
    }

    /// Every volume that `spec` asks for.
    pub(crate) fn volumes(&self, spec: &ServiceSpec) -> Vec<(MemberName, VolumeRole, ByteSize)> {
        let sizes = spec.volumes;
        let of = |member: &MemberName| {
            let member = member.clone();
            sizes.each().map(move |(role, size)| (member.clone(), role, size)).collect::<Vec<_>>()
        };
        self.names.iter().flat_map(of).collect()
    }

    pub(crate) fn volume(&self, member: &MemberName, role: VolumeRole) -> VolumeId {
        VolumeId { service: self.id.clone(), member: member.clone(), role }
    }

    /// Primary last, so that the others follow it to the end.
    pub(crate) fn restart_order(&self) -> Vec<MemberName> {
        self.restart_order.clone()
    }

    /// Primary first, so that the others find it.
    pub(crate) fn start_order(&self) -> Vec<MemberName> {
        let (first, others): (Vec<_>, Vec<_>) = self.names.iter().cloned().partition(|name| self.accepts_writes(name));
        first.into_iter().chain(others).collect()
    }

    pub(crate) fn accepts_writes(&self, member: &MemberName) -> bool {
        self.roles.get(member) == Some(&Role::Primary)
    }

    /// The step that waits for `member` to serve in its role.
    pub(crate) fn awaiting(&self, member: &MemberName) -> Step {
        let role = self.roles.get(member).copied().unwrap_or(Role::Standby);
        Step::AwaitMember { member: member.clone(), role }
    }
}

/// Waits for every member.
pub(crate) fn await_all(plan: &mut Plan, members: &Members) {
    for member in members.start_order() {
        plan.add(members.awaiting(&member), "the operation succeeds only when it serves");
    }
}

/// Starts every member and waits for it.
pub(crate) fn start_all(plan: &mut Plan, members: &Members) {
    for member in members.start_order() {
        plan.add(Step::StartMember { member }, "the primary first");
    }
    await_all(plan, members);
}

/// Stops every member and has its volumes and name released.
pub(crate) fn stop_all(plan: &mut Plan, members: &Members) {
    for member in members.restart_order() {
        plan.add(Step::StopMember { member: member.clone() }, "gracefully, the primary last");
        plan.add(Step::ReleaseMember { member }, "proven unmounted");
    }
}

/// Removes a service. Also right for one that is only partly there.
pub(crate) fn tear_down(
    plan: &mut Plan,
    service: &ServiceRecord,
    members: &Members,
    fate: VolumeFate,
    volumes: &[VolumeRecord],
) {
    plan.add(Step::SetPhase { phase: Phase::Deleting }, "so that nothing starts it again");
    for member in members.restart_order() {
        plan.add(Step::StopMember { member: member.clone() }, "gracefully, the primary last");
        plan.add(Step::RemoveDeployment { member: member.clone() }, "nothing of the service may stay");
        plan.add(Step::ReleaseMember { member }, "proven unmounted, and its name withdrawn");
    }
    for (member, role, _) in members.volumes(&service.spec) {
        let volume = members.volume(&member, role);
        let there = volumes.iter().any(|record| record.id == volume);
        match fate {
            VolumeFate::Delete => plan.add(Step::DeleteVolume { volume }, "as asked"),
            VolumeFate::Keep if there => plan.add(Step::KeepVolume { volume }, "as asked"),
            VolumeFate::Keep => {}
        }
    }
    for member in members.names() {
        plan.add(Step::RemoveMember { member: member.clone() }, "its address is free again");
    }
    plan.add(Step::RemoveSecrets, "nothing of the service may stay");
    plan.add(Step::RemoveService, "its name is free again");
}
