//! The Swarm's nodes as the port knows nodes.

use std::collections::BTreeMap;

use bollard::models::{Node, NodeSpecAvailabilityEnum, NodeState};
use om_backend::{OrchestratorNode, Result};
use om_model::NodeId;

use crate::client::{SwarmOrchestrator, failed};

/// Labels that tell a node's zone, the first that is there.
const ZONE_LABELS: [&str; 2] = ["openmanage.zone", "zone"];

impl SwarmOrchestrator {
    pub(crate) async fn all_nodes(&self) -> Result<Vec<Node>> {
        self.client().await?.list_nodes(None).await.map_err(|error| failed("list", "the Swarm's nodes", error))
    }
}

/// Each machine once, by name. One that joined again is in the list twice until somebody removes its former self, which
/// is down for ever.
pub(crate) fn inventory(nodes: Vec<Node>) -> Vec<OrchestratorNode> {
    let mut found: BTreeMap<NodeId, OrchestratorNode> = BTreeMap::new();
    for node in nodes.into_iter().filter_map(view) {
        if node.ready || !found.contains_key(&node.id) {
            found.insert(node.id.clone(), node);
        }
    }
    found.into_values().collect()
}

fn view(node: Node) -> Option<OrchestratorNode> {
    let id = node.description?.hostname?.parse().ok()?;
    let spec = node.spec.unwrap_or_default();
    let labels = spec.labels.unwrap_or_default();
    Some(OrchestratorNode {
        id,
        zone: ZONE_LABELS.iter().find_map(|label| labels.get(*label)).cloned(),
        schedulable: spec.availability == Some(NodeSpecAvailabilityEnum::ACTIVE),
        ready: node.status.and_then(|status| status.state) == Some(NodeState::READY),
    })
}

#[cfg(test)]
mod tests;
