//! Mishaps that are several things at once, or wait for the worst moment: what seldom comes about by chance, and is what the
//! protocol is for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join;
use om_model::{MemberName, MemberRecord, NodeId, VolumeId, VolumeRole};

use super::Fleet;
use crate::machine::{Machine, Role};
use crate::records::MOUNTS;
use crate::swarm::Task;

/// How late packets of a slow machine are, at most.
const SLOWEST: Duration = Duration::from_millis(2000);
/// Longer than a promise lasts.
const PROMISE: Duration = Duration::from_secs(3);
/// How long the worst moment is waited for, and how often it is looked for.
const WAITS: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(10);

impl Fleet {
    /// Answers reach it late, so that what it was promised is nearly over when it hears of it; then they do not at all.
    pub(super) async fn slow_down(&self, machine: &Machine, length: Duration) {
        self.net.slow(&machine.id, SLOWEST);
        self.env.sleep(length.min(PROMISE * 2)).await;
        self.cut(&self.others(machine), &machine.id, (true, true), length).await;
        self.net.slow(&machine.id, Duration::ZERO);
    }

    /// It is cut off until another may have what it had; back, it hears the other agents and no server.
    pub(super) async fn return_unheard(&self, machine: &Machine, length: Duration) {
        let others = self.others(machine);
        self.cut(&others, &machine.id, (true, true), PROMISE * 2 + length).await;
        self.stop_servers(PROMISE).await;
    }

    /// Only the members' own programs are left to see to the lease.
    pub(super) async fn forsake(&self, machine: &Machine, length: Duration) {
        let others = self.others(machine);
        let cut = self.cut(&others, &machine.id, (true, true), length);
        join(self.stop(machine, &[Role::Agent], length), cut).await;
    }

    /// The one voter that could tell how long the machine's lease lasts begins anew as the machine falls silent.
    pub(super) async fn make_forget(self: &Arc<Self>, machine: &Machine, length: Duration) {
        let others = self.others(machine);
        let Some((voter, silent)) = others.split_first() else { return };
        self.cut(silent, &machine.id, (true, true), PROMISE).await;
        if let Some(machine) = self.town.machine(voter)
            && machine.end(Role::Agent)
        {
            self.begin(Role::Agent, &machine);
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
                let length = if self.env.chance().happens(500) { Duration::from_millis(500) } else { PROMISE * 4 };
                self.env.sleep(self.env.between(Duration::from_millis(50), length)).await;
                return self.power_on(&machine);
            }
            self.env.sleep(LOOK_EVERY).await;
        }
    }

    /// A ghost of a member where it has just been unmounted, while the word of that is still on its way.
    pub(super) async fn haunt(self: &Arc<Self>) {
        let until = self.env.now() + WAITS;
        let mut before = self.mounted().await;
        while self.env.now() < until {
            self.env.sleep(LOOK_EVERY).await;
            let now = self.mounted().await;
            let gone = now.iter().find(|(held, mounted)| !**mounted && before.get(*held) == Some(&true));
            if let Some(((id, member), _)) = gone {
                let deployments = self.swarm.deployments();
                let spec = deployments.iter().find(|spec| spec.member == *member).cloned();
                let (Some(spec), Some(engine)) = (spec, self.engine(id)) else { return };
                self.env.note(|| format!("{id}: a ghost of {member}"));
                self.net.slow(id, SLOWEST);
                engine.stray(Task { number: 0, spec }, PROMISE);
                self.env.sleep(PROMISE * 2).await;
                return self.net.slow(id, Duration::ZERO);
            }
            before = now;
        }
    }

    /// Who holds which member, and whether it is mounted there.
    async fn mounted(&self) -> BTreeMap<(NodeId, MemberName), bool> {
        let members: Vec<MemberRecord> = self.all("members/").await;
        let mounted = |member: MemberRecord| {
            let node = member.binding.holder?.node;
            let volume = VolumeId { service: member.service, member: member.name.clone(), role: VolumeRole::Data };
            let path = format!("{MOUNTS}/{volume}.e{}", member.binding.epoch);
            let machine = self.town.machine(&node).filter(|machine| machine.is_on())?;
            let there = machine.host.source_of(std::path::Path::new(&path)).is_some();
            Some(((node, member.name), there))
        };
        members.into_iter().filter_map(mounted).collect()
    }

    /// The holder of a member whose former holders are not all fenced, if it has power.
    async fn new_holder(&self) -> Option<NodeId> {
        let members: Vec<MemberRecord> = self.all("members/").await;
        let found = members.into_iter().find(|member| !member.binding.unfenced.is_empty())?;
        let node = found.binding.holder?.node;
        self.town.machine(&node).filter(|machine| machine.is_on()).map(|_| node)
    }
}
