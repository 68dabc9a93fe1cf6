//! Step 2 of design §5, **fence**: no former holder can write any more, and by what that is known.
//!
//! Of formers on other nodes the storage cuts off, after their lease where it has to be so. Of formers on this node, and
//! when a server says that an epoch is over here, the agent itself takes everything away by force.
//!
//! **Invariants:** a volume is revoked only after the lease of every former holder is over, where the provider says that it
//! must be so. A file system is shut down before its processes are killed. Nothing is unmounted lazily, so that what the
//! kernel does not show is gone.

use std::collections::BTreeSet;

use futures::future::try_join_all;
use om_backend::{ErrorKind, Fencing, Grant, PortError, Result};
use om_model::mutation::{Mutation, planted};
use om_model::{Epoch, Former, MemberName, Proof, ServiceId, VolumeId, VolumeRole};

use crate::agent::Agent;
use crate::survey::{Mounted, folder_prefix};

impl Agent {
    /// Proves every former holder of the grant fenced, and tells the servers by what. The caller has the member's lock.
    pub(crate) async fn fence_formers(&self, service: &ServiceId, grant: &Grant) -> Result<()> {
        let (node, life) = (self.ports.host.node(), self.ports.host.incarnation());
        let (own, others): (Vec<&Former>, Vec<&Former>) = grant.unfenced.iter().partition(|former| former.node == node);
        for former in own {
            let proof = if former.incarnation == life {
                self.take_away(service, &grant.member, former.epoch).await?;
                Proof::Released
            } else {
                // Mounts do not outlive the life they were made in.
                Proof::Reborn
            };
            self.ports.control.fenced(service, &grant.member, former.epoch, proof).await?;
        }
        self.cut_formers_off(grant, &others).await?;
        for former in others {
            self.ports.control.fenced(service, &grant.member, former.epoch, Proof::Revoked).await?;
        }
        Ok(())
    }

    /// Formers on other nodes: proof b.
    async fn cut_formers_off(&self, grant: &Grant, formers: &[&Former]) -> Result<()> {
        let Some(last) = formers.iter().max_by_key(|former| former.epoch) else { return Ok(()) };
        match self.ports.volumes.fencing() {
            Fencing::None => return Err(self.unprovable(grant, last)),
            Fencing::AtOnce => {}
            Fencing::AfterLease if planted(Mutation::RevokeBeforeLeaseEnds) => {}
            Fencing::AfterLease => {
                let lives: BTreeSet<_> = formers.iter().map(|former| (&former.node, &former.incarnation)).collect();
                try_join_all(lives.into_iter().map(|(node, life)| self.lease_over(node, life))).await?;
            }
        }
        // What is revoked for an epoch is revoked for all before it.
        for volume in grant.volumes.iter().filter(|_| !planted(Mutation::NotRevoked)) {
            self.ports.volumes.revoke(&volume.id, last.epoch).await?;
        }
        Ok(())
    }

    fn unprovable(&self, grant: &Grant, former: &Former) -> PortError {
        let (node, provider) = (&former.node, self.ports.volumes.name());
        let detail = format!(
            "node {node} held it under epoch {} and is not proven fenced, and {provider} volumes cannot be taken from it",
            former.epoch
        );
        let next = format!("bring node {node} back, or, if that machine is surely off, `openmanage node fence {node}`");
        PortError::new(ErrorKind::Refused, "mount", format!("member {}", grant.member), detail).advise(next)
    }

    /// Proof a: takes away everything of the member under `epoch` or one before it, whoever uses it, and confirms it.
    pub(crate) async fn fence_here(&self, service: &ServiceId, member: &MemberName, epoch: Epoch) -> Result<()> {
        // Not under the lock: whoever has it may be waiting for just what is being cut off here.
        let here = self.mounted_until(service, member, epoch).await?;
        self.cut_off(&here).await?;
        let _ordered = self.locks.hold(service, Some(member)).await;
        self.take_away(service, member, epoch).await
    }

    async fn mounted_until(&self, service: &ServiceId, member: &MemberName, epoch: Epoch) -> Result<Vec<Mounted>> {
        let mut here = self.survey().await?;
        here.retain(|mounted| mounted.is_of(service, member) && mounted.epoch <= epoch);
        Ok(here)
    }

    /// The member's lock is held: what is found is all there will be.
    async fn take_away(&self, service: &ServiceId, member: &MemberName, epoch: Epoch) -> Result<()> {
        let here = self.mounted_until(service, member, epoch).await?;
        self.cut_off(&here).await?;
        for mounted in &here {
            self.thaw(mounted).await?;
            self.take_down(mounted).await?;
        }
        for role in [VolumeRole::Data, VolumeRole::Journal] {
            let volume = VolumeId { service: service.clone(), member: member.clone(), role };
            self.ports.host.remove_empty(&self.settings.mounts, &folder_prefix(&volume)).await?;
            // An earlier attempt may have been cut off between unmounting and this.
            if !self.survey().await?.iter().any(|mounted| mounted.volume == volume) {
                self.ports.volumes.detach(&volume).await?;
            }
        }
        // The proof is what the kernel says now, not that every call succeeded.
        if let Some(left) = self.mounted_until(service, member, epoch).await?.first() {
            let detail = format!("it is still mounted at {}", left.path.display());
            return Err(PortError::new(ErrorKind::Refused, "fence", format!("member {member}"), detail));
        }
        self.sweep_addresses().await?;
        self.give_up_epochs(service, member, Some(epoch)).await
    }

    /// After this nobody uses, and nothing is written through, these mounts; they are still there.
    async fn cut_off(&self, here: &[Mounted]) -> Result<()> {
        // The address first: clients are not to be answered any more.
        for mounted in here {
            let removed = match self.address_of(mounted).await {
                Ok(Some(address)) => self.remove_address(address).await,
                other => other.map(|_| ()),
            };
            if let Err(error) = removed {
                // The volume matters more; the address is swept up in the end, or the fence fails there.
                tracing::warn!(%error, volume = %mounted.volume, "its address stays for now");
            }
        }
        // File systems before processes: a killed task that waits in a frozen (or slow) file system still performs its
        // write once that goes on, unless the file system has ended. Only what can be revoked is a file system of the
        // volume's own; a directory's is everybody's, and to nobody else can it be handed.
        if self.owns_file_systems() && !planted(Mutation::NoShutdownBeforeKill) {
            // One volume that cannot be shut down for now does not keep the other alive.
            let mut ended = Ok(());
            for mounted in here {
                if let Err(error) = self.ports.volumes.abandon(&mounted.volume).await {
                    tracing::warn!(%error, volume = %mounted.volume, "what waits for its storage may go on waiting");
                }
                ended = ended.and(self.ports.host.shut_down(&mounted.path).await);
            }
            ended?;
        }
        for mounted in here {
            for device in self.devices_of(mounted) {
                self.ports.host.kill_holders(device).await?;
            }
        }
        Ok(())
    }

    fn owns_file_systems(&self) -> bool {
        self.ports.volumes.fencing() != Fencing::None
    }

    /// Device numbers by which a container that has the volume is known.
    fn devices_of(&self, mounted: &Mounted) -> Vec<(u32, u32)> {
        let own = mounted.mounts.iter().find(|mount| mount.target == mounted.path && self.owns_file_systems());
        own.map(|mount| mount.device).into_iter().chain(mounted.control_device()).collect()
    }
}
