//! The servers' half of the binding protocol (design §5): who may mount what.
//!
//! **Invariant:** a claim is one conditional update of the member's record; what it decides is in [`Binding::claim`],
//! a pure function.

use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use om_backend::control_plane::GrantedVolume;
use om_backend::{ControlPlane, ErrorKind, Grant, MountName, NodeOrders, NodeReport, PortError, Result};
use om_engines::{MemberConfig, Peer};
use om_model::binding::{Claimed, Held};
use om_model::{
    Binding, Epoch, EventKind, Former, Incarnation, MemberName, MemberRecord, NodeCondition, NodeId, Phase, Proof,
    ServiceId, ServiceRecord, VolumeId,
};

use crate::control::Control;
use crate::error::ControlError;
use crate::events::About;
use crate::kinds::PastHolder;
use crate::store::{member_key, or_exists};

/// The agent of a former holder is waited for no longer than this: a node that hangs must not hold up its successor.
const CONFIRMS_WITHIN: Duration = Duration::from_secs(1);

#[async_trait]
impl ControlPlane for Control {
    async fn knows(&self, name: &MountName) -> Result<bool> {
        let Some(service) = self.mountable(name).await? else { return Ok(false) };
        let Some(member) = &name.member else { return Ok(true) };
        let id = VolumeId { service: service.id, member: member.clone(), role: name.role };
        Ok(self.store.volumes.get(&id.to_string()).await.map_err(from_db)?.is_some())
    }

    async fn claim(
        &self,
        name: &MountName,
        node: &NodeId,
        incarnation: &Incarnation,
        mounted_here: &[MemberName],
    ) -> Result<Grant> {
        let service = self.mountable(name).await?.ok_or_else(|| refused("claim", name, "no such service"))?;
        if service.phase == Phase::Deleting {
            return Err(refused("claim", name, "the service is being deleted"));
        }
        let candidates = match &name.member {
            Some(member) => vec![member.clone()],
            None => self.free_members(&service, node, incarnation, mounted_here).await?,
        };
        let mut last = refused("claim", name, "no member is free on this node");
        for member in candidates {
            match self.claim_member(&service, &member, node, incarnation).await {
                Ok(record) => {
                    let record = self.prove(record).await?;
                    return self.grant(&service, &record).await;
                }
                Err(error) if error.kind == ErrorKind::Refused => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }

    async fn formatted(&self, volume: &VolumeId) -> Result<()> {
        let mark = |record: &om_model::VolumeRecord| {
            (!record.formatted).then(|| om_model::VolumeRecord { formatted: true, ..record.clone() })
        };
        self.store.volumes.change(&volume.to_string(), mark).await.map_err(from_db)?;
        Ok(())
    }

    async fn fenced(&self, service: &ServiceId, member: &MemberName, epoch: Epoch, proof: Proof) -> Result<()> {
        let fenced = |record: &MemberRecord| {
            let mut next = record.clone();
            next.binding.fenced(epoch);
            (next != *record).then_some(next)
        };
        self.store.members.change(&member_key(service, member), fenced).await.map_err(from_db)?;
        tracing::info!(%member, %epoch, ?proof, "a former holder is fenced");
        Ok(())
    }

    async fn report(&self, report: &NodeReport) -> Result<NodeOrders> {
        if !self.settings.several_nodes {
            return Ok(NodeOrders::default());
        }
        self.take_report(report).await.map_err(from_control)
    }

    async fn publish(&self, service: &ServiceId, member: &MemberName, epoch: Epoch) -> Result<()> {
        let mut admitted = false;
        let publish = |record: &MemberRecord| {
            let mut next = record.clone();
            admitted = next.binding.publish(epoch);
            (next != *record).then_some(next)
        };
        self.store.members.change(&member_key(service, member), publish).await.map_err(from_db)?;
        if admitted { Ok(()) } else { Err(refused("publish", member, &format!("epoch {epoch} is over"))) }
    }

    async fn released(&self, service: &ServiceId, member: &MemberName, epoch: Epoch) -> Result<()> {
        let release = |record: &MemberRecord| {
            let mut next = record.clone();
            next.binding.release(epoch);
            (next != *record).then_some(next)
        };
        self.store.members.change(&member_key(service, member), release).await.map_err(from_db)?;
        Ok(())
    }

    async fn refresh(&self, service: &ServiceId, member: &MemberName, epoch: Epoch) -> Result<Grant> {
        let record = self.store.members.get(&member_key(service, member)).await.map_err(from_db)?;
        let record = record.map(|stored| stored.value).filter(|record| record.binding.epoch == epoch);
        let record = record.ok_or_else(|| refused("refresh", member, &format!("epoch {epoch} is over")))?;
        let service = self.store.service(&record.service_name).await.map_err(from_control)?;
        self.grant(&service, &record).await
    }
}

impl Control {
    async fn mountable(&self, name: &MountName) -> Result<Option<ServiceRecord>> {
        self.store.service_by_id(&name.service).await.map_err(from_db)
    }

    /// Members that a nameless claim may take: those this life of this node holds and has not mounted, then the unheld.
    async fn free_members(
        &self,
        service: &ServiceRecord,
        node: &NodeId,
        incarnation: &Incarnation,
        mounted_here: &[MemberName],
    ) -> Result<Vec<MemberName>> {
        let members = self.store.members_of(&service.id).await.map_err(from_db)?;
        let held = |binding: &Binding| {
            binding.holder.as_ref().is_some_and(|h| h.node == *node && h.incarnation == *incarnation)
        };
        let mut free: Vec<_> = members.into_iter().filter(|record| !mounted_here.contains(&record.name)).collect();
        free.retain(|record| record.binding.holder.is_none() || held(&record.binding));
        free.sort_by_key(|record| (record.binding.holder.is_none(), record.index));
        Ok(free.into_iter().map(|record| record.name).collect())
    }

    /// Step 1: the conditional update.
    async fn claim_member(
        &self,
        service: &ServiceRecord,
        member: &MemberName,
        node: &NodeId,
        incarnation: &Incarnation,
    ) -> Result<MemberRecord> {
        let missing = || refused("claim", member, "no such member");
        loop {
            let stored = self.store.members.get(&member_key(&service.id, member)).await.map_err(from_db)?;
            let stored = stored.ok_or_else(missing)?;
            // Between the reading and the writing: whoever of a later life comes in between changes the record.
            self.refuse_past_life(node, incarnation).await?;
            let now = self.store.service_by_id(&service.id).await.map_err(from_db)?;
            if now.is_none_or(|now| now.phase == Phase::Deleting) {
                return Err(refused("claim", member, "the service is being deleted"));
            }
            let mut next = stored.value.clone();
            let claimed = next.binding.claim(node, incarnation, self.now());
            match claimed.map_err(|held: Held| refused("claim", member, &held.to_string()))? {
                Claimed::Kept => return Ok(next),
                Claimed::Won => {}
            }
            match self.store.members.update(&stored, &next).await {
                Ok(_) => {
                    self.remember(service, &next).await?;
                    return Ok(next);
                }
                Err(error) if error.is_conflict() => {}
                Err(error) => return Err(from_db(error)),
            }
        }
    }

    /// A claim counts only from the life that the node has reported. One of a life before may come late, and one of the next
    /// life before its first report: taken in the wrong order they would pass for one another.
    async fn refuse_past_life(&self, node: &NodeId, incarnation: &Incarnation) -> Result<()> {
        if !self.settings.several_nodes {
            return Ok(());
        }
        let present = self.store.node(node).await.map_err(from_db)?.map(|record| record.incarnation);
        if present.as_ref() == Some(incarnation) {
            return Ok(());
        }
        let detail = "this life of the node is over, or has not been reported yet";
        Err(refused("claim for", format!("node {node}"), detail).advise("the agent reports every second; try again"))
    }

    /// Step 2 as far as it is cheap: takes former holders off the list who can be proven fenced without the claimant's
    /// doing. The claimant's agent sees to the others.
    async fn prove(&self, record: MemberRecord) -> Result<MemberRecord> {
        if !self.settings.several_nodes || record.binding.unfenced.is_empty() {
            return Ok(record);
        }
        let proofs = record.binding.unfenced.iter().map(|former| self.proof_of(&record, former));
        for (former, proof) in record.binding.unfenced.iter().zip(join_all(proofs).await) {
            if let Some(proof) = proof? {
                self.fenced(&record.service, &record.name, former.epoch, proof).await?;
            }
        }
        let now = self.store.member(&record.service, &record.name).await.map_err(from_db)?;
        // Another holder may have won meanwhile; what that one is to fence is not for this claimant.
        now.filter(|now| now.binding.epoch == record.binding.epoch)
            .ok_or_else(|| refused("claim", &record.name, "another holder's turn has come"))
    }

    async fn proof_of(&self, record: &MemberRecord, former: &Former) -> Result<Option<Proof>> {
        let Some(node) = self.store.node(&former.node).await.map_err(from_db)? else { return Ok(None) };
        if node.incarnation != former.incarnation {
            return Ok(Some(Proof::Reborn));
        }
        if node.vouched_off.as_ref() == Some(&former.incarnation) {
            return Ok(Some(Proof::Vouched));
        }
        if node.condition == NodeCondition::Lost {
            return Ok(None);
        }
        let agent = self.ports.agents.agent(&node.id, node.agent);
        let fence = async move { agent.fence(&record.service, &record.name, former.epoch).await };
        let confirmed = self.ports.runtime.within(CONFIRMS_WITHIN, fence).await;
        Ok(matches!(confirmed, Some(Ok(()))).then_some(Proof::Released))
    }

    /// Appends the new holder to the history.
    async fn remember(&self, service: &ServiceRecord, record: &MemberRecord) -> Result<()> {
        let Some(holder) = record.binding.holder.clone() else { return Ok(()) };
        let epoch = record.binding.epoch;
        let about = About { service: Some(&service.name), member: Some(&record.name), operation: None };
        self.note(EventKind::Bound, about, format!("{} is held by node {} (epoch {epoch})", record.name, holder.node))
            .await;
        let key = format!("{}/{:020}", member_key(&service.id, &record.name), epoch.get());
        or_exists(self.store.history.create(&key, &PastHolder { epoch, holder }).await).map_err(from_db)
    }

    async fn grant(&self, service: &ServiceRecord, record: &MemberRecord) -> Result<Grant> {
        let members = self.store.members_of(&service.id).await.map_err(from_db)?;
        let volumes = self.store.volumes_of(&service.id).await.map_err(from_db)?;
        let volumes = volumes.into_iter().filter(|volume| volume.id.member == record.name);
        let granted = |volume: om_model::VolumeRecord| GrantedVolume {
            id: volume.id,
            size: volume.size,
            formatted: volume.formatted,
        };
        Ok(Grant {
            member: record.name.clone(),
            epoch: record.binding.epoch,
            volumes: volumes.map(granted).collect(),
            config: self.member_config(service, record, &members)?,
            secrets: self.member_secrets(record).await.map_err(from_control)?,
            unfenced: record.binding.unfenced.clone(),
        })
    }

    fn member_config(
        &self,
        service: &ServiceRecord,
        record: &MemberRecord,
        members: &[MemberRecord],
    ) -> Result<MemberConfig> {
        let address = record.address.ok_or_else(|| refused("configure", &record.name, "it has no address"))?;
        let zone = &self.settings.zone;
        let peer = |record: &MemberRecord| {
            let host = format!("{}.{zone}", record.name);
            record.address.map(|address| Peer { name: record.name.clone(), host, address })
        };
        Ok(MemberConfig {
            service_id: service.id.clone(),
            service: service.name.clone(),
            member: record.name.clone(),
            index: record.index,
            epoch: record.binding.epoch,
            engine: service.spec.engine.clone(),
            version: service.spec.version.clone(),
            address,
            peers: members.iter().filter_map(peer).collect(),
            primary: service.primary.clone(),
            resources: service.spec.resources,
            volumes: service.spec.volumes,
            settings: service.spec.settings.clone(),
            options: service.spec.options.clone(),
            configuration: service.configuration,
        })
    }
}

fn refused(action: &str, subject: impl ToString, detail: &str) -> PortError {
    PortError::new(ErrorKind::Refused, action, subject, detail)
}

fn from_db(error: om_controldb::Error) -> PortError {
    PortError::new(ErrorKind::Unavailable, error.operation, &error.key, &error.detail)
}

fn from_control(error: ControlError) -> PortError {
    let kind = match error {
        ControlError::Unavailable(_) => ErrorKind::Unavailable,
        _ => ErrorKind::Refused,
    };
    PortError::new(kind, "read", "the service's records", error)
}
