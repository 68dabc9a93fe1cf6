//! What the hosts themselves show, whatever the servers say: containers, mounts, addresses, who leads.

use std::time::Duration;

use super::{Fleet, Provider, SERVICE};
use crate::eventually;
use crate::testbed::{Host, Way};

/// How long a node may take to let go of what has moved away from it, once it knows.
const GONE_WITHIN: Duration = Duration::from_secs(60);

impl Fleet {
    /// True if holders of volumes need a lease.
    pub fn leased(&self) -> bool {
        self.provider == Provider::SharedFile
    }

    /// Everything that runs in Docker on nodes with power: `<node> <container> <name>`.
    ///
    /// # Panics
    /// If an engine does not answer.
    #[track_caller]
    pub fn running(&self) -> Vec<String> {
        let mut found = Vec::new();
        for node in self.hosts.nodes.iter().filter(|node| node.has_power()) {
            let listed = node.docker(&["ps", "--no-trunc", "--format", "{{.ID}} {{.Names}}"]);
            let listed = listed.unwrap_or_else(|error| panic!("containers of {}: {error}", node.name));
            found.extend(listed.lines().map(|line| format!("{} {line}", node.name)));
        }
        found.sort_unstable();
        found
    }

    /// The container of a member that runs on a node, if one does.
    ///
    /// # Panics
    /// If the engine does not answer.
    #[track_caller]
    pub fn container_of(&self, at: usize, index: usize) -> Option<String> {
        let filter = format!("name=^{SERVICE}-{index}-");
        let listed = self.hosts.nodes[at].docker(&["ps", "--quiet", "--no-trunc", "--filter", &filter]);
        let listed = listed.unwrap_or_else(|error| panic!("containers of node {at}: {error}"));
        listed.lines().next().map(str::to_owned)
    }

    /// The volumes that a node has mounted, each `<volume>.e<epoch>`.
    ///
    /// # Panics
    /// If the node has no power.
    #[track_caller]
    pub fn mounted(&self, at: usize) -> Vec<String> {
        volumes_mounted(&self.hosts.nodes[at])
    }

    /// Waits until a node that held a member under `epoch` has nothing of that any more: no mount, no address.
    ///
    /// # Panics
    /// If it goes on having it.
    #[track_caller]
    pub fn gives_up(&self, at: usize, index: usize, epoch: u64) {
        let node = &self.hosts.nodes[at];
        let end = format!("_{SERVICE}-{index}.e{epoch}");
        eventually(GONE_WITHIN, "the former holder has let go", || {
            let mounted = volumes_mounted(node);
            let left = mounted.iter().find(|name| name.ends_with(&end));
            left.map_or(Ok(()), |name| Err(format!("{} has {name} mounted", node.name)))?;
            let member = self.members()?.into_iter().nth(index).ok_or("no such member")?;
            let address = member["address"].as_str().ok_or("no address")?.to_owned();
            let has = addresses(node)?.contains(&address);
            if has && member["node"] != node.name.as_str() {
                return Err(format!("{} has the address {address} still", node.name));
            }
            Ok(())
        });
    }

    /// A standby on another node than the primary's.
    ///
    /// # Panics
    /// If there is none.
    #[track_caller]
    pub fn standby_apart(&self) -> usize {
        let primary = self.holder(0);
        (1..3).find(|index| self.holder(*index) != primary).expect("not all members are on one node")
    }

    /// The place of the server that said last that it leads.
    ///
    /// # Panics
    /// If none did.
    #[track_caller]
    pub fn leading_server(&self) -> usize {
        let said = |node: &Host| {
            let log = std::fs::read_to_string(self.hosts.logs().join(format!("{}-server.log", node.name)));
            let log = log.unwrap_or_default();
            let line = log.lines().rfind(|line| line.contains("this server leads now"))?;
            // The time comes first, with colours or without.
            line.find("20").map(|from| line[from..].chars().take(26).collect::<String>())
        };
        let found = (0..self.hosts.nodes.len()).filter_map(|at| Some((said(&self.hosts.nodes[at])?, at)));
        found.max().expect("a server leads").1
    }

    /// The place of the node that leads the Swarm, once one does: an election takes ten seconds and more.
    ///
    /// # Panics
    /// If none does for three minutes: after a cut, several elections in a row may come to nothing.
    #[track_caller]
    pub fn swarm_leader(&self) -> usize {
        let name = eventually(Duration::from_secs(180), "the Swarm has a leader", || self.hosts.swarm_leader());
        self.place(&name)
    }

    /// Sends a signal to the first process of a member's container.
    ///
    /// # Panics
    /// If there is no such container.
    #[track_caller]
    pub fn signal_member(&self, at: usize, index: usize, signal: &str) {
        let node = &self.hosts.nodes[at];
        let container = self.container_of(at, index).expect("the member has a container");
        let pid = node.docker(&["inspect", "--format", "{{.State.Pid}}", &container]).expect("a process");
        node.run(&["kill", &format!("-{signal}"), &pid]).expect("the signal can be sent");
    }

    // The network. A node that is cut off is not asked for what the servers say until it is healed.

    /// Pulls a node's cable.
    pub fn cut_link(&self, at: usize) {
        self.away().insert(at);
        self.hosts.nodes[at].cut_link();
    }

    /// Loses all that a node sends, or all that is sent to it.
    pub fn cut_one_way(&self, at: usize, way: Way) {
        self.away().insert(at);
        self.hosts.nodes[at].cut_one_way(way);
    }

    /// Plugs the cable in again and ends every loss.
    pub fn heal_link(&self, at: usize) {
        self.hosts.nodes[at].heal_link();
        self.away().remove(&at);
    }
}

/// The volumes that a host has mounted, each `<volume>.e<epoch>`.
fn volumes_mounted(host: &Host) -> Vec<String> {
    let table = std::fs::read_to_string(format!("/proc/{}/mountinfo", host.pid())).expect("the host has mounts");
    let names = table.lines().filter_map(|line| line.split(' ').nth(4)?.rsplit('/').next());
    let mut found: Vec<String> = names.filter(|name| is_volume(name)).map(str::to_owned).collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// Whether a name is `<service id>_<member>.e<epoch>`.
fn is_volume(name: &str) -> bool {
    let epoch = name.rsplit_once(".e").map(|(_, epoch)| epoch);
    name.contains('_')
        && epoch.is_some_and(|epoch| !epoch.is_empty() && epoch.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The addresses on a host's interface, without their prefix lengths.
///
/// # Errors
/// If the host cannot be asked.
pub fn addresses(host: &Host) -> Result<Vec<String>, String> {
    let listed = host.run(&["ip", "-4", "-o", "address", "show", "dev", "eth0"])?;
    let address = |line: &str| Some(line.split_whitespace().nth(3)?.split('/').next()?.to_owned());
    Ok(listed.lines().filter_map(address).collect())
}
