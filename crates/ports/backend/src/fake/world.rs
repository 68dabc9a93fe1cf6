//! What the fakes have in common: one small world that outlives the server, as the real one does.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use om_model::{ByteSize, Epoch, Incarnation, MemberName, NodeId, ServiceId, VolumeId};

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
    /// Volumes' generations and what is on them, and snapshots.
    pub(super) pool: super::volumes::Pool,
    /// Members that never come up, with the reason they give; for tests of failure.
    pub broken: BTreeMap<MemberName, String>,
    /// Where the cluster has several: its nodes.
    pub nodes: BTreeMap<NodeId, FakeNode>,
    /// On which of them what is mounted is.
    pub located: BTreeMap<(ServiceId, MemberName), NodeId>,
}

/// One of several nodes.
#[derive(Clone, Debug)]
pub struct FakeNode {
    /// Its present life.
    pub life: Incarnation,
    /// False while it is switched off: nothing on it runs, and nobody hears of it.
    pub up: bool,
    /// True while its agent does not answer; the node itself does.
    pub deaf: bool,
    /// True if what it has mounted stays so while it is off for all others: it is cut off, not switched off.
    pub cut_off: bool,
    /// The revision of the roster it knows.
    pub roster: u64,
}

impl Inner {
    /// True if nobody hears of the node.
    pub fn silent(&self, node: &NodeId) -> bool {
        self.nodes.get(node).is_some_and(|node| !node.up || node.cut_off)
    }
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

    /// An empty world with these nodes.
    pub fn with_nodes(names: &[&str]) -> Self {
        let world = Self::new();
        for name in names {
            let life = format!("{name}-life1").parse().expect("an incarnation");
            let node = FakeNode { life, up: true, deaf: false, cut_off: false, roster: 0 };
            world.lock().nodes.insert(name.parse().expect("a node name"), node);
        }
        world
    }

    /// Switches a node off: what ran on it does not any more.
    pub fn switch_off(&self, node: &NodeId) {
        let mut inner = self.lock();
        if let Some(node) = inner.nodes.get_mut(node) {
            node.up = false;
        }
        let gone: Vec<_> = inner.located.iter().filter(|(_, at)| *at == node).map(|(key, _)| key.clone()).collect();
        for key in gone {
            inner.located.remove(&key);
            inner.mounted.remove(&key);
        }
    }

    /// Has a member mounted, on a node where there are several.
    ///
    /// # Panics
    /// If another holder has it mounted: there would be two writers.
    pub fn mounts(&self, key: (ServiceId, MemberName), grant: Grant, node: Option<NodeId>) {
        let mut inner = self.lock();
        let held = inner.mounted.get(&key).map(|held| held.epoch);
        assert!(held.is_none_or(|held| held == grant.epoch), "two holders of {}: {held:?}, {}", key.1, grant.epoch);
        if let Some(node) = node {
            inner.located.insert(key.clone(), node);
        }
        inner.mounted.insert(key, grant);
    }

    /// Cuts off whoever has the member mounted under `epoch` or one before it, as storage does.
    pub fn cut(&self, service: &ServiceId, member: &MemberName, epoch: Epoch) {
        let (mut inner, key) = (self.lock(), (service.clone(), member.clone()));
        if inner.mounted.get(&key).is_some_and(|held| held.epoch <= epoch) {
            inner.mounted.remove(&key);
            inner.located.remove(&key);
        }
    }

    /// Switches it on again, in a new life; its containers have ended.
    pub fn switch_on(&self, node: &NodeId) {
        let mut inner = self.lock();
        if let Some(known) = inner.nodes.get_mut(node) {
            let life = format!("{}-again", known.life);
            *known = FakeNode {
                life: life.parse().expect("an incarnation"),
                up: true,
                deaf: false,
                cut_off: false,
                roster: 0,
            };
        }
        for (spec, state) in inner.deployments.values_mut() {
            if spec.node.as_ref() == Some(node) && *state == DeploymentState::Running {
                *state = DeploymentState::Stopped;
            }
        }
    }

    /// The one node, in its one life.
    pub fn node(&self) -> &(NodeId, Incarnation) {
        self.node.get_or_init(|| {
            let node = "node1".parse().expect("a node name");
            (node, "life1".parse().expect("an incarnation"))
        })
    }
}
