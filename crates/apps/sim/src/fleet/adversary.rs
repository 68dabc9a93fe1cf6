//! Mishaps that are several things at once, or wait for the worst moment: what seldom comes about by chance, and is what the
//! protocol is for.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join;
use om_model::{MemberRecord, NodeId};

use super::Fleet;
use crate::machine::{Machine, Role};

/// How late packets of a slow machine are, at most.
const SLOWEST: Duration = Duration::from_millis(1200);
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
        self.crash(Role::Agent, voter);
        self.cut(&others, &machine.id, (true, true), length).await;
    }

    /// Whoever claims next from a holder that is not fenced loses its power for a moment, and claims again.
    pub(super) async fn chase(self: &Arc<Self>) {
        let until = self.env.now() + WAITS;
        while self.env.now() < until {
            if let Some(machine) = self.new_holder().await.and_then(|node| self.town.machine(&node)) {
                self.env.note(|| format!("{}: is chased", machine.id));
                self.power_off(&machine);
                self.env.sleep(self.env.between(Duration::from_millis(50), Duration::from_millis(500))).await;
                return self.power_on(&machine);
            }
            self.env.sleep(LOOK_EVERY).await;
        }
    }

    /// The holder of a member whose former holders are not all fenced, if it has power.
    async fn new_holder(&self) -> Option<NodeId> {
        let members: Vec<MemberRecord> = self.all("members/").await;
        let found = members.into_iter().find(|member| !member.binding.unfenced.is_empty())?;
        let node = found.binding.holder?.node;
        self.town.machine(&node).filter(|machine| machine.is_on()).map(|_| node)
    }
}
