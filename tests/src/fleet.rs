//! A cluster of three nodes in the test bed: etcd, servers, agents and Docker Swarm on each, one service, one client.
//!
//! Main pieces: [`Fleet`] (the cluster; `roles` starts and ends its programs), [`Service`] (how the client reaches it),
//! `watching` (what the servers say of nodes, members and operations), [`looking`] (what the hosts themselves show).
//!
//! **Invariant:** a fleet is of one volume provider. Whatever a case did to it, [`Fleet::recover`] brings every node, program
//! and member back, so that the next case begins with all of them well.

pub mod looking;
mod plugin;
mod roles;
mod watching;

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::testbed::writer::Database;
use crate::testbed::{Hosts, Process};

/// The cluster's name.
pub const CLUSTER: &str = "fleet";
/// The service that the cases are about.
pub const SERVICE: &str = "orders";
/// How long a member may take to be healthy after whatever happened to it.
pub const HEALTHY_WITHIN: Duration = Duration::from_secs(120);

/// Where a fleet's volumes come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// Image files in the shared pool.
    SharedFile,
    /// Exports of the storage host.
    Nbd,
}

impl Provider {
    /// As the command line calls it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SharedFile => "shared-file",
            Self::Nbd => "nbd",
        }
    }
}

/// A cluster of three nodes.
pub struct Fleet {
    /// Where its volumes come from.
    pub provider: Provider,
    /// The programs on each node, by the node's place. Ended before the hosts are.
    programs: Mutex<Vec<Programs>>,
    storage: Mutex<Option<Process>>,
    /// Places of nodes that are cut off.
    away: Mutex<BTreeSet<usize>>,
    /// The hosts.
    pub hosts: Hosts,
    binary: String,
}

/// What runs on a node beside Docker.
#[derive(Default)]
struct Programs {
    etcd: Option<Process>,
    server: Option<Process>,
    agent: Option<Process>,
}

impl Fleet {
    /// Three nodes in a Swarm, each with etcd, a server and an agent; no service yet.
    ///
    /// # Panics
    /// If something does not come up.
    pub fn start(provider: Provider) -> Self {
        let hosts = Hosts::start(3);
        let programs = Mutex::new((0..3).map(|_| Programs::default()).collect());
        let binary = crate::world::program("OPENMANAGE_BINARY", "debug/openmanage").display().to_string();
        let fleet = Self { provider, programs, storage: Mutex::default(), away: Mutex::default(), hosts, binary };
        let members = fleet.hosts.etcd();
        fleet.programs().iter_mut().zip(members).for_each(|(programs, member)| programs.etcd = Some(member));
        fleet.found();
        let addresses: Vec<&str> = fleet.hosts.nodes.iter().map(|node| node.address.as_str()).collect();
        fleet.hosts.client.resolve_by(&addresses);
        fleet
    }

    fn away(&self) -> MutexGuard<'_, BTreeSet<usize>> {
        self.away.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The service of three members, made if it is not there, and how to reach its primary.
    ///
    /// # Panics
    /// If it cannot be made.
    pub fn service(&self) -> Database {
        let listed = self.json(&["list"]);
        if !listed.as_array().is_some_and(|services| services.iter().any(|service| service["name"] == SERVICE)) {
            self.call(&[
                "create",
                "postgresql",
                SERVICE,
                "--replicas",
                "3",
                "--volume-size",
                "1",
                "--memory",
                "256MiB",
            ]);
        }
        self.database(&format!("{SERVICE}-0"))
    }

    /// How the client reaches a member by its name.
    ///
    /// # Panics
    /// If the server does not tell.
    pub fn database(&self, member: &str) -> Database {
        let connection = self.json(&["connect", SERVICE, "--uri"]);
        let password = self.json(&["connect", SERVICE, "--show-password"]);
        let ca = self.hosts.client.path("/run/openmanage-ca.crt");
        let text = connection["ca"].as_str().expect("the authority's certificate");
        std::fs::write(ca, text).expect("the client's copy can be written");
        let conninfo = format!(
            "host={member}.{CLUSTER}-openmanage.com user={} dbname=postgres sslmode=verify-full \
             sslrootcert=/run/openmanage-ca.crt",
            connection["user"].as_str().expect("a user")
        );
        Database { conninfo, password: password["password"].as_str().expect("a password").to_owned() }
    }
}
