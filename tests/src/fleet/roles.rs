//! The fleet's programs: how each is started, for the first time and again.

use std::sync::MutexGuard;
use std::time::Duration;

use super::{CLUSTER, Fleet, Programs, Provider};
use crate::eventually;
use crate::testbed::etcd::etcd_is_healthy;
use crate::testbed::{Host, POOL, Process, SUBNET};

/// State directories, on each host's own disk.
pub(super) const SERVER_STATE: &str = "/var/lib/openmanage-server";
const AGENT_STATE: &str = "/var/lib/openmanage-agent";
const STORAGE_STATE: &str = "/var/lib/openmanage-storage";
/// What servers of one cluster must have in common.
const COMMON: [&str; 2] = ["secrets.key", "admin.token"];
const UP_WITHIN: Duration = Duration::from_secs(30);

impl Fleet {
    pub(super) fn programs(&self) -> MutexGuard<'_, Vec<Programs>> {
        // A case that failed with it in its hands leaves it as good as it was.
        self.programs.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The first server founds the cluster; agents join with its tokens; the other servers get what all have in common.
    pub(super) fn found(&self) {
        for host in self.hosts.nodes.iter().chain([&self.hosts.storage]) {
            // As the package sets it; kernels that do not know it refuse.
            let _ = host.run(&["sysctl", "-q", "-w", "net.ipv4.tcp_rto_max_ms=1000"]);
        }
        self.start_server(0);
        let common = COMMON.map(|file| {
            let path = self.hosts.nodes[0].path(SERVER_STATE).join(file);
            std::fs::read(path).unwrap_or_else(|error| panic!("{file} of the first server: {error}"))
        });
        for node in &self.hosts.nodes[1..] {
            let folder = node.path(SERVER_STATE);
            std::fs::create_dir_all(&folder).expect("the state directory can be made");
            for (file, content) in COMMON.iter().zip(&common) {
                std::fs::write(folder.join(file), content).expect("the file can be copied");
                node.run(&["chmod", "600", &format!("{SERVER_STATE}/{file}")]).expect("the file can be protected");
            }
        }
        if self.provider == Provider::Nbd {
            self.start_storage(Some(&self.token("storage")));
        }
        for at in 0..self.hosts.nodes.len() {
            self.start_agent(at, Some(&self.token("agent")));
        }
        self.hosts.swarm();
        for at in 1..self.hosts.nodes.len() {
            self.start_server(at);
        }
        eventually(UP_WITHIN, "all nodes have joined", || {
            let nodes = self.json(&["node", "list"]);
            let ready = |node: &serde_json::Value| node["condition"] == "present" && node["ready"] == true;
            let count = nodes.as_array().map_or(0, |nodes| nodes.iter().filter(|node| ready(node)).count());
            crate::same(count, self.hosts.nodes.len())
        });
    }

    fn token(&self, role: &str) -> String {
        let made = self.json(&["node", "token", "--role", role]);
        made["token"].as_str().expect("a token").to_owned()
    }

    /// Starts the server of a node, for the first time or again, and waits until it answers.
    ///
    /// # Panics
    /// If it does not.
    pub fn start_server(&self, at: usize) {
        let node = &self.hosts.nodes[at];
        let (listen, etcd) = (format!("{}:27040", node.address), self.hosts.etcd_urls());
        let addresses = format!("{SUBNET}.100-{SUBNET}.199");
        let words = [&self.binary, "--state", SERVER_STATE, "server", "--cluster", CLUSTER, "--listen", &listen];
        let database = ["--controldb", "etcd", "--etcd-endpoints", &etcd];
        let rest = ["--volumes", self.provider.as_str(), "--addresses", &addresses];
        let process = node.spawn("server", &[&words[..], &database, &rest].concat());
        self.programs()[at].server = Some(process);
        eventually(UP_WITHIN, "the server answers", || {
            let url = format!("https://{listen}/healthz");
            node.run(&["curl", "--insecure", "--silent", "--fail", "--max-time", "2", &url]).map(drop)
        });
    }

    /// Starts the agent of a node, for the first time (with a token) or again.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn start_agent(&self, at: usize, token: Option<&str>) {
        let node = &self.hosts.nodes[at];
        let (servers, dns) = (self.server_urls(), format!("{}:53", node.address));
        let addresses = format!("{SUBNET}.100-{SUBNET}.199");
        let storage = format!("https://{}:27042", self.hosts.storage.address);
        let words = [&self.binary, "--state", AGENT_STATE, "agent", "--cluster", CLUSTER, "--servers", &servers];
        let own = ["--address", &node.address, "--interface", "eth0", "--addresses", &addresses, "--dns-listen", &dns];
        let volumes: &[&str] = match self.provider {
            Provider::SharedFile => &["--volumes", "shared-file", "--pool", POOL, "--server-side-copy"],
            Provider::Nbd => &["--volumes", "nbd", "--storage", &storage],
        };
        let mut command = node.command(&[&words[..], &own, volumes].concat());
        if let Some(token) = token {
            command.env("OPENMANAGE_JOIN_TOKEN", token);
        }
        let process = node.spawn_command("agent", command);
        self.programs()[at].agent = Some(process);
        // Docker must find the plugin when it starts.
        let socket = node.path(&format!("/run/docker/plugins/openmanage-{CLUSTER}.sock"));
        eventually(UP_WITHIN, "the agent's plugin is there", || {
            if socket.exists() { Ok(()) } else { Err("no socket".to_owned()) }
        });
    }

    /// Starts the storage program on the storage host.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn start_storage(&self, token: Option<&str>) {
        let host = &self.hosts.storage;
        let servers = self.server_urls();
        let words = [&self.binary, "--state", STORAGE_STATE, "storage", "--cluster", CLUSTER, "--servers", &servers];
        let mut command = host.command(&[&words[..], &["--address", &host.address, "--pool", POOL]].concat());
        if let Some(token) = token {
            command.env("OPENMANAGE_JOIN_TOKEN", token);
        }
        *self.storage.lock().unwrap_or_else(std::sync::PoisonError::into_inner) =
            Some(host.spawn_command("storage", command));
        let at = format!("{}:27042", host.address);
        eventually(UP_WITHIN, "the storage answers", || {
            // Without a certificate it turns us away, which is an answer.
            host.run(&["curl", "--insecure", "--silent", "--max-time", "2", &format!("https://{at}/")]).map(drop)
        });
    }

    fn server_urls(&self) -> String {
        let urls: Vec<String> = self.hosts.nodes.iter().map(|node| format!("https://{}:27040", node.address)).collect();
        urls.join(",")
    }

    /// Acts on the agent of a node.
    ///
    /// # Panics
    /// If it was never started.
    pub fn agent<T>(&self, at: usize, act: impl FnOnce(&mut Process) -> T) -> T {
        act(self.programs()[at].agent.as_mut().expect("the agent was started"))
    }

    /// Acts on the server of a node.
    ///
    /// # Panics
    /// If it was never started.
    pub fn server<T>(&self, at: usize, act: impl FnOnce(&mut Process) -> T) -> T {
        act(self.programs()[at].server.as_mut().expect("the server was started"))
    }

    /// Takes a node's power.
    pub fn power_off(&self, at: usize) {
        self.hosts.nodes[at].power_off();
        // What ran there is gone; nobody is left to be killed.
        let former = std::mem::take(&mut self.programs()[at]);
        drop(former);
    }

    /// Gives a node its power back, with everything that its systemd would start, in its units' order.
    ///
    /// # Panics
    /// If something does not come up.
    pub fn power_on(&self, at: usize) {
        let node = &self.hosts.nodes[at];
        node.power_on();
        self.start_programs(at, node);
    }

    /// Shuts a node down as an administrator does.
    pub fn shut_down(&self, at: usize) {
        self.hosts.nodes[at].shut_down();
        let former = std::mem::take(&mut self.programs()[at]);
        drop(former);
    }

    fn start_programs(&self, at: usize, node: &Host) {
        let member = self.hosts.etcd_member(node);
        self.programs()[at].etcd = Some(member);
        self.start_agent(at, None);
        node.start_docker();
        etcd_is_healthy(node);
        self.start_server(at);
    }
}
