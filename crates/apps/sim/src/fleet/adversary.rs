//! Mishaps that are several things at once, or wait for the worst moment: what seldom comes about by chance, and is what the
//! protocol is for.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join;
use om_model::{MemberName, MemberRecord, NodeId};

use super::Fleet;
use crate::machine::{Machine, Role};
use crate::swarm::Task;

/// How late packets of a slow machine are, at most.
const SLOWEST: Duration = Duration::from_millis(2000);
/// How late the word of machines is that are not to be missed for it.
const LATE: Duration = Duration::from_millis(400);
/// How long the worst moment is waited for, and how often it is looked for.
const WAITS: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(10);

impl Fleet {
    /// Longer than a promise lasts.
    fn promise(&self) -> Duration {
        self.size.lease + Duration::from_millis(500)
    }

    /// Answers reach it late, so that what it was promised is nearly over when it hears of it; then they do not at all.
    pub(super) async fn slow_down(&self, machine: &Machine, length: Duration) {
        self.net.slow(&machine.id, SLOWEST);
        self.env.sleep(length.min(self.promise() * 2)).await;
        // What was sent to it before still arrives.
        self.cut(&self.others(machine), &machine.id, (false, true), length).await;
        self.net.slow(&machine.id, Duration::ZERO);
    }

    /// It is cut off until another may have what it had; back, it hears the other agents and no server.
    pub(super) async fn return_unheard(&self, machine: &Machine, length: Duration) {
        let others = self.others(machine);
        self.cut(&others, &machine.id, (true, true), self.promise() * 2 + length).await;
        self.stop_servers(self.promise()).await;
    }

    /// Only the members' own programs are left to see to the lease.
    pub(super) async fn forsake(&self, machine: &Machine, length: Duration) {
        let others = self.others(machine);
        let cut = self.cut(&others, &machine.id, (true, true), length);
        join(self.stop(machine, &[Role::Agent], length), cut).await;
    }

    /// The voters that could tell how long the machine's lease lasts begin anew as the machine falls silent.
    pub(super) async fn make_forget(self: &Arc<Self>, machine: &Machine, length: Duration) {
        let mut others = self.others(machine);
        let first = self.env.chance().below(others.len());
        others.rotate_left(first);
        // With the machine itself, just a majority.
        let (voters, silent) = others.split_at(others.len() / 2);
        self.cut(silent, &machine.id, (true, true), self.promise()).await;
        for voter in voters.iter().filter_map(|voter| self.town.machine(voter)) {
            if voter.end(Role::Agent) {
                self.begin(Role::Agent, &voter);
            }
        }
        self.cut(&others, &machine.id, (true, true), length).await;
    }

    /// Whoever claims next from a holder that is not fenced loses its power for a moment, and claims again.
    pub(super) async fn chase(self: &Arc<Self>) {
        let until = self.env.now() + WAITS;
        while self.env.now() < until {
            if let Some(machine) = self.new_holder().await.and_then(|node| self.town.machine(&node)) {
                self.env.note(|| format!("{}: is chased", machine.id));
                self.power_off(&machine);
                // For a moment, or until it is lost too and a third claims.
                let length =
                    if self.env.chance().happens(500) { Duration::from_millis(500) } else { self.promise() * 4 };
                self.env.sleep(self.env.between(Duration::from_millis(50), length)).await;
                return self.power_on(&machine);
            }
            self.env.sleep(LOOK_EVERY).await;
        }
    }

    /// A ghost of a member where it has just been given up, while the word of that is still on its way.
    pub(super) async fn haunt(self: &Arc<Self>) {
        let (machines, until) = (self.town.machines(), self.env.now() + WAITS);
        let slow = |most| machines.iter().for_each(|machine| self.net.slow(&machine.id, most));
        slow(LATE);
        while self.env.now() < until && !self.haunts_any(&machines).await {
            self.env.sleep(LOOK_EVERY).await;
        }
        self.env.sleep(self.promise()).await;
        slow(Duration::ZERO);
    }

    async fn haunts_any(&self, machines: &[Arc<Machine>]) -> bool {
        for machine in machines {
            let Some(member) = self.given_up(machine).await else { continue };
            let deployments = self.swarm.deployments();
            let spec = deployments.iter().find(|spec| spec.member == member).cloned();
            if let (Some(spec), Some(engine)) = (spec, self.engine(&machine.id)) {
                self.env.note(|| format!("{}: a ghost of {member}", machine.id));
                engine.stray(Task { number: 0, spec }, self.promise());
                return true;
            }
        }
        false
    }

    /// A member that the machine has given up, and is written down as its holder all the same.
    async fn given_up(&self, machine: &Machine) -> Option<MemberName> {
        let members: Vec<MemberRecord> = self.all("members/").await;
        for member in members {
            let held = member.binding.holder.as_ref().is_some_and(|holder| holder.node == machine.id);
            let given_up = machine.given_up(&member.service, &member.name).await;
            if held && given_up.is_some_and(|epoch| epoch >= member.binding.epoch) {
                return Some(member.name);
            }
        }
        None
    }

    /// The holder of a member whose former holders are not all fenced, if it has power.
    pub(crate) async fn new_holder(&self) -> Option<NodeId> {
        let members: Vec<MemberRecord> = self.all("members/").await;
        let found = members.into_iter().find(|member| !member.binding.unfenced.is_empty())?;
        let node = found.binding.holder?.node;
        self.town.machine(&node).filter(|machine| machine.is_on()).map(|_| node)
    }
}
