//! What agents report of their nodes, and what they are told: the roster, and which of their mounts are over.
//!
//! A node's record is written when something changed, and now and then to show that the node still reports.
//!
//! **Invariant:** the roster changes by one node at a time, and only once a majority of its agents has reported that it
//! knows the present one: two majorities of neighbouring rosters have an agent in common.

use std::time::Duration;

use om_backend::control_plane::Held;
use om_backend::{NodeOrders, NodeReport};
use om_model::mutation::{Mutation, planted};
use om_model::{MemberRecord, NodeCondition, NodeId, NodeRecord, Roster, RosterNode};

use crate::control::Control;
use crate::error::ControlError;
use crate::store::{ROSTER, values};

/// A node that reports is written down as doing so this often.
const REPORTED_EVERY: Duration = Duration::from_secs(60);
/// The orchestrator is asked for a node's zone for no longer than this.
const ZONE_WITHIN: Duration = Duration::from_secs(1);

impl Control {
    /// Takes a node's report, and answers it.
    pub(crate) async fn take_report(&self, report: &NodeReport) -> Result<NodeOrders, ControlError> {
        let record = self.record_node(report).await?;
        let roster = self.roster_for(&record).await?;
        let mut over = Vec::new();
        for held in &report.held {
            let member = self.store.member(&held.service, &held.member).await?;
            if is_over(held, report, member.as_ref()) && !planted(Mutation::OverNotCompared) {
                over.push(held.clone());
            }
        }
        Ok(NodeOrders { roster, over })
    }

    async fn record_node(&self, report: &NodeReport) -> Result<NodeRecord, ControlError> {
        let now = self.now();
        let Some(known) = self.stored_node(&report.node).await? else {
            return self.first_report(report).await;
        };
        if reported(&known.value, report, now).as_ref() == Some(&known.value) {
            return Ok(known.value);
        }
        let (mut false_word, mut past) = (false, false);
        let changed = self.store.nodes.change(report.node.as_str(), |node| {
            let next = reported(node, report, now);
            past = next.is_none();
            let next = next?;
            false_word = node.vouched_off.is_some() && node.vouched_off.as_ref() == Some(&report.incarnation);
            (next != *node).then_some(next)
        });
        let record = changed.await?.unwrap_or(known.value.clone());
        if past {
            return Err(ControlError::Conflict {
                detail: format!("that life of node {} is over", report.node),
                next: "nothing: the node's present agent reports by itself".into(),
            });
        }
        if false_word {
            self.note_node(format!(
                "node {} reports, although an operator said it was off: that word is void",
                report.node
            ))
            .await;
        }
        if record.incarnation != known.value.incarnation {
            self.note_node(format!("node {} came back in a new life", report.node)).await;
        }
        Ok(record)
    }

    async fn first_report(&self, report: &NodeReport) -> Result<NodeRecord, ControlError> {
        let now = self.now();
        let zone = match &report.zone {
            Some(zone) => Some(zone.clone()),
            None => self.zone_of(&report.node).await,
        };
        let record = NodeRecord {
            id: report.node.clone(),
            address: report.address,
            agent: report.agent,
            zone,
            incarnation: report.incarnation.clone(),
            past_lives: Vec::new(),
            volumes: report.volumes.clone(),
            single_writer_by: report.single_writer_by.clone(),
            condition: NodeCondition::Present,
            since: now,
            drained: false,
            vouched_off: None,
            joined: now,
            reported: now,
            roster: report.roster,
            version: report.version.clone(),
        };
        match self.store.nodes.create(report.node.as_str(), &record).await {
            Ok(_) => self.note_node(format!("node {} joined", report.node)).await,
            Err(error) if error.is_conflict() => {}
            Err(error) => return Err(error.into()),
        }
        Ok(record)
    }

    /// The zone that the orchestrator has for a node.
    async fn zone_of(&self, node: &NodeId) -> Option<String> {
        let nodes = self.ports.runtime.within(ZONE_WITHIN, self.ports.orchestrator.nodes()).await?.ok()?;
        nodes.into_iter().find(|known| known.id == *node)?.zone
    }

    /// The roster, with the node in it as soon as it may change.
    async fn roster_for(&self, node: &NodeRecord) -> Result<Roster, ControlError> {
        let wanted = node.in_roster();
        let enter = |roster: &mut Roster| {
            if roster.nodes.contains(&wanted) {
                return false;
            }
            roster.nodes.retain(|known| known.id != wanted.id);
            roster.nodes.push(wanted.clone());
            roster.nodes.sort_by(|one, other| one.id.cmp(&other.id));
            true
        };
        Ok(self.change_roster(enter).await?.0)
    }

    /// Takes the node off the roster; false if the roster may not change yet.
    pub(crate) async fn leave_roster(&self, id: &NodeId) -> Result<bool, ControlError> {
        let leave = |roster: &mut Roster| {
            let before = roster.nodes.len();
            roster.nodes.retain(|node| node.id != *id);
            roster.nodes.len() < before
        };
        Ok(self.change_roster(leave).await?.1)
    }

    /// The roster after `change` (which says whether it changed anything), if it may change now; and whether it is then as
    /// wanted.
    async fn change_roster(
        &self,
        change: impl Fn(&mut Roster) -> bool + Send + Sync,
    ) -> Result<(Roster, bool), ControlError> {
        let stored = self.store.rosters.get(ROSTER).await?;
        let present = stored.as_ref().map(|stored| stored.value.clone()).unwrap_or_default();
        let mut next = Roster { revision: present.revision + 1, nodes: present.nodes.clone() };
        if !change(&mut next) {
            return Ok((present, true));
        }
        if !known_to_a_majority(&present, &values(self.store.nodes.all("").await?)) {
            return Ok((present, false));
        }
        let written = match &stored {
            Some(stored) => self.store.rosters.update(stored, &next).await,
            None => self.store.rosters.create(ROSTER, &next).await,
        };
        match written {
            Ok(_) => Ok((next, true)),
            // Somebody else changed it at the same time: the next report finds it as it then is.
            Err(error) if error.is_conflict() => Ok((present, false)),
            Err(error) => Err(error.into()),
        }
    }
}

/// The record of a known node after its report; none if the report is of a life that is over.
fn reported(node: &NodeRecord, report: &NodeReport, now: om_model::Timestamp) -> Option<NodeRecord> {
    let mut next = NodeRecord {
        address: report.address,
        agent: report.agent,
        zone: report.zone.clone().or_else(|| node.zone.clone()),
        volumes: report.volumes.clone(),
        single_writer_by: report.single_writer_by.clone(),
        roster: report.roster,
        version: report.version.clone(),
        ..node.clone()
    };
    if !next.enter(&report.incarnation) {
        return None;
    }
    // A machine that reports in the life that is said to be over is not off.
    next.vouched_off = next.vouched_off.filter(|life| *life != report.incarnation);
    // That it is back, detection finds, once the agents do not miss it any more: a node that reaches a server but no other
    // node would else come and go all the time. A new life has just begun, and has not been missed yet.
    let first_since_lost = node.condition == NodeCondition::Lost && !node.reported_since();
    if node.condition == NodeCondition::Lost && node.incarnation != report.incarnation {
        (next.condition, next.since) = (NodeCondition::Present, now);
    }
    if next != *node || first_since_lost || now.since(node.reported) >= REPORTED_EVERY {
        next.note_report(now);
    }
    Some(next)
}

/// Whether another holder's turn has come, or the member is gone.
fn is_over(held: &Held, report: &NodeReport, member: Option<&MemberRecord>) -> bool {
    let Some(member) = member else { return true };
    let holds = member
        .binding
        .holder
        .as_ref()
        .is_some_and(|holder| holder.node == report.node && holder.incarnation == report.incarnation);
    // A higher epoch than the record's was granted by a database that was restored since: nobody's turn has come.
    held.epoch < member.binding.epoch || (held.epoch == member.binding.epoch && !holds)
}

/// Whether a majority of the roster's agents has reported that it knows it. The first change needs nobody.
fn known_to_a_majority(roster: &Roster, nodes: &[NodeRecord]) -> bool {
    let knows = |member: &&RosterNode| nodes.iter().any(|node| node.id == member.id && node.roster >= roster.revision);
    let unasked = roster.nodes.is_empty() || planted(Mutation::RosterNotAwaited);
    unasked || roster.nodes.iter().filter(knows).count() >= roster.majority()
}
