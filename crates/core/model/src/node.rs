//! Nodes: the machines that run an agent, and the roster by which agents know one another.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::{Incarnation, NodeId};
use crate::time::Timestamp;

/// How many past lives of a node are remembered: as many as it can have while one request is under way.
pub const PAST_LIVES: usize = 32;

/// A node that has joined the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRecord {
    /// Its name: what the orchestrator calls it too.
    pub id: NodeId,
    /// Its address, for liveness probes and as the address of members that have none of their own.
    pub address: IpAddr,
    /// Where its agent answers.
    pub agent: SocketAddr,
    /// The zone it is in, where it has one.
    #[serde(default)]
    pub zone: Option<String>,
    /// Its present life, as its agent told last.
    pub incarnation: Incarnation,
    /// Its lives before that, the last [`PAST_LIVES`] of them, oldest first. Nothing that one of them says counts any more.
    #[serde(default)]
    pub past_lives: Vec<Incarnation>,
    /// The volume provider its agent mounts from.
    pub volumes: String,
    /// By what that provider keeps a volume to one writer.
    pub single_writer_by: String,
    /// Whether it is there.
    pub condition: NodeCondition,
    /// Since when.
    pub since: Timestamp,
    /// True while no member is to be on it.
    #[serde(default)]
    pub drained: bool,
    /// The life that an operator vouched is over.
    #[serde(default)]
    pub vouched_off: Option<Incarnation>,
    /// When it joined.
    pub joined: Timestamp,
    /// When its agent reported last; written seldom.
    pub reported: Timestamp,
    /// The revision of the roster that its agent told it knows.
    #[serde(default)]
    pub roster: u64,
    /// The version of its agent.
    #[serde(default)]
    pub version: String,
}

/// Whether a node is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeCondition {
    /// A majority of the agents does not miss it.
    Present,
    /// A majority of the agents missed it for the whole detection budget; its members move.
    Lost,
}

impl NodeCondition {
    /// The word used in the API and on screen.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Present => "present",
            Self::Lost => "lost",
        }
    }
}

/// Every agent of the cluster, as agents know one another: those that watch and those that vote on leases.
///
/// It changes by one node at a time, and the next change waits until a majority knows the last: two majorities of
/// neighbouring rosters always have an agent in common.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roster {
    /// Rises with every change.
    pub revision: u64,
    /// The nodes, by name.
    pub nodes: Vec<RosterNode>,
}

/// A node, as other agents need to know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RosterNode {
    /// Its name.
    pub id: NodeId,
    /// Its address.
    pub address: IpAddr,
    /// Where its agent answers.
    pub agent: SocketAddr,
}

impl NodeRecord {
    /// The node is in that life now, if it is not a past one; false if it is.
    ///
    /// Lives have no order of their own: a request of a past one may come late, held up on its way or in a server that stood
    /// still, and must not pass for a new life.
    pub fn enter(&mut self, life: &Incarnation) -> bool {
        if self.past_lives.contains(life) {
            return false;
        }
        if self.incarnation != *life {
            self.past_lives.push(std::mem::replace(&mut self.incarnation, life.clone()));
            let over = self.past_lives.len().saturating_sub(PAST_LIVES);
            self.past_lives.drain(..over);
        }
        true
    }

    /// It counts as lost from now on.
    ///
    /// `since` and `reported` come from the clocks of whichever servers write them, which may differ by any amount; what was
    /// after what is written into them, not read off a clock.
    pub fn lose(&mut self, now: Timestamp) {
        (self.condition, self.since) = (NodeCondition::Lost, now.max(self.reported));
    }

    /// It has reported.
    pub fn note_report(&mut self, now: Timestamp) {
        let after_loss = self.since.plus(Duration::from_millis(1));
        self.reported = if self.condition == NodeCondition::Lost { now.max(after_loss) } else { now };
    }

    /// Whether it has reported since it was lost.
    pub fn reported_since(&self) -> bool {
        self.reported > self.since
    }

    /// Whether members may be placed on it.
    pub fn open(&self) -> bool {
        self.condition == NodeCondition::Present && !self.drained
    }

    /// The node as other agents need to know it.
    pub fn in_roster(&self) -> RosterNode {
        RosterNode { id: self.id.clone(), address: self.address, agent: self.agent }
    }
}

impl Roster {
    /// How many agents are a majority. At least one.
    pub fn majority(&self) -> usize {
        self.nodes.len() / 2 + 1
    }
}
