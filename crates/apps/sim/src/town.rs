//! The machines of the cluster, and who is found where.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use om_backend::Host;
use om_model::{NodeId, ServiceId};

use crate::container::Container;
use crate::env::Env;
use crate::machine::{INTERFACE, Machine};
use crate::net::Net;

/// The machines. Clones are the same.
#[derive(Clone)]
pub struct Town {
    env: Env,
    net: Net,
    machines: Arc<Mutex<BTreeMap<NodeId, Arc<Machine>>>>,
}

impl Town {
    /// No machine yet.
    pub fn new(env: Env, net: Net) -> Self {
        Self { env, net, machines: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<NodeId, Arc<Machine>>> {
        self.machines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a machine.
    pub fn add(&self, machine: Arc<Machine>) {
        self.lock().insert(machine.id.clone(), machine);
    }

    /// Every machine, by name.
    pub fn machines(&self) -> Vec<Arc<Machine>> {
        self.lock().values().cloned().collect()
    }

    /// The machine of that name.
    pub fn machine(&self, id: &NodeId) -> Option<Arc<Machine>> {
        self.lock().get(id).cloned()
    }

    /// The machine with that address of its own.
    pub fn machine_at(&self, address: IpAddr) -> Option<Arc<Machine>> {
        self.lock().values().find(|machine| machine.address == address).cloned()
    }

    /// The container of that service which answers at a member's address, as seen from a machine. Where two machines have the
    /// address, any of them may be the one that the neighbours believe.
    pub async fn serving_at(&self, from: &NodeId, service: &ServiceId, address: IpAddr) -> Option<Arc<Container>> {
        let mut found = Vec::new();
        for machine in self.machines() {
            if !machine.is_on() || !self.net.both_ways(from, &machine.id) {
                continue;
            }
            if !machine.host.addresses(INTERFACE).await.ok()?.contains(&address) {
                continue;
            }
            for container in machine.containers() {
                let config = container.config().await;
                if config.is_some_and(|config| config.service_id == *service && config.address == address) {
                    found.push(container);
                }
            }
        }
        found.retain(|container| container.serves());
        self.env.chance().pick(&found).cloned()
    }

    /// Takes the town apart: containers know the town that knows them.
    pub fn clear(&self) {
        let machines = std::mem::take(&mut *self.lock());
        machines.values().for_each(|machine| machine.clear());
    }
}
