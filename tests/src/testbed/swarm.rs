//! The hosts as a Docker Swarm.

use std::time::Duration;

use super::{Host, Hosts};
use crate::eventually;

/// How long nodes may take to be ready.
const READY_WITHIN: Duration = Duration::from_secs(60);

impl Hosts {
    /// Makes the nodes a Swarm in which all are managers, `n1` the first leader. Engines that do not run are started.
    ///
    /// # Panics
    /// If the nodes do not become ready.
    pub fn swarm(&self) {
        self.each(Host::start_docker, self.nodes.iter().filter(|node| node.docker(&["version"]).is_err()));
        for node in &self.nodes {
            // A node tells the Swarm of a volume plugin only once it has used it.
            node.docker(&["volume", "ls"]).expect("the engine lists volumes");
        }
        let first = &self.nodes[0];
        first.docker(&["swarm", "init", "--advertise-addr", &first.address]).expect("a Swarm can be made");
        let token = first.docker(&["swarm", "join-token", "--quiet", "manager"]).expect("the Swarm has a token");
        let leader = format!("{}:2377", first.address);
        for node in &self.nodes[1..] {
            let join = ["swarm", "join", "--token", &token, "--advertise-addr", &node.address, &leader];
            node.docker(&join).unwrap_or_else(|error| panic!("{} joins: {error}", node.name));
        }
        let all: Vec<&str> = self.nodes.iter().map(|node| node.name.as_str()).collect();
        self.swarm_ready(first, &all);
    }

    /// Waits until, as `asked` sees it, exactly these nodes are ready.
    ///
    /// # Panics
    /// If that takes longer than a minute.
    #[track_caller]
    pub fn swarm_ready(&self, asked: &Host, nodes: &[&str]) {
        eventually(READY_WITHIN, "the Swarm's nodes are ready", || {
            let listed = asked.docker(&["node", "ls", "--format", "{{.Hostname}} {{.Status}}"])?;
            let ready = listed.lines().filter_map(|line| line.strip_suffix(" Ready"));
            let mut ready: Vec<&str> = ready.collect();
            ready.sort_unstable();
            crate::same(ready, nodes.to_vec())
        });
    }

    /// The name of the node that leads the Swarm, as the first node that answers sees it.
    ///
    /// # Errors
    /// If no node knows of a leader.
    pub fn swarm_leader(&self) -> Result<String, String> {
        let format = "{{.Hostname}} {{.ManagerStatus}}";
        let listed = self.nodes.iter().filter_map(|node| node.docker(&["node", "ls", "--format", format]).ok()).next();
        let listed = listed.ok_or("no node answers")?;
        let leader = listed.lines().find_map(|line| line.strip_suffix(" Leader"));
        leader.map(str::to_owned).ok_or_else(|| format!("no leader among {listed}"))
    }
}
