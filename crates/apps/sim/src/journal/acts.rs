//! Doing again what a journal tells of, in a simulated cluster.

use std::sync::Arc;
use std::time::Duration;

use om_control::{ControlError, Submission};
use om_model::{MemberName, MemberRecord, NodeId, OperationState, ServiceName};
use om_planning::Change;

use super::{Act, Schedule};
use crate::fleet::{Fleet, Mishap, node};
use crate::machine::Machine;

const LOOK_EVERY: Duration = Duration::from_millis(700);

impl Fleet {
    /// Begins everything that is to be done again, each at its time.
    pub(super) fn enact(self: &Arc<Self>, schedule: &Schedule) {
        for (index, (at, act)) in schedule.acts.iter().enumerate() {
            let (fleet, at, act, nodes) = (self.clone(), *at, act.clone(), schedule.nodes.clone());
            self.env.beside(async move {
                fleet.env.sleep(at).await;
                fleet.act(act, &nodes, format!("journal-{index}")).await;
            });
        }
    }

    async fn act(self: &Arc<Self>, act: Act, nodes: &[String], key: String) {
        self.env.note(|| format!("journal: {act:?}"));
        match act {
            Act::Change(service, change) => self.carry_again(&service, *change, key).await,
            Act::NodeAway { node, held, power, length } => {
                let Some(machine) = self.stands_for(&node, &held, nodes).await else { return };
                let mishap = if power { Mishap::PowerOff } else { Mishap::CutOffAll };
                self.clone().befall(mishap, machine, length).await;
            }
            Act::Kill(member) => self.kill_member(&member).await,
            Act::Drain(node, drained) => {
                let Some(machine) = self.stands_for(&node, &[], nodes).await else { return };
                self.asked(&machine.id, if drained { "drain" } else { "undrain" }).await;
            }
            Act::VouchOff(node) => {
                let Some(machine) = self.stands_for(&node, &[], nodes).await else { return };
                self.asked(&machine.id, "vouch").await;
            }
        }
    }

    /// The machine that stands for a node: the one that has now what that node had; else the one in its place in the order.
    async fn stands_for(&self, name: &str, held: &[MemberName], nodes: &[String]) -> Option<Arc<Machine>> {
        let members: Vec<MemberRecord> = self.all("members/").await;
        let had = held.iter().find_map(|name| {
            let member = members.iter().find(|member| member.name == *name)?;
            self.town.machine(member.place()?)
        });
        let machines = self.town.machines();
        let index = nodes.iter().position(|known| known == name)?;
        had.or_else(|| self.town.machine(&node(name))).or_else(|| machines.get(index % machines.len().max(1)).cloned())
    }

    async fn kill_member(&self, member: &MemberName) {
        for machine in self.town.machines() {
            for container in machine.containers() {
                if container.config().await.is_some_and(|config| config.member == *member) {
                    container.process().end();
                    machine.host.end_container(container.pid());
                    return;
                }
            }
        }
        self.env.note(|| format!("journal: {member} has no container to kill"));
    }

    /// An operator's request about a machine, asked until a server answers.
    async fn asked(&self, id: &NodeId, what: &'static str) {
        loop {
            let of = id.clone();
            let answer = self.ask_server(what, move |control| {
                let of = of.clone();
                async move {
                    match what {
                        "drain" => control.drain(&of).await.map(drop),
                        "undrain" => control.undrain(&of).await.map(drop),
                        _ => control.vouch_off(&of, false).await.map(drop),
                    }
                }
            });
            match answer.await {
                Ok(Err(ControlError::Unavailable(_))) | Err(_) => self.env.sleep(LOOK_EVERY).await,
                Ok(Err(refused)) => return self.env.note(|| format!("journal: {what} of {id} refused: {refused}")),
                Ok(Ok(())) => return,
            }
        }
    }

    /// Asks for a change of any service, and waits for its end.
    async fn carry_again(&self, service: &ServiceName, change: Change, key: String) {
        self.progress().under_way += 1;
        let kind = change.kind();
        let submission = Submission { service: service.clone(), change, idempotency_key: Some(key), deadline: None };
        match self.submit(&submission).await {
            Err(refused) => self.env.note(|| format!("journal: {kind} {service} refused: {refused}")),
            Ok(accepted) => {
                let id = accepted.operation.id;
                let ended = loop {
                    if let Some(ended) = self.operation(&id).await.filter(|operation| operation.state.ended()) {
                        break ended;
                    }
                    self.env.sleep(LOOK_EVERY).await;
                };
                if ended.state == OperationState::NeedsAttention {
                    self.progress().attention.push(id);
                }
            }
        }
        self.progress().under_way -= 1;
    }
}
