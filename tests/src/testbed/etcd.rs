//! Debian's etcd with a member on every node: the control database of several servers.

use std::time::Duration;

use super::{Host, Hosts, Process};
use crate::eventually;

/// Where a member keeps its data: on its host's own disk, so that it is there again after a power-off.
const DATA: &str = "/var/lib/etcd-of-the-test-bed";

impl Hosts {
    /// The URLs at which clients reach the members, separated by commas.
    pub fn etcd_urls(&self) -> String {
        self.nodes.iter().map(client_url).collect::<Vec<_>>().join(",")
    }

    /// Starts a member on every node and waits until all are healthy. The members are in the order of the nodes.
    ///
    /// # Panics
    /// If they do not become healthy.
    pub fn etcd(&self) -> Vec<Process> {
        let members = self.nodes.iter().map(|node| self.etcd_member(node)).collect();
        self.nodes.iter().for_each(etcd_is_healthy);
        members
    }

    /// Starts the member of one node, for the first time or again.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn etcd_member(&self, node: &Host) -> Process {
        let peers: Vec<String> = self.nodes.iter().map(|node| format!("{}={}", node.name, peer_url(node))).collect();
        let (clients, peer) = (client_url(node), peer_url(node));
        let words = ["etcd", "--name", &node.name, "--data-dir", DATA, "--initial-cluster", &peers.join(",")];
        let urls = ["--listen-client-urls", &clients, "--advertise-client-urls", &clients];
        let peer_urls = ["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer];
        // A leader that is gone is missed after half a second.
        let times = ["--heartbeat-interval", "50", "--election-timeout", "500"];
        node.spawn("etcd", &[&words[..], &urls, &peer_urls, &times].concat())
    }
}

/// Waits until a node's member answers and knows a leader.
///
/// # Panics
/// If that takes longer than half a minute.
#[track_caller]
pub fn etcd_is_healthy(node: &Host) {
    eventually(Duration::from_secs(30), "etcd is healthy", || {
        let answer = node.run(&["curl", "--silent", "--max-time", "2", &format!("{}/health", client_url(node))])?;
        if answer.contains("true") { Ok(()) } else { Err(answer) }
    });
}

fn client_url(node: &Host) -> String {
    format!("http://{}:2379", node.address)
}

fn peer_url(node: &Host) -> String {
    format!("http://{}:2380", node.address)
}
