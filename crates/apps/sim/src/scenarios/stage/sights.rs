//! What is seen: who is where, and what must be so.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use om_model::{Epoch, MemberName, MemberRecord, NodeId, NodeRecord, Roster, ServiceRecord};
use serde::Deserialize;

use super::{Stage, member};
use crate::container::Container;
use crate::machine::Machine;

/// A member as it is at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    node: Option<NodeId>,
    epoch: Epoch,
    container: Option<u32>,
    server: Option<u64>,
    pauses: u64,
}

impl Seen {
    /// Whether there is a server of it.
    pub(crate) fn runs(&self) -> bool {
        self.server.is_some()
    }

    /// Whether it has the container that it had.
    pub(crate) fn has_container_of(&self, before: &Self) -> bool {
        self.node == before.node && self.container == before.container
    }
}

/// All members as they are at one moment.
pub(crate) type Picture = BTreeMap<MemberName, Seen>;

#[derive(Deserialize)]
struct Leader {
    server: NodeId,
}

impl Stage {
    /// The records of all members.
    pub(crate) async fn members(&self) -> Vec<MemberRecord> {
        self.fleet.all("members/").await
    }

    /// The records of all nodes.
    pub(crate) async fn nodes(&self) -> Vec<NodeRecord> {
        self.fleet.all("nodes/").await
    }

    /// The agents as they know one another.
    pub(crate) async fn roster(&self) -> Roster {
        self.fleet.all("roster/").await.pop().unwrap_or_default()
    }

    /// The service's record, if there is one.
    pub(crate) async fn service(&self) -> Option<ServiceRecord> {
        self.fleet.all("services/").await.pop()
    }

    /// A member's record.
    pub(crate) async fn record(&self, index: u16) -> Option<MemberRecord> {
        self.members().await.into_iter().find(|record| record.name == member(index))
    }

    /// The machine that holds a member.
    pub(crate) async fn holder(&self, index: u16) -> Arc<Machine> {
        let holder = self.record(index).await.and_then(|record| record.binding.holder);
        match holder.and_then(|holder| self.fleet.town.machine(&holder.node)) {
            Some(machine) => machine,
            None => self.fail(&format!("nobody holds {}", member(index))).await,
        }
    }

    /// The machines that hold no member.
    pub(crate) async fn idle(&self) -> Vec<Arc<Machine>> {
        let members = self.members().await;
        let idle = |machine: &Arc<Machine>| members.iter().all(|member| member.place() != Some(&machine.id));
        self.fleet.town.machines().into_iter().filter(idle).collect()
    }

    /// All machines but this one.
    pub(crate) fn others(&self, machine: &Machine) -> Vec<Arc<Machine>> {
        self.fleet.town.machines().into_iter().filter(|other| other.id != machine.id).collect()
    }

    /// The machine whose server leads, as the records tell.
    pub(crate) async fn leader(&self) -> Arc<Machine> {
        let leaders: Vec<Leader> = self.fleet.all("leader/").await;
        match leaders.first().and_then(|leader| self.fleet.town.machine(&leader.server)) {
            Some(machine) => machine,
            None => self.fail("no server leads").await,
        }
    }

    /// The container of a member on the machine that holds it.
    pub(crate) async fn container(&self, record: &MemberRecord) -> Option<Arc<Container>> {
        let machine = self.fleet.town.machine(&record.binding.holder.as_ref()?.node)?;
        for container in machine.containers() {
            let config = container.config().await;
            if config.is_some_and(|config| config.member == record.name && config.service_id == record.service) {
                return Some(container);
            }
        }
        None
    }

    /// Whether a member serves where it is held.
    pub(crate) async fn serves(&self, index: u16) -> bool {
        let Some(record) = self.record(index).await else { return false };
        let serves = self.container(&record).await.is_some_and(|container| container.why_not().is_none());
        serves && record.binding.published
    }

    /// A member must serve on another machine within `limit`.
    pub(crate) async fn serves_elsewhere(&self, index: u16, than: &Machine, limit: Duration) {
        let what = format!("{} serves on another node than {}", member(index), than.id);
        let so = || async { self.serves(index).await && self.holder(index).await.id != than.id };
        self.within(limit, &what, so).await;
    }

    /// Everything must be as it is wanted within `limit`.
    pub(crate) async fn all_well(&self, limit: Duration) {
        let began = self.fleet.env.now();
        while let Some(why) = self.fleet.unsettled().await {
            if self.fleet.env.now() > began + limit {
                return self.fail(&format!("not well within {} s: {why}", limit.as_secs())).await;
            }
            self.wait(super::LOOK_EVERY).await;
        }
    }

    /// Clients must have rows committed within `limit`.
    pub(crate) async fn rows_go_on(&self, limit: Duration) {
        let before = self.fleet.ledger.rows();
        self.within(limit, "rows go on", || async { self.fleet.ledger.rows() > before + 3 }).await;
    }

    /// All members as they are now.
    pub(crate) async fn picture(&self) -> Picture {
        let mut picture = Picture::new();
        for record in self.members().await {
            let container = self.container(&record).await;
            let seen = Seen {
                node: record.binding.holder.as_ref().map(|holder| holder.node.clone()),
                epoch: record.binding.epoch,
                container: container.as_ref().map(|container| container.pid()),
                server: container.as_ref().and_then(|container| container.server()),
                pauses: container.as_ref().map(|container| container.disturbances()).unwrap_or_default(),
            };
            picture.insert(record.name, seen);
        }
        picture
    }

    /// Every member must be where it was, held by who held it.
    pub(crate) async fn unmoved(&self, before: &Picture) {
        self.compare("moved", before, |seen| Seen { container: None, server: None, pauses: 0, ..seen }).await;
    }

    /// No member may have moved or been started again.
    pub(crate) async fn not_restarted(&self, before: &Picture) {
        self.compare("moved or started again", before, |seen| Seen { pauses: 0, ..seen }).await;
    }

    /// No member may have moved, been started again, or paused.
    pub(crate) async fn untouched(&self, before: &Picture) {
        self.compare("moved, started again or paused", before, |seen| seen).await;
    }

    async fn compare(&self, what: &str, before: &Picture, part: impl Fn(Seen) -> Seen) {
        let now = self.picture().await;
        for (name, seen) in before {
            let is = now.get(name).cloned().map(&part);
            if is.as_ref() != Some(&part(seen.clone())) {
                return self.fail(&format!("{name} was {what}: {seen:?}, now {:?}", now.get(name))).await;
            }
        }
    }
}
