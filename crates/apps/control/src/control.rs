//! The control code as one object: its ports, its settings, its background work.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use om_backend::{Authority, NameService, NodeAgent, Orchestrator, Runtime, Seal, VolumeProvider};
use om_controldb::ControlDb;
use om_model::{ClusterName, RegionName, ServiceName, ZoneName};

use crate::events::Sequence;
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
    /// Makes and deletes volumes.
    pub volumes: Arc<dyn VolumeProvider>,
    /// The agent on the node.
    pub agent: Arc<dyn NodeAgent>,
    /// Answers for the zone.
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
}

/// The control code. Cheap to share; all state that matters is in the control database.
pub struct Control {
    pub(crate) ports: Ports,
    pub(crate) settings: Settings,
    pub(crate) store: Store,
    pub(crate) sequence: Sequence,
    /// Services whose queue this process works on right now.
    busy: Mutex<BTreeSet<ServiceName>>,
}

impl Control {
    /// The control code over `ports`.
    pub fn new(ports: Ports, settings: Settings) -> Arc<Self> {
        let store = Store::new(ports.db.clone());
        Arc::new(Self { ports, settings, store, sequence: Sequence::default(), busy: Mutex::default() })
    }

    /// Background work: operations, names, repair. Does not return; dropped to stop.
    pub async fn run(self: Arc<Self>) {
        futures::join!(
            self.clone().execute_operations(),
            self.clone().keep_names(),
            self.clone().keep_members_running()
        );
    }

    /// What the operator configured.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn busy(&self) -> MutexGuard<'_, BTreeSet<ServiceName>> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> om_model::Timestamp {
        self.ports.runtime.clock.now()
    }
}
