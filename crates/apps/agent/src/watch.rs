//! Watching the other nodes: is anybody's kernel still there?
//!
//! Every node of the roster is probed several times a second; probes overlap, so that a lost packet costs one interval and
//! not a time-out. **Invariant:** an agent that did not run for a while, stopped or starved, accuses nobody when it wakes:
//! its looking begins anew, and a silence counts only as far as it looked.

use std::collections::BTreeMap;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use futures::future::{Either, select};
use futures::stream::FuturesUnordered;
use om_backend::PeerView;
use om_model::{NodeId, RosterNode};

use crate::agent::Agent;

/// Between two probes of a node.
const EVERY: Duration = Duration::from_millis(200);
/// How long a probe waits for an answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(1);
/// A loop that is this much late did not run in between.
const LATE: Duration = Duration::from_millis(500);

/// What was seen of whom, and since when without an interruption.
pub(crate) struct Watch {
    since: Duration,
    looked: Duration,
    seen: BTreeMap<NodeId, Sight>,
}

struct Sight {
    since: Duration,
    sign: Duration,
}

impl Watch {
    pub(crate) fn new(now: Duration) -> Self {
        Self { since: now, looked: now, seen: BTreeMap::new() }
    }

    /// Since when there was no interruption: since now, if the last look is too long ago.
    fn uninterrupted(&self, now: Duration) -> Duration {
        if now.saturating_sub(self.looked) >= EVERY + LATE { now } else { self.since }
    }

    /// The agent looks: at these nodes, and no others.
    pub(crate) fn look(&mut self, now: Duration, nodes: &[RosterNode]) {
        self.since = self.uninterrupted(now);
        self.looked = now;
        self.seen.retain(|known, _| nodes.iter().any(|node| node.id == *known));
        for node in nodes {
            self.seen.entry(node.id.clone()).or_insert(Sight { since: now, sign: now });
        }
    }

    /// A node gave a sign of life.
    pub(crate) fn sign(&mut self, now: Duration, node: &NodeId) {
        if let Some(sight) = self.seen.get_mut(node) {
            sight.sign = now;
        }
    }

    /// What is known of each. Asked after an interruption before the loop has woken, or while it hangs, it accuses nobody.
    pub(crate) fn views(&self, now: Duration) -> Vec<PeerView> {
        let since = self.uninterrupted(now);
        let view = |(node, sight): (&NodeId, &Sight)| {
            let watched_for = now.saturating_sub(sight.since.max(since));
            let silent_for = now.saturating_sub(sight.sign).min(watched_for);
            PeerView { node: node.clone(), silent_for, watched_for }
        };
        self.seen.iter().map(view).collect()
    }
}

impl Agent {
    pub(crate) fn watch(&self) -> MutexGuard<'_, Watch> {
        self.known.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Probes every other node, for ever.
    pub(crate) async fn watch_peers(&self) {
        let mut probes = FuturesUnordered::new();
        loop {
            let peers = self.peers_of_roster();
            self.watch().look(self.now(), &peers);
            peers.into_iter().for_each(|peer| probes.push(self.probe(peer)));
            let mut tick = std::pin::pin!(self.sleep(EVERY));
            while !probes.is_empty() {
                match select(probes.next(), tick.as_mut()).await {
                    Either::Left(_) => {}
                    Either::Right(_) => break,
                }
            }
            if probes.is_empty() {
                tick.await;
            }
        }
    }

    async fn probe(&self, peer: RosterNode) {
        if self.ports.prober.alive(peer.address, peer.agent, ANSWERS_WITHIN).await {
            self.watch().sign(self.now(), &peer.id);
        }
    }
}

#[cfg(test)]
mod tests;
