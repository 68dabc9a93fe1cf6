//! Steps that give members to nodes, and clear up what they leave behind.
//!
//! **Invariant:** a member is given to another node only once its holder is lost, over, or has released it; the one
//! conditional write that does so also changes the name of its deployment.

use om_backend::DeploymentState;
use om_engines::catalog;
use om_model::mutation::{Mutation, planted};
use om_model::{EventKind, Invalid, MemberName, MemberRecord, NodeCondition, NodeId, Phase, ServiceId, ServiceName};
use om_planning::Step;
use om_planning::placement::{Guest, Sites, Tenant, choose};

use super::{StepError, deployment_name};
use crate::control::{Addressing, Control};
use crate::error::ControlError;
use crate::events::About;
use crate::kinds::ServiceOperation;
use crate::store::member_key;

impl Control {
    pub(super) async fn assign_member(
        &self,
        operation: &ServiceOperation,
        member: &MemberName,
        from: &NodeId,
        to: Option<&NodeId>,
    ) -> Result<(), StepError> {
        let (service, id) = (&operation.service, &operation.service_id);
        let gone = || StepError::ForGood(format!("{member} is gone"));
        let record = self.store.member(id, member).await?.ok_or_else(gone)?;
        if record.place() != Some(from) {
            return Ok(());
        }
        self.may_leave(&record, from).await?;
        let target = match to {
            Some(to) if self.can_take(id, member, to).await? => to.clone(),
            _ => self.choose_node(service, id, member, record.index, Some(from)).await?.ok_or_else(|| {
                StepError::NotYet(format!("no node can take {member} yet (see openmanage node list)"))
            })?,
        };
        let moves_address = self.settings.addresses == Addressing::Node;
        let address = match moves_address {
            true => Some(self.reserve_address(service, id, member, Some(&target)).await?),
            false => record.address,
        };
        let mut given = false;
        let give = |current: &MemberRecord| {
            given = current.binding.epoch == record.binding.epoch
                && current.binding.holder == record.binding.holder
                && current.place() == Some(from);
            given.then(|| {
                let mut next = current.clone();
                next.binding.assigned = Some(target.clone());
                next.replacement += 1;
                next.address = address;
                // Its name must not answer with the new node's address before the new node has it.
                next.binding.published &= !moves_address;
                next
            })
        };
        self.store.members.change(&member_key(id, member), give).await?;
        if !given {
            return Err(StepError::NotYet(format!("the holder of {member} has just changed")));
        }
        if let (true, Some(address)) = (moves_address, address) {
            self.free_addresses(id, member, Some(address)).await?;
        }
        let about = About { service: Some(service), member: Some(member), operation: Some(&operation.id) };
        self.note(EventKind::Bound, about, format!("{member} goes from node {from} to node {target}")).await;
        Ok(())
    }

    /// Refuses while the holder is there and holds it.
    async fn may_leave(&self, record: &MemberRecord, from: &NodeId) -> Result<(), StepError> {
        let Some(holder) = record.binding.holder.as_ref() else { return Ok(()) };
        let Some(node) = self.store.node(&holder.node).await? else { return Ok(()) };
        let holds = node.condition == NodeCondition::Present && node.incarnation == holder.incarnation;
        if holds && holder.node == *from {
            return Err(StepError::ForGood(format!("node {from} is there and holds {}", record.name)));
        }
        Ok(())
    }

    /// Whether a node that was chosen before can still take the member.
    async fn can_take(&self, service: &ServiceId, member: &MemberName, node: &NodeId) -> Result<bool, StepError> {
        let there = self.store.node(node).await?.is_some_and(|node| node.condition == NodeCondition::Present);
        if !there || self.settings.addresses != Addressing::Node {
            return Ok(there);
        }
        let sites = self.sites().await?;
        let port = sites.nodes.iter().flat_map(|site| &site.tenants);
        let port = port.filter(|tenant| tenant.service == *service && tenant.member == *member).map(|t| t.port).next();
        let tenant = Tenant { service: service.clone(), member: member.clone(), port: port.unwrap_or_default() };
        Ok(sites.find(node).is_some_and(|site| !sites.clashes(site, &tenant)))
    }

    async fn choose_node(
        &self,
        name: &ServiceName,
        id: &ServiceId,
        member: &MemberName,
        index: u16,
        not: Option<&NodeId>,
    ) -> Result<Option<NodeId>, StepError> {
        let sites: Sites = self.sites().await?;
        let service = self.store.service(name).await?;
        let engine = catalog::find(&service.spec.engine).map_err(|error| ControlError::from(Invalid::from(error)))?;
        let tenant = Tenant { service: id.clone(), member: member.clone(), port: engine.port() };
        Ok(choose(&sites, &Guest { tenant, index, places: &service.spec.places }, not))
    }

    /// The node that the plan chose for a new member if it is still there, else another; none on one machine.
    pub(super) async fn still_good(
        &self,
        name: &ServiceName,
        id: &ServiceId,
        member: &MemberName,
        index: u16,
        node: Option<&NodeId>,
    ) -> Result<Option<NodeId>, StepError> {
        let Some(node) = node else { return Ok(None) };
        if self.can_take(id, member, node).await? {
            return Ok(Some(node.clone()));
        }
        let other = self.choose_node(name, id, member, index, Some(node)).await?;
        other.map(Some).ok_or_else(|| StepError::NotYet(format!("no node can take {member} yet")))
    }

    pub(super) async fn remove_former(&self, id: &ServiceId, member: &MemberName) -> Result<(), StepError> {
        if planted(Mutation::FormerDeploymentKept) {
            return Ok(());
        }
        let present = self.deployment_of(id, member).await?;
        for deployment in self.ports.orchestrator.list(Some(id)).await? {
            if deployment.member == *member && deployment.name != present {
                self.ports.orchestrator.remove(&deployment.name).await?;
            }
        }
        Ok(())
    }

    /// Removes whatever a recovery that ran beside the deletion has still made.
    pub(super) async fn sweep_deployments(&self, id: &ServiceId) -> Result<(), StepError> {
        if !self.settings.several_nodes {
            return Ok(());
        }
        for deployment in self.ports.orchestrator.list(Some(id)).await? {
            self.ports.orchestrator.remove(&deployment.name).await?;
        }
        Ok(())
    }

    /// A recovery runs beside the service's queue: it ends when the service is stopped or deleted meanwhile, and when the
    /// node that was to have the member is lost too (another recovery follows).
    pub(super) async fn recovery_goes_on(&self, operation: &ServiceOperation, step: &Step) -> Result<(), StepError> {
        let service = self.store.service(&operation.service).await?;
        if service.id != operation.service_id || !matches!(service.phase, Phase::Active | Phase::Creating) {
            return Err(StepError::ForGood(format!("the service is {} by now", service.phase.as_str())));
        }
        let (Some(member), false) = (step.member(), matches!(step, Step::AssignMember { .. })) else { return Ok(()) };
        let record = self.store.member(&service.id, member).await?;
        match record.as_ref().and_then(|record| record.place()) {
            Some(place) if self.is_lost(place).await? => {
                Err(StepError::ForGood(format!("node {place}, which was to have {member}, is lost too")))
            }
            _ => Ok(()),
        }
    }

    /// What a recovery started is stopped again if the service was stopped or deleted at the same moment.
    pub(super) async fn take_back(&self, operation: &ServiceOperation, step: &Step) -> Result<(), StepError> {
        let (Step::CreateDeployment { member } | Step::StartMember { member }) = step else { return Ok(()) };
        let service = self.store.services.get(operation.service.as_str()).await?;
        let service = service.map(|stored| stored.value).filter(|service| service.id == operation.service_id);
        match service.as_ref().map(|service| service.phase) {
            Some(Phase::Active | Phase::Creating) => {}
            Some(Phase::Stopped) => {
                let name = self.deployment_of(&operation.service_id, member).await?;
                self.ports.orchestrator.stop(&name).await?;
            }
            Some(Phase::Deleting) | None => {
                for deployment in self.ports.orchestrator.list(Some(&operation.service_id)).await? {
                    if deployment.member == *member && deployment.state != DeploymentState::Stopped {
                        self.ports.orchestrator.remove(&deployment.name).await?;
                    }
                }
            }
        }
        Ok(())
    }

    /// The deployments of ours that are not the present one of their member.
    pub(crate) fn is_former(record: &MemberRecord, deployment: &om_backend::Deployment) -> bool {
        deployment.service == record.service
            && deployment.member == record.name
            && deployment.name != deployment_name(record)
            && !planted(Mutation::FormerDeploymentKept)
    }
}
