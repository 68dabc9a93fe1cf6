//! What befalls machines, processes and ways; and what operators do.

use std::sync::Arc;
use std::time::Duration;

use om_control::{ControlError, Drain};
use om_model::NodeId;

use super::{Stage, member};
use crate::coverage::Fault;
use crate::machine::{Machine, Role};
use crate::planned::Planned;

impl Stage {
    fn note(&self, what: impl FnOnce() -> String) {
        self.fleet.env.note(|| format!("stage: {}", what()));
    }

    /// A machine loses its power.
    pub(crate) fn power_off(&self, machine: &Arc<Machine>) {
        self.fleet.power_off(machine);
    }

    /// A machine has its power again.
    pub(crate) fn power_on(&self, machine: &Arc<Machine>) {
        self.fleet.power_on(machine);
    }

    /// A process ends, and is begun again soon.
    pub(crate) fn crash(&self, role: Role, machine: &Machine) {
        self.note(|| format!("{} of {} crashes", role.word(), machine.id));
        self.fleet.crash(role, &machine.id);
    }

    /// A process is stopped: it stands still.
    pub(crate) fn stop(&self, role: Role, machine: &Machine) {
        self.note(|| format!("{} of {} is stopped", role.word(), machine.id));
        machine.process(role).iter().for_each(|process| process.stop());
    }

    /// A process that was stopped goes on.
    pub(crate) fn goes_on(&self, role: Role, machine: &Machine) {
        self.note(|| format!("{} of {} goes on", role.word(), machine.id));
        machine.process(role).iter().for_each(|process| process.go_on());
    }

    /// All servers are stopped.
    pub(crate) fn stop_servers(&self) {
        self.fleet.town.machines().iter().for_each(|machine| self.stop(Role::Server, machine));
    }

    /// All servers go on.
    pub(crate) fn servers_go_on(&self) {
        self.fleet.town.machines().iter().for_each(|machine| self.goes_on(Role::Server, machine));
    }

    /// The processes of a member's container are killed.
    pub(crate) async fn kill(&self, index: u16) {
        let Some(record) = self.record(index).await else { return };
        let Some(container) = self.container(&record).await else { return };
        self.note(|| format!("{} is killed", member(index)));
        container.process().end();
        if let Some(machine) = self.fleet.town.machine(container.node()) {
            machine.host.end_container(container.pid());
        }
    }

    /// A second container of a member is started on a machine, for so long.
    pub(crate) fn stray(&self, index: u16, machine: &Machine, length: Duration) {
        let deployments = self.fleet.swarm.deployments();
        let spec = deployments.iter().find(|spec| spec.member == member(index));
        let (Some(spec), Some(engine)) = (spec, self.fleet.engine(&machine.id)) else { return };
        self.note(|| format!("a stray container of {} on {}", member(index), machine.id));
        engine.stray(crate::swarm::Task { number: 0, spec: spec.clone() }, length);
    }

    /// Cuts the ways from `one` to `other`.
    fn cut_way(&self, one: &NodeId, other: &NodeId) {
        self.fleet.net.cut(one, other, true);
    }

    fn storage(&self) -> NodeId {
        crate::fleet::node("storage")
    }

    /// Two machines do not reach each other any more.
    pub(crate) fn part(&self, one: &Machine, other: &Machine) {
        self.note(|| format!("{} and {} are parted", one.id, other.id));
        self.cut_way(&one.id, &other.id);
        self.cut_way(&other.id, &one.id);
    }

    /// A machine reaches the storage and the clients, and no other machine.
    pub(crate) fn cut_off(&self, machine: &Machine) {
        self.others(machine).iter().for_each(|other| self.part(machine, other));
    }

    /// A machine reaches nobody.
    pub(crate) fn cut_off_from_all(&self, machine: &Machine) {
        self.cut_off(machine);
        self.cut_off_from_storage(machine);
        for (one, other) in [(&machine.id, &self.fleet.client), (&self.fleet.client, &machine.id)] {
            self.cut_way(one, other);
        }
    }

    /// A machine does not reach the storage.
    pub(crate) fn cut_off_from_storage(&self, machine: &Machine) {
        self.note(|| format!("{} is cut off from the storage", machine.id));
        self.cut_way(&machine.id, &self.storage());
        self.cut_way(&self.storage(), &machine.id);
    }

    /// A machine hears everybody, and nobody hears it.
    pub(crate) fn mute(&self, machine: &Machine) {
        self.note(|| format!("{} is mute", machine.id));
        self.everybody_but(machine).iter().for_each(|other| self.cut_way(&machine.id, other));
    }

    /// Everybody hears a machine, and it hears nobody.
    pub(crate) fn deafen(&self, machine: &Machine) {
        self.note(|| format!("{} is deaf", machine.id));
        self.everybody_but(machine).iter().for_each(|other| self.cut_way(other, &machine.id));
    }

    fn everybody_but(&self, machine: &Machine) -> Vec<NodeId> {
        let mut all: Vec<_> = self.others(machine).iter().map(|other| other.id.clone()).collect();
        all.extend([self.storage(), self.fleet.client.clone()]);
        all
    }

    /// All ways are whole again.
    pub(crate) fn mend(&self) {
        self.note(|| "all ways are mended".to_owned());
        self.fleet.net.mend();
    }

    /// The next passage of a step is late.
    pub(crate) fn delay(&self, step: &str, late: Duration) {
        self.plans(Planned { late, ..Planned::next(step, Fault::Delay) });
    }

    /// The next so many passages of a step fail.
    pub(crate) fn fails(&self, step: &str, times: u32) {
        self.plans(Planned { times, ..Planned::next(step, Fault::FailBefore) });
    }

    /// This is to go wrong.
    pub(crate) fn plans(&self, planned: Planned) {
        self.fleet.env.weather.plans().add(planned);
    }

    /// Nothing that was planned comes from now on; what never came is a failure.
    pub(crate) async fn lift(&self) {
        if let Some(planned) = self.fleet.env.weather.plans().lift().first() {
            self.fail(&format!("{:?} at {} never came", planned.fault, planned.step)).await
        }
    }

    /// An operator drains a node.
    pub(crate) async fn drain(&self, machine: &Machine) -> Drain {
        let node = machine.id.clone();
        loop {
            // It may move every member.
            self.fleet.progress().requests += 3;
            let id = node.clone();
            let answer = self.told("drain", move |control| {
                let id = id.clone();
                async move { control.drain(&id).await }
            });
            match answer.await {
                Ok(drain) => return drain,
                Err(ControlError::Unavailable(_)) => self.wait(super::LOOK_EVERY).await,
                Err(refused) => return self.fail(&format!("drain refused: {refused}")).await,
            }
        }
    }

    /// An operator drains a node, and every member must have left it well.
    pub(crate) async fn drains_well(&self, machine: &Machine) {
        let drain = self.drain(machine).await;
        self.must(drain.refused.is_empty(), &format!("drain refused: {:?}", drain.refused)).await;
        for operation in &drain.operations {
            self.ends_well(&operation.id).await;
        }
    }

    /// An operator lets a node take members again.
    pub(crate) async fn undrain(&self, machine: &Machine) {
        let node = machine.id.clone();
        let answer = self.told("undrain", move |control| {
            let id = node.clone();
            async move { control.undrain(&id).await.map(drop) }
        });
        if let Err(refused) = answer.await {
            self.fail(&format!("undrain refused: {refused}")).await
        }
    }

    /// An operator says that a machine is off.
    pub(crate) async fn vouches_off(&self, machine: &Machine) -> Result<(), ControlError> {
        let node = machine.id.clone();
        self.told("vouch", move |control| {
            let id = node.clone();
            async move { control.vouch_off(&id, false).await.map(drop) }
        })
        .await
    }
}
