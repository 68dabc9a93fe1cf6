//! What the fakes have in common: one small world that outlives the server, as the real one does.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use om_model::{ByteSize, Incarnation, MemberName, NodeId, ServiceId, VolumeId};

use crate::control_plane::{ControlPlane, Grant};
use crate::orchestrator::{DeploymentSpec, DeploymentState};

/// The world. Clones share it.
#[derive(Clone, Default)]
pub struct World {
    inner: Arc<Mutex<Inner>>,
    control: Arc<Mutex<Option<Arc<dyn ControlPlane>>>>,
    node: Arc<OnceLock<(NodeId, Incarnation)>>,
}

/// Everything in it.
#[derive(Default)]
pub struct Inner {
    /// Deployments by name.
    pub deployments: BTreeMap<String, (DeploymentSpec, DeploymentState)>,
    /// How many containers were made under each deployment's name.
    pub containers: BTreeMap<String, u64>,
    /// Volumes and their sizes.
    pub volumes: BTreeMap<VolumeId, ByteSize>,
    /// What is mounted, and the configuration that member runs.
    pub mounted: BTreeMap<(ServiceId, MemberName), Grant>,
    /// Volumes that ever were written: deleting one of these loses data.
    pub written: BTreeMap<VolumeId, ByteSize>,
    /// Members that never come up, with the reason they give; for tests of failure.
    pub broken: BTreeMap<MemberName, String>,
}

impl World {
    /// An empty world with one node.
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells the world's agent where the servers are; again after each restart of them.
    pub fn connect(&self, control: Arc<dyn ControlPlane>) {
        *self.control.lock().unwrap_or_else(PoisonError::into_inner) = Some(control);
    }

    /// Cuts the agent off from the servers.
    pub fn disconnect(&self) {
        *self.control.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The servers, if they can be reached.
    pub fn control(&self) -> Option<Arc<dyn ControlPlane>> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is in it.
    pub fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The one node, in its one life.
    pub fn node(&self) -> &(NodeId, Incarnation) {
        self.node.get_or_init(|| {
            let node = "node1".parse().expect("a node name");
            (node, "life1".parse().expect("an incarnation"))
        })
    }
}
