//! Several hosts on this one machine: real Docker engines, a real network, storage that a test can cut.
//!
//! A [`Host`] has network, mount, process, host-name and IPC namespaces of its own, a root file system of its own (the
//! machine's, with a layer above on the host's disk), and sees storage that it shares with the others at [`POOL`]. That
//! storage is a user-space file system per host: the [`Witness`]. It models a disk with a volatile cache, lets a test cut
//! it, hold writes back or drop them, and records which host wrote what when. [`swarm`] makes the hosts a Docker Swarm,
//! [`etcd`] runs a three-member etcd on them, [`writer`] writes rows to a database and counts them afterwards.
//!
//! **Invariant:** everything is in namespaces, folders and control groups that carry the run's name, and goes when
//! [`Hosts`] is dropped; what a killed run left is ended by the next.

mod disks;
pub mod etcd;
mod host;
mod network;
mod process;
mod run;
mod shell;
pub mod swarm;
pub mod witness;
pub mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use host::{Host, POOL};
pub use network::{SUBNET, Way};
pub use process::Process;
pub use shell::run;
pub use witness::Witness;

use host::Plan;
use network::Network;
use run::Run;
use witness::Kind;

/// The image that every host's Docker has.
pub const IMAGE: &str = "openmanage/postgresql:15";

/// Hosts on one switch. Fields end in this order: hosts before the network they are on and the storage they see.
pub struct Hosts {
    /// Hosts with a Docker engine: `n1`, `n2`, …, with the addresses `10.77.0.11`, `10.77.0.12`, ….
    pub nodes: Vec<Host>,
    /// `storage`, 10.77.0.2: sees the pool without a cache in between, so that the witness tells its processes apart.
    pub storage: Host,
    /// `client`, 10.77.0.3: where clients of the databases run; it sees no shared storage.
    pub client: Host,
    /// What watches the shared storage.
    pub witness: Arc<Witness>,
    network: Arc<Network>,
    run: Run,
}

impl Hosts {
    /// Starts so many nodes, the storage host and the client's host. No Docker engine runs yet: see [`Self::start_docker`].
    ///
    /// # Panics
    /// If something does not come up.
    pub fn start(count: usize) -> Self {
        let run = Run::begin();
        disks::hold(&run.name);
        let backing = disks::pool().join(&run.name).join("shared");
        std::fs::create_dir_all(&backing).expect("the pool's folder can be made");
        let (network, witness) = (Arc::new(Network::new(&run.name)), Arc::new(Witness::new(&backing)));
        let base = disks::base(&[IMAGE], |disk| prepare(&run, &network, &witness, disk));
        let make = |name: &str, number: usize, kind: Kind| {
            let disk = disks::clone(&base, &run.name, name);
            let plan = Plan { name, address: address(number), kind, disk, logs: run.logs() };
            Host::new(&run.name, &network, &witness, plan)
        };
        let nodes: Vec<Host> = (1..=count).map(|n| make(&format!("n{n}"), 10 + n, Kind::Cached)).collect();
        let (storage, client) = (make("storage", 2, Kind::Direct), make("client", 3, Kind::None));
        let hosts = Self { nodes, storage, client, witness, network, run };
        hosts.each(Host::power_on, hosts.nodes.iter().chain([&hosts.storage, &hosts.client]));
        hosts
    }

    /// Starts the Docker engine of every node that has power, all at once.
    ///
    /// # Panics
    /// If one does not answer.
    pub fn start_docker(&self) {
        self.each(Host::start_docker, self.nodes.iter().filter(|node| node.has_power()));
    }

    /// Does something on several hosts at once.
    fn each<'a>(&self, act: impl Fn(&Host) + Sync, hosts: impl Iterator<Item = &'a Host>) {
        std::thread::scope(|scope| {
            for host in hosts {
                scope.spawn(|| act(host));
            }
        });
    }

    /// The node with this name.
    ///
    /// # Panics
    /// If there is none.
    #[track_caller]
    pub fn node(&self, name: &str) -> &Host {
        self.nodes.iter().find(|node| node.name == name).unwrap_or_else(|| panic!("no node {name}"))
    }

    /// Where the outputs of all programs are. They stay if the test fails.
    pub fn logs(&self) -> PathBuf {
        self.run.logs()
    }

    /// Leaves the outputs of all programs, and what the witness saw until now, for whoever looks into a failure.
    pub fn keep_logs(&self) {
        let _ = self.witness.write_log(&self.logs().join("witness.log"));
        self.run.keep_logs();
    }

    /// The shared storage as it is in truth, without any host's cache.
    pub fn backing(&self) -> &Path {
        self.witness.backing()
    }

    /// The run's name, to look for [`left_of`] it afterwards.
    pub fn name(&self) -> String {
        self.run.name.clone()
    }

    /// Ends every loss in the network and plugs every cable of a host that has power in.
    pub fn heal_network(&self) {
        for host in self.nodes.iter().filter(|node| node.has_power()) {
            host.heal_link();
        }
        self.network.lose_none(&self.storage.name);
        self.network.lose_none(&self.client.name);
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = self.witness.write_log(&self.logs().join("witness.log"));
            println!("logs of the test bed: {}", self.logs().display());
        }
    }
}

/// Everything of a run that is still there, in words; empty if nothing is.
pub fn left_of(run_name: &str) -> Vec<String> {
    run::left_of(run_name)
}

fn address(number: usize) -> String {
    format!("{SUBNET}.{number}")
}

/// Fills a base disk: a host that runs on it loads the image into its Docker.
fn prepare(run: &Run, network: &Arc<Network>, witness: &Arc<Witness>, disk: &Path) {
    println!("preparing a disk with {IMAGE}: once, until the image changes");
    let archive = run.folder().join("image.tar").display().to_string();
    std::fs::create_dir_all(run.folder()).expect("the run's folder can be made");
    shell::must(&["docker", "save", "--output", &archive, IMAGE]);
    let plan = Plan { name: "base", address: address(9), kind: Kind::None, disk: disk.to_owned(), logs: run.logs() };
    let host = Host::new(&run.name, network, witness, plan);
    host.power_on();
    host.start_docker();
    host.docker(&["load", "--quiet", "--input", &archive]).expect("the image can be loaded");
    host.shut_down();
    std::fs::remove_file(&archive).expect("the archive can be removed");
    // The host's own files are not those of another host: its Docker engine has an identity.
    let place = run.folder().join("base").display().to_string();
    shell::must(&["mount", "-o", "loop", &disk.display().to_string(), &place]);
    shell::must(&["rm", "-rf", &format!("{place}/upper"), &format!("{place}/work")]);
    shell::must(&["umount", &place]);
}
