//! Which nodes are lost: a pure function of what the agents see.
//!
//! A node is missed by an agent that has listened to it for the whole budget and heard nothing. It is lost when a majority
//! of the **roster's** agents miss it, not only of those that answered: a server that hears only a few agents may itself be
//! the one that is cut off.
//!
//! **Invariant:** of what is not lost by that majority nothing is moved; and if more than half of the roster is gone at once,
//! the server suspects itself (or the network as a whole) and moves nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use om_model::NodeId;

/// What one agent sees of one other node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sight {
    /// The node.
    pub node: NodeId,
    /// How long it gave no sign of life.
    pub silent_for: Duration,
    /// How long the agent has been listening.
    pub watched_for: Duration,
}

/// What is made of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Nodes that are lost, each with the silences that agents report: those to act on. Nodes known as lost are among them.
    pub lost: BTreeMap<NodeId, Vec<(NodeId, Duration)>>,
    /// Why nothing is done, although nodes are missed.
    pub suspended: Option<Suspended>,
}

/// Why nothing is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Suspended {
    /// More than half of the roster is gone at once.
    TooMany(Vec<NodeId>),
    /// Every agent that answers misses these nodes, but those that answer are no majority of the roster.
    NoMajority {
        /// The nodes missed.
        missed: Vec<NodeId>,
        /// How many agents answer.
        answer: usize,
        /// How many are a majority.
        majority: usize,
    },
}

/// Judges. `sights` holds the agents that answered; a node is in `roster` once.
pub fn judge(roster: &[NodeId], sights: &BTreeMap<NodeId, Vec<Sight>>, budget: Duration) -> Verdict {
    let known: BTreeSet<&NodeId> = roster.iter().collect();
    let majority = roster.len() / 2 + 1;
    let voters: Vec<_> = sights.iter().filter(|(from, _)| known.contains(from)).collect();
    let mut missed: BTreeMap<NodeId, Vec<(NodeId, Duration)>> = BTreeMap::new();
    for (from, sights) in &voters {
        for sight in sights.iter().filter(|sight| known.contains(&sight.node) && sight.node != **from) {
            if sight.silent_for >= budget && sight.watched_for >= budget {
                missed.entry(sight.node.clone()).or_default().push(((*from).clone(), sight.silent_for));
            }
        }
    }
    let lost: BTreeMap<_, _> = missed.iter().filter(|(_, by)| by.len() >= majority).map(clone_entry).collect();
    if lost.len() * 2 > roster.len() {
        return Verdict { lost: BTreeMap::new(), suspended: Some(Suspended::TooMany(lost.into_keys().collect())) };
    }
    let by_all = |node: &NodeId| {
        let others = voters.iter().filter(|(from, _)| *from != node).count();
        others > 0 && others < majority && !sights.contains_key(node) && missed[node].len() == others
    };
    let unsure: Vec<NodeId> = missed.keys().filter(|node| !lost.contains_key(*node) && by_all(node)).cloned().collect();
    let no_majority = Suspended::NoMajority { missed: unsure.clone(), answer: voters.len(), majority };
    let suspended = (!unsure.is_empty()).then_some(no_majority);
    Verdict { lost, suspended }
}

fn clone_entry<K: Clone, V: Clone>((key, value): (&K, &V)) -> (K, V) {
    (key.clone(), value.clone())
}

impl std::fmt::Display for Suspended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = |nodes: &[NodeId]| nodes.iter().map(NodeId::as_str).collect::<Vec<_>>().join(", ");
        match self {
            Self::TooMany(nodes) => write!(
                f,
                "nodes {} vanished at once, more than half of the cluster: no member is moved by itself; for each node that \
                 is really off: openmanage node fence NODE",
                names(nodes)
            ),
            Self::NoMajority { missed, answer, majority } => write!(
                f,
                "nodes {} are silent, but only {answer} agent(s) answer where {majority} must agree: no member is moved by \
                 itself; for each node that is really off: openmanage node fence NODE",
                names(missed)
            ),
        }
    }
}

#[cfg(test)]
mod tests;
