//! Nodes as operators see them: listed, drained, vouched off, forgotten.

use std::time::Duration;

use om_backend::OrchestratorNode;
use om_controldb::records::Stored;
use om_model::{EventKind, MemberName, MemberRecord, NodeCondition, NodeId, NodeRecord, OperationId, Phase};
use om_planning::Change;
use om_planning::placement::{Site, Sites, Tenant};

use crate::control::{Addressing, Control};
use crate::error::ControlError;
use crate::events::About;
use crate::kinds::ServiceOperation;
use crate::store::values;
use crate::submit::Submission;

/// A node that answers within this is there.
const ANSWERS_WITHIN: Duration = Duration::from_secs(1);
/// The list of nodes does not wait longer for what the orchestrator has to say of them.
const ORCHESTRATOR_WITHIN: Duration = Duration::from_secs(2);

/// A node with what is known of it right now.
#[derive(Clone, Debug)]
pub struct NodeView {
    /// Its record.
    pub record: NodeRecord,
    /// The members that are meant to be on it.
    pub members: Vec<MemberName>,
    /// False while the orchestrator keeps containers off it.
    pub schedulable: bool,
    /// Whether the orchestrator can reach it.
    pub ready: bool,
}

/// What draining a node has begun.
#[derive(Clone, Debug, Default)]
pub struct Drain {
    /// One operation for each member that moves.
    pub operations: Vec<ServiceOperation>,
    /// Members that cannot move, and why.
    pub refused: Vec<(MemberName, String)>,
}

impl Control {
    /// All nodes, by name.
    ///
    /// # Errors
    /// [`ControlError::Unavailable`] if the control database does not answer.
    pub async fn nodes(&self) -> Result<Vec<NodeView>, ControlError> {
        let records: Vec<NodeRecord> = values(self.store.nodes.all("").await?);
        let members: Vec<MemberRecord> = values(self.store.members.all("").await?);
        let told = self.ports.runtime.within(ORCHESTRATOR_WITHIN, self.ports.orchestrator.nodes()).await;
        let told = told.and_then(Result::ok).unwrap_or_default();
        Ok(records.into_iter().map(|record| view(record, &members, &told)).collect())
    }

    /// The node of that name.
    ///
    /// # Errors
    /// [`ControlError::NotFound`] if none has joined under that name.
    pub async fn node(&self, id: &NodeId) -> Result<NodeView, ControlError> {
        self.nodes().await?.into_iter().find(|node| node.record.id == *id).ok_or_else(|| unknown(id))
    }

    /// Keeps members off the node from now on, and moves those on it elsewhere. Asked again it goes on with what is left.
    ///
    /// # Errors
    /// [`ControlError::NotFound`] if there is no such node.
    pub async fn drain(&self, id: &NodeId) -> Result<Drain, ControlError> {
        self.set_drained(id, true).await?;
        let lost = self.is_lost(id).await?;
        let mut drain = Drain::default();
        for member in values(self.store.members.all("").await?) {
            if member.place() == Some(id) {
                match self.move_off(&member, lost).await {
                    Ok(operation) => drain.operations.extend(operation),
                    Err(ControlError::Unavailable(detail)) => return Err(ControlError::Unavailable(detail)),
                    Err(refusal) => drain.refused.push((member.name, refusal.to_string())),
                }
            }
        }
        Ok(drain)
    }

    /// Lets members be placed on the node again.
    ///
    /// # Errors
    /// As [`Self::drain`].
    pub async fn undrain(&self, id: &NodeId) -> Result<NodeView, ControlError> {
        self.set_drained(id, false).await?;
        self.node(id).await
    }

    /// An operator's word that the machine is off: what its present life held is proven fenced, and the node is lost. A node
    /// that answers is plainly not off: refused, unless `force`.
    ///
    /// # Errors
    /// [`ControlError::Conflict`] if it answers, [`ControlError::NotFound`] if there is no such node.
    pub async fn vouch_off(&self, id: &NodeId, force: bool) -> Result<NodeView, ControlError> {
        let record = self.store.node(id).await?.ok_or_else(|| unknown(id))?;
        let agent = self.ports.agents.agent(id, record.agent);
        let answer = self.ports.runtime.within(ANSWERS_WITHIN, async move { agent.peers().await }).await;
        if matches!(answer, Some(Ok(_))) && !force {
            return Err(ControlError::Conflict {
                detail: format!("node {id} answers: it is not off"),
                next: format!("switch it off first; or move its members: openmanage node drain {id}"),
            });
        }
        let now = self.now();
        let vouch = |node: &NodeRecord| {
            let mut next = node.clone();
            next.vouched_off = Some(node.incarnation.clone());
            if next.condition != NodeCondition::Lost {
                next.lose(now);
            }
            (next != *node).then_some(next)
        };
        self.store.nodes.change(id.as_str(), vouch).await?.ok_or_else(|| unknown(id))?;
        self.note_node(format!("an operator said that node {id} is off")).await;
        self.node(id).await
    }

    /// Takes the node off the cluster's books. Its agent joins again if it is still there and admitted.
    ///
    /// # Errors
    /// [`ControlError::Conflict`] while members are meant to be on it, or the roster is just being changed.
    pub async fn forget(&self, id: &NodeId) -> Result<(), ControlError> {
        let node = self.node(id).await?;
        if !node.members.is_empty() {
            let names: Vec<_> = node.members.iter().map(MemberName::as_str).collect();
            return Err(ControlError::Conflict {
                detail: format!("node {id} has {}", names.join(", ")),
                next: format!("move them first: openmanage node drain {id}"),
            });
        }
        if !self.leave_roster(id).await? {
            return Err(ControlError::Conflict {
                detail: "not all agents know the last change of the roster yet".into(),
                next: "try again in some seconds; a majority of the agents must be there".into(),
            });
        }
        self.store.nodes.remove(id.as_str()).await?;
        self.note_node(format!("node {id} was forgotten")).await;
        Ok(())
    }

    async fn set_drained(&self, id: &NodeId, drained: bool) -> Result<(), ControlError> {
        let mut changed = false;
        let set = |node: &NodeRecord| {
            changed = node.drained != drained;
            changed.then(|| NodeRecord { drained, ..node.clone() })
        };
        self.store.nodes.change(id.as_str(), set).await?.ok_or_else(|| unknown(id))?;
        if changed {
            let what = if drained { "is drained" } else { "takes members again" };
            self.note_node(format!("node {id} {what}")).await;
        }
        Ok(())
    }

    /// Moves `member` off its node: by the operation that does so already, if there is one. From a lost node what runs is
    /// recovered anyway.
    async fn move_off(&self, member: &MemberRecord, lost: bool) -> Result<Option<ServiceOperation>, ControlError> {
        let service = self.store.service(&member.service_name).await?;
        if lost && service.phase != Phase::Stopped {
            return Ok(None);
        }
        for id in &service.queue {
            if let Some(operation) = self.moves(id, &member.name).await? {
                return Ok(Some(operation));
            }
        }
        let change = Change::Move { member: member.name.clone(), to: None };
        let submission = Submission { service: service.name, change, idempotency_key: None, deadline: None };
        Ok(Some(self.submit(submission).await?.operation))
    }

    async fn moves(&self, id: &OperationId, member: &MemberName) -> Result<Option<ServiceOperation>, ControlError> {
        let stored = self.store.operations.get(id.as_str()).await?.map(|stored| stored.value);
        let moves = |operation: &ServiceOperation| {
            !operation.state.ended()
                && matches!(&operation.parameters, Change::Move { member: moved, to: None } if moved == member)
        };
        Ok(stored.filter(moves))
    }

    /// The nodes and what is on them, for plans.
    pub(crate) async fn sites(&self) -> om_controldb::Result<Sites> {
        if !self.settings.several_nodes {
            return Ok(Sites::default());
        }
        let shared_addresses = self.settings.addresses == Addressing::Node;
        let ports = if shared_addresses { self.ports_of_services().await? } else { Vec::new() };
        let port = |member: &MemberRecord| {
            ports.iter().find(|(service, _)| *service == member.service).map_or(0, |(_, port)| *port)
        };
        let members: Vec<MemberRecord> = values(self.store.members.all("").await?);
        let suspects = self.suspects().clone();
        let site = |node: NodeRecord| {
            let tenant = |member: &MemberRecord| Tenant {
                service: member.service.clone(),
                member: member.name.clone(),
                port: port(member),
            };
            let here = members.iter().filter(|member| member.place() == Some(&node.id));
            let tenants = here.map(tenant).collect();
            let present = node.condition == NodeCondition::Present;
            let suspect = suspects.contains(&node.id);
            Site { id: node.id, zone: node.zone, present, suspect, drained: node.drained, tenants }
        };
        let nodes = values(self.store.nodes.all("").await?).into_iter().map(site).collect();
        Ok(Sites { several: true, shared_addresses, nodes })
    }

    async fn ports_of_services(&self) -> om_controldb::Result<Vec<(om_model::ServiceId, u16)>> {
        let services = values(self.store.services.all("").await?);
        let port = |service: om_model::ServiceRecord| {
            let port = om_engines::catalog::find(&service.spec.engine).map_or(0, |engine| engine.port());
            (service.id, port)
        };
        Ok(services.into_iter().map(port).collect())
    }

    /// Tells what became of a node.
    pub(crate) async fn note_node(&self, message: String) {
        self.note(EventKind::NodeChanged, About::default(), message).await;
    }

    pub(crate) async fn stored_node(&self, id: &NodeId) -> om_controldb::Result<Option<Stored<NodeRecord>>> {
        self.store.nodes.get(id.as_str()).await
    }
}

fn view(record: NodeRecord, members: &[MemberRecord], told: &[OrchestratorNode]) -> NodeView {
    let here = members.iter().filter(|member| member.place() == Some(&record.id));
    let members = here.map(|member| member.name.clone()).collect();
    let told = told.iter().find(|node| node.id == record.id);
    let schedulable = told.is_none_or(|node| node.schedulable);
    let ready = told.map_or(record.condition == NodeCondition::Present, |node| node.ready);
    NodeView { record, members, schedulable, ready }
}

fn unknown(id: &NodeId) -> ControlError {
    let next = Some("`openmanage node list` shows the nodes there are".into());
    ControlError::NotFound { what: "node", name: id.to_string(), next }
}
