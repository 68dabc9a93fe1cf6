//! Fake agents of several nodes, and what they report.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use om_model::NodeId;

use super::{FakeAgent, FakeNames, FakeVolumes, World};
use crate::control_plane::{ControlPlane, Held, NodeReport};
use crate::names::NameService;
use crate::node_agent::{Agents, NodeAgent};
use crate::runtime::Clock;
use crate::volume::VolumeProvider;

const REPORT_EVERY: Duration = Duration::from_secs(1);

/// The agents of a [`World`] with several nodes. Clones share the name servers.
#[derive(Clone)]
pub struct FakeAgents {
    world: World,
    names: Arc<Mutex<BTreeMap<NodeId, FakeNames>>>,
}

impl FakeAgents {
    /// The agents of the nodes of `world`.
    pub fn new(world: World) -> Self {
        Self { world, names: Arc::default() }
    }

    /// The name server of a node's agent.
    pub fn names_of(&self, node: &NodeId) -> FakeNames {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).entry(node.clone()).or_default().clone()
    }
}

impl Agents for FakeAgents {
    fn agent(&self, node: &NodeId, _at: SocketAddr) -> Arc<dyn NodeAgent> {
        Arc::new(FakeAgent::on(self.world.clone(), node.clone()))
    }

    fn volumes(&self, _node: &NodeId, _at: SocketAddr) -> Arc<dyn VolumeProvider> {
        Arc::new(FakeVolumes::new(self.world.clone()))
    }

    fn names(&self, node: &NodeId, _at: SocketAddr) -> Arc<dyn NameService> {
        Arc::new(self.names_of(node))
    }
}

/// What every node that is there reports every second, and does about the answer. Does not return.
pub async fn keep_reporting(world: World, clock: Arc<dyn Clock>) {
    loop {
        let nodes: Vec<NodeId> = world.lock().nodes.keys().cloned().collect();
        for (index, node) in (1..).zip(nodes) {
            if let Some((control, report)) = world.control().zip(report_of(&world, &node, index)) {
                answer(&world, &*control, &report).await;
            }
        }
        clock.sleep(REPORT_EVERY).await;
    }
}

async fn answer(world: &World, control: &dyn ControlPlane, report: &NodeReport) {
    let Ok(orders) = control.report(report).await else { return };
    if let Some(node) = world.lock().nodes.get_mut(&report.node) {
        node.roster = orders.roster.revision;
    }
    for over in orders.over {
        world.cut(&over.service, &over.member, over.epoch);
        // Told again with the next report if this one is lost.
        drop(control.released(&over.service, &over.member, over.epoch).await);
    }
}

/// What a node that is there says of itself.
fn report_of(world: &World, node: &NodeId, index: u8) -> Option<NodeReport> {
    let inner = world.lock();
    let known = inner.nodes.get(node).filter(|known| known.up && !known.cut_off && !known.deaf)?;
    let here = inner.located.iter().filter(|(_, at)| *at == node);
    let held = here.filter_map(|(key, _)| {
        let epoch = inner.mounted.get(key)?.epoch;
        Some(Held { service: key.0.clone(), member: key.1.clone(), epoch })
    });
    let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, index));
    Some(NodeReport {
        node: node.clone(),
        incarnation: known.life.clone(),
        address,
        agent: SocketAddr::new(address, 27_041),
        zone: None,
        roster: known.roster,
        held: held.collect(),
        volumes: "fake".into(),
        single_writer_by: "the storage cuts former holders off".into(),
        version: "1".into(),
    })
}
