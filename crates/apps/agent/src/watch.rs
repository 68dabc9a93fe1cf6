//! Watching the other nodes: is anybody's kernel still there?
//!
//! Every node of the roster is probed several times a second; probes overlap, so that a lost packet costs one interval and
//! not a time-out. **Invariant:** an agent that did not run for a while, stopped or starved, accuses nobody when it wakes:
//! its looking begins anew, and a silence counts only as far as it looked.
//!
//! Where the orchestrator may reach this node by way of another, such ways are ended once that other is silent: waiting for
//! the orchestrator's own time-outs would keep a lost node's members from being started here for several seconds more.

use std::collections::BTreeMap;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use futures::future::{Either, select};
use futures::stream::FuturesUnordered;
use om_backend::PeerView;
use om_model::{NodeId, RosterNode};

use crate::agent::{Agent, ClusterSettings};

/// Between two probes of a node.
const EVERY: Duration = Duration::from_millis(200);
/// How long a probe waits for an answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(1);
/// A loop that is this much late did not run in between.
const LATE: Duration = Duration::from_millis(500);
/// A node that is silent for so long is no way to reach anybody. Below the servers' detection budget (3.2 s unless it is set
/// otherwise), so that the orchestrator has another way by the time they declare the node lost. Ending connections to one that
/// was only slow costs it nothing but making them again.
const NO_WAY_AFTER: Duration = Duration::from_secs(2);

/// What was seen of whom, and since when without an interruption.
pub(crate) struct Watch {
    since: Duration,
    looked: Duration,
    seen: BTreeMap<NodeId, Sight>,
}

struct Sight {
    since: Duration,
    sign: Duration,
    /// When the silence began that was last told of by [`Watch::newly_silent`].
    told: Option<Duration>,
}

impl Sight {
    /// When its silence began, nothing having interrupted the looking since `since`.
    fn silent_from(&self, since: Duration) -> Duration {
        self.sign.max(self.since).max(since)
    }
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
            self.seen.entry(node.id.clone()).or_insert(Sight { since: now, sign: now, told: None });
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
            let silent_for = now.saturating_sub(sight.silent_from(since));
            PeerView { node: node.clone(), silent_for, watched_for }
        };
        self.seen.iter().map(view).collect()
    }

    /// Who has been silent for `length`, once for each silence. One that an interruption of the looking cut in two is two.
    pub(crate) fn newly_silent(&mut self, now: Duration, length: Duration) -> Vec<NodeId> {
        let since = self.uninterrupted(now);
        let mut silent = Vec::new();
        for (node, sight) in &mut self.seen {
            let from = sight.silent_from(since);
            if now.saturating_sub(from) >= length && sight.told.replace(from) != Some(from) {
                silent.push(node.clone());
            }
        }
        silent
    }
}

impl Agent {
    pub(crate) fn watch(&self) -> MutexGuard<'_, Watch> {
        self.known.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Probes every other node, for ever.
    pub(crate) async fn watch_peers(&self, cluster: &ClusterSettings) {
        let mut probes = FuturesUnordered::new();
        loop {
            let peers = self.peers_of_roster();
            self.watch().look(self.now(), &peers);
            if let Some(port) = cluster.orchestrator_port {
                self.sever_silent(&peers, port);
            }
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

    /// Ends, beside the caller, this machine's connections to `port` of everybody who has fallen silent.
    fn sever_silent(&self, peers: &[RosterNode], port: u16) {
        let silent = self.watch().newly_silent(self.now(), NO_WAY_AFTER);
        for peer in peers.iter().filter(|peer| silent.contains(&peer.id)) {
            tracing::info!(node = %peer.id, port, "silent: connections to its orchestrator are ended");
            let (host, address) = (self.ports.host.clone(), peer.address);
            self.beside("sever", format!("node {}", peer.id), async move { host.sever(address, port).await });
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
