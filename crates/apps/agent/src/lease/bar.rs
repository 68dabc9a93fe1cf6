//! Making sure that another node's lease is over, before its volumes are revoked.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::{Either, select};
use futures::stream::FuturesUnordered;
use om_backend::lease::{DRIFT_MAX, bar_answers_within};
use om_backend::{ErrorKind, PortError, Result, Voter};
use om_model::{Incarnation, NodeId, Roster, RosterNode};

use crate::agent::Agent;
use crate::roster::Current;

/// Between two rounds when the last brought no majority.
const ASK_AGAIN: Duration = Duration::from_millis(50);
/// How many terms it may take at most.
const TERMS: u32 = 4;

impl Agent {
    /// The voter on `node`: on this node without a way round over the network.
    pub(super) fn voter(&self, node: &RosterNode) -> Arc<dyn Voter> {
        if node.id == self.ports.host.node() {
            return Arc::new(self.clone());
        }
        self.ports.voters.voter(&node.id, node.agent)
    }

    /// Returns once the lease of `node` in its life `life` has lapsed, be it for a moment: a majority, having barred it, said
    /// in one round that nothing it promised still runs.
    pub(crate) async fn lease_over(&self, node: &NodeId, life: &Incarnation) -> Result<()> {
        let fail = |kind, detail: &str| {
            let subject = format!("the end of the lease of node {node}");
            Err(PortError::new(kind, "wait for", subject, detail))
        };
        let Some(term) = self.settings.cluster.as_ref().map(|cluster| cluster.lease_term) else {
            return fail(ErrorKind::Refused, "this node is in no cluster, so nobody can tell").map_err(|error| {
                error.advise(format!("`openmanage node fence {node}` if that machine is surely off"))
            });
        };
        let began = self.now();
        loop {
            let Current { roster, since } = self.current_roster().clone();
            if roster.nodes.is_empty() {
                return fail(ErrorKind::Unavailable, "the roster of agents is not known here yet");
            }
            // Voters' clocks may be slower.
            let theirs = |time: Duration| time * (1000 + DRIFT_MAX) / 1000 + Duration::from_millis(1);
            let again = match self.bar_round(&roster, node, life, term).await {
                Some(free) if free.is_zero() => {
                    // What was promised by a roster before the last, and cannot be renewed any more, has run out by then; and
                    // the bars last longer.
                    self.sleep((since + theirs(term)).saturating_sub(self.now())).await;
                    return Ok(());
                }
                Some(free) => theirs(free.saturating_sub(self.now())),
                None => ASK_AGAIN,
            };
            if self.now() + again > began + term * TERMS {
                let detail = "a majority of the agents does not say so; is the network between the nodes whole?";
                return fail(ErrorKind::Unavailable, detail);
            }
            self.sleep(again).await;
        }
    }

    /// Bars that life at every voter. Zero if a majority promises it nothing any more; else when a majority will have kept
    /// its promises, the one for which it is soonest; nothing if there was no majority in time.
    async fn bar_round(&self, roster: &Roster, node: &NodeId, life: &Incarnation, term: Duration) -> Option<Duration> {
        let ask = |voter: &RosterNode| {
            let voter = self.voter(voter);
            async move { voter.bar(node, life, roster.revision, term).await }
        };
        let mut asked: FuturesUnordered<_> = roster.nodes.iter().map(ask).collect();
        let mut free = Vec::new();
        // Later answers do not count: a voter that started anew after it had answered keeps its promise only that long.
        let mut late = std::pin::pin!(self.sleep(bar_answers_within(term)));
        while let Either::Left((Some(answer), _)) = select(asked.next(), late.as_mut()).await {
            match answer {
                Ok(left) if left.is_zero() => free.push(Duration::ZERO),
                Ok(left) => free.push(self.now() + left),
                Err(error) => self.not_voted(&error),
            }
            if free.iter().filter(|free| free.is_zero()).count() >= roster.majority() {
                return Some(Duration::ZERO);
            }
        }
        free.sort();
        free.get(roster.majority() - 1).copied()
    }
}
