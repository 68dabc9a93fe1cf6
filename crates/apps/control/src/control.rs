//! The control code as one object: its ports, its settings, its background work.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use om_backend::{Agents, Authority, NameService, Orchestrator, Runtime, Seal};
use om_controldb::ControlDb;
use om_model::{ClusterName, NodeId, RegionName, ZoneName};

use crate::events::Sequence;
use crate::executor::Lane;
use crate::leader::Leadership;
use crate::names::Pushes;
use crate::store::Store;

/// The world, as ports.
#[derive(Clone)]
pub struct Ports {
    /// The control database.
    pub db: Arc<dyn ControlDb>,
    /// Time, tasks, chance.
    pub runtime: Runtime,
    /// Runs the members' containers.
    pub orchestrator: Arc<dyn Orchestrator>,
    /// The agents on the nodes, with their volume providers and name servers.
    pub agents: Arc<dyn Agents>,
    /// Answers for the zone, beside this server.
    pub names: Arc<dyn NameService>,
    /// Encrypts secrets.
    pub seal: Arc<dyn Seal>,
    /// Makes certificates.
    pub authority: Arc<dyn Authority>,
}

/// What the operator configures.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The cluster's name.
    pub cluster: ClusterName,
    /// The DNS zone it owns.
    pub zone: ZoneName,
    /// The region it is in, where that has a name.
    pub region: Option<RegionName>,
    /// Zones (of availability) that its nodes are in; empty where they have none.
    pub zones: Vec<String>,
    /// Addresses at which the server's own names answer.
    pub server_addresses: Vec<IpAddr>,
    /// Where members' addresses come from.
    pub addresses: Addressing,
    /// When a node is lost.
    pub detection: Detection,
    /// This server's name, for people: which one leads.
    pub server: String,
    /// True if the cluster has nodes with an agent each: members are placed, and nodes can be lost. False on one machine.
    pub several_nodes: bool,
}

/// Where members' addresses come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Addressing {
    /// The orchestrator's network on one machine.
    #[default]
    Orchestrator,
    /// A range of addresses for members alone: each has its own, which moves with it.
    Static {
        /// The first.
        first: Ipv4Addr,
        /// The last.
        last: Ipv4Addr,
    },
    /// The node's own: one member per node and port.
    Node,
}

/// When a node is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Detection {
    /// For how long a majority of the agents must have missed it.
    pub budget: Duration,
}

impl Default for Detection {
    fn default() -> Self {
        Self { budget: Duration::from_millis(3200) }
    }
}

/// The control code. Cheap to share; all state that matters is in the control database.
pub struct Control {
    pub(crate) ports: Ports,
    pub(crate) settings: Settings,
    pub(crate) store: Store,
    pub(crate) sequence: Sequence,
    pub(crate) leadership: Leadership,
    pub(crate) pushes: Pushes,
    /// Nodes that some agent misses as of the last look. A hint for placing members, known to the leader only.
    suspects: Mutex<BTreeSet<NodeId>>,
    /// Queues that this process works on right now.
    busy: Mutex<BTreeSet<Lane>>,
    /// Pending marks without an operation, and since when this process sees each.
    unaccepted: Mutex<BTreeMap<String, Duration>>,
}

impl Control {
    /// The control code over `ports`.
    pub fn new(ports: Ports, settings: Settings) -> Arc<Self> {
        let store = Store::new(ports.db.clone());
        Arc::new(Self {
            ports,
            settings,
            store,
            sequence: Sequence::default(),
            leadership: Leadership::default(),
            pushes: Pushes::default(),
            suspects: Mutex::default(),
            busy: Mutex::default(),
            unaccepted: Mutex::default(),
        })
    }

    /// Background work: operations, names, repair, detection. Does not return; dropped to stop.
    pub async fn run(self: Arc<Self>) {
        let one_machine = futures::future::join3(
            self.clone().execute_operations(),
            self.clone().keep_names(),
            self.clone().keep_members_running(),
        );
        if self.settings.several_nodes {
            let several = futures::future::join(self.clone().keep_leading(), self.clone().watch_nodes());
            futures::join!(one_machine, several);
        } else {
            one_machine.await;
        }
    }

    /// What the operator configured.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn unaccepted(&self) -> MutexGuard<'_, BTreeMap<String, Duration>> {
        self.unaccepted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn busy(&self) -> MutexGuard<'_, BTreeSet<Lane>> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn suspects(&self) -> MutexGuard<'_, BTreeSet<NodeId>> {
        self.suspects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> om_model::Timestamp {
        self.ports.runtime.clock.now()
    }
}
