//! Which agent to ask: that of the node a member is on, or of any node that is there.
//!
//! On one machine there is one agent, and no record of its node is needed.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use om_backend::{ErrorKind, NodeAgent, PortError, VolumeProvider};
use om_model::{MemberRecord, NodeCondition, NodeId, NodeRecord};

use crate::control::Control;
use crate::steps::StepError;
use crate::store::values;

impl Control {
    /// The agent of the node that the member is meant to be on; refused at once if that node is lost.
    pub(crate) async fn agent_of(&self, member: &MemberRecord) -> Result<Arc<dyn NodeAgent>, StepError> {
        if !self.settings.several_nodes {
            let (node, at) = this_machine();
            return Ok(self.ports.agents.agent(&node, at));
        }
        let nowhere = || PortError::new(ErrorKind::NotFound, "ask", &member.name, "it is on no node yet");
        self.agent_on(member.place().ok_or_else(nowhere)?).await
    }

    /// The agent of that node; refused at once if it is lost.
    pub(crate) async fn agent_on(&self, node: &NodeId) -> Result<Arc<dyn NodeAgent>, StepError> {
        let subject = format!("node {node}");
        match self.store.node(node).await? {
            Some(record) if record.condition == NodeCondition::Present => {
                Ok(self.ports.agents.agent(node, record.agent))
            }
            Some(_) => Err(PortError::new(ErrorKind::Unavailable, "ask", subject, "it is lost").into()),
            None => Err(PortError::new(ErrorKind::Unavailable, "ask", subject, "it has not joined").into()),
        }
    }

    /// The volume provider: of the node `near` if that is there, else of any that is.
    pub(crate) async fn provider(&self, near: Option<&NodeId>) -> Result<Arc<dyn VolumeProvider>, StepError> {
        if !self.settings.several_nodes {
            let (node, at) = this_machine();
            return Ok(self.ports.agents.volumes(&node, at));
        }
        let mut nodes: Vec<NodeRecord> = values(self.store.nodes.all("").await?);
        nodes.retain(|node| node.condition == NodeCondition::Present);
        let found = nodes.iter().find(|node| Some(&node.id) == near).or(nodes.first());
        let none = || {
            PortError::new(ErrorKind::Unavailable, "reach", "the volumes", "no node is there")
                .advise("see openmanage node list")
        };
        found.map(|node| self.ports.agents.volumes(&node.id, node.agent)).ok_or_else(|| none().into())
    }

    /// Whether the node is known to be lost, or not known at all. Never on one machine.
    pub(crate) async fn is_lost(&self, node: &NodeId) -> om_controldb::Result<bool> {
        if !self.settings.several_nodes {
            return Ok(false);
        }
        Ok(self.store.node(node).await?.is_none_or(|record| record.condition == NodeCondition::Lost))
    }
}

/// What the one agent is asked by; it does not look at it.
fn this_machine() -> (NodeId, SocketAddr) {
    let node = "localhost".parse().expect("a node name");
    (node, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
}
