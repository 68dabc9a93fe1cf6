//! The step by which a member is held by nobody: its mounts proven gone, its name withdrawn.
//!
//! On a node that is there its agent proves it. On a lost one nobody can: a member that is kept stays on the list of those to
//! be fenced by the next holder; one that is being deleted has its volumes taken away where the storage can, and is let
//! go. What is still mounted on that node is over by the time it comes back, and its agent is told so.

use om_backend::{ControlPlane, ErrorKind, Fencing};
use om_model::mutation::{Mutation, planted};
use om_model::{Epoch, Former, MemberName, MemberRecord, NodeCondition, Phase, ServiceId};

use super::StepError;
use crate::control::Control;
use crate::store::member_key;

impl Control {
    pub(crate) async fn release_member(&self, id: &ServiceId, member: &MemberName) -> Result<(), StepError> {
        let Some(record) = self.store.member(id, member).await? else { return Ok(()) };
        if !self.settings.several_nodes {
            self.agent_of(&record).await?.release(id, member).await?;
            // The agent has confirmed that nothing is mounted: the holder of that epoch is fenced.
            return Ok(self.released(id, member, record.binding.epoch).await?);
        }
        let service = self.store.service_by_id(id).await?;
        let deleting = service.is_none_or(|service| service.phase == Phase::Deleting);
        if let Some(holder) = &record.binding.holder {
            let (node, incarnation) = (holder.node.clone(), holder.incarnation.clone());
            let former = Former { node, incarnation, epoch: record.binding.epoch };
            if self.let_go(&record, &former, deleting).await? {
                self.released(id, member, former.epoch).await?;
            } else {
                self.depose(&record).await?;
            }
        } else if let Some(place) = record.place().filter(|_| record.binding.epoch > Epoch::NONE) {
            // Released, or never mounted by its present node: what may be left over from a request under way is cleared.
            if !self.is_lost(place).await? {
                self.agent_on(place).await?.release(id, member).await?;
            }
        }
        for former in &record.binding.unfenced {
            if deleting && self.let_go(&record, former, deleting).await? {
                self.released(id, member, former.epoch).await?;
            }
        }
        Ok(())
    }

    /// Releases a member that is to move. A recovery may have brought it back here since it was stopped: it is stopped again.
    pub(super) async fn release_moving(&self, id: &ServiceId, member: &MemberName) -> Result<(), StepError> {
        match self.release_member(id, member).await {
            Err(StepError::Port(error)) if error.kind == ErrorKind::Refused => {
                self.stop_member(id, member).await?;
                Err(StepError::NotYet(error.to_string()))
            }
            done => done,
        }
    }

    /// Whether the holder of that epoch is proven gone, or may be taken for gone since the member is being deleted.
    async fn let_go(&self, record: &MemberRecord, former: &Former, deleting: bool) -> Result<bool, StepError> {
        let node = self.store.node(&former.node).await?;
        if let Some(node) = &node {
            let over = node.incarnation != former.incarnation || node.vouched_off.as_ref() == Some(&former.incarnation);
            if over {
                return Ok(true);
            }
            if node.condition == NodeCondition::Present {
                if planted(Mutation::ExitTakenForProof) {
                    return Ok(true);
                }
                let agent = self.ports.agents.agent(&node.id, node.agent);
                agent.release(&record.service, &record.name).await?;
                return Ok(true);
            }
        }
        if deleting {
            self.revoke_all(record, former.epoch).await?;
        }
        Ok(deleting)
    }

    /// Takes the member's volumes away from a lost holder, where the storage can do that at once. Elsewhere deleting the
    /// volume ends the holder's writes, and a volume that is kept has no other holder.
    async fn revoke_all(&self, record: &MemberRecord, epoch: Epoch) -> Result<(), StepError> {
        let provider = self.provider(None).await?;
        if provider.fencing() != Fencing::AtOnce {
            return Ok(());
        }
        let volumes = self.store.volumes_of(&record.service).await?;
        for volume in volumes.into_iter().filter(|volume| volume.id.member == record.name) {
            provider.revoke(&volume.id, epoch).await?;
        }
        Ok(())
    }

    /// The holder is gone unproven: it is held by nobody, and the next holder has to fence it first.
    async fn depose(&self, record: &MemberRecord) -> Result<(), StepError> {
        let epoch = record.binding.epoch;
        let depose = |current: &MemberRecord| {
            let holder = current.binding.holder.clone().filter(|_| current.binding.epoch == epoch)?;
            let mut next = current.clone();
            next.binding.unfenced.push(Former { node: holder.node, incarnation: holder.incarnation, epoch });
            next.binding.holder = None;
            next.binding.published = false;
            Some(next)
        };
        self.store.members.change(&member_key(&record.service, &record.name), depose).await?;
        Ok(())
    }
}
