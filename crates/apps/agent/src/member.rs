//! What the servers ask of this node about its members.

use std::sync::PoisonError;

use async_trait::async_trait;
use om_backend::member_channel::Request;
use om_backend::{ErrorKind, MemberStatus, NodeAgent, PeerView, PortError, Result};
use om_model::{Epoch, MemberName, ServiceId, VolumeId, VolumeRole};

use crate::agent::Agent;
use crate::mounting::control_files;
use crate::survey::Mounted;

impl Agent {
    /// The member's data volume with its control folder, as mounted here.
    async fn mounted_member(&self, action: &str, service: &ServiceId, member: &MemberName) -> Result<Mounted> {
        let here = self.survey().await?.into_iter().rfind(|mounted| {
            mounted.is_of(service, member) && mounted.volume.role == VolumeRole::Data && mounted.record.is_some()
        });
        here.ok_or_else(|| {
            let node = self.ports.host.node();
            let unmounted = self.known.unmounted.lock().unwrap_or_else(PoisonError::into_inner);
            let why = unmounted.get(&(service.clone(), member.clone())).map(|error| format!(": {error}"));
            let detail = format!("it is not mounted on node {node}{}", why.unwrap_or_default());
            PortError::new(ErrorKind::NotFound, action, format!("member {member}"), detail)
        })
    }
}

#[async_trait]
impl NodeAgent for Agent {
    async fn status(&self, service: &ServiceId, member: &MemberName) -> Result<MemberStatus> {
        let mounted = self.mounted_member("ask", service, member).await?;
        self.ports.channel.ask(&mounted.control(), Request::Status).await
    }

    async fn reload(&self, service: &ServiceId, member: &MemberName) -> Result<MemberStatus> {
        let control = {
            let _ordered = self.locks.hold(service, Some(member)).await;
            let mounted = self.mounted_member("reload", service, member).await?;
            let grant = self.ports.control.refresh(service, member, mounted.epoch).await?;
            self.ports.host.write_files(&mounted.control(), &control_files(&grant)?).await?;
            mounted.control()
        };
        // Not under the lock: a member may take its time to answer.
        self.ports.channel.ask(&control, Request::Reload).await
    }

    async fn release(&self, service: &ServiceId, member: &MemberName) -> Result<()> {
        let _ordered = self.locks.hold(service, Some(member)).await;
        self.clear_member(service, member).await?;
        // The proof is what the kernel says now, not that every call succeeded.
        match self.survey().await?.iter().find(|mounted| mounted.is_of(service, member)) {
            None => self.give_up_epochs(service, member, None).await,
            Some(left) => {
                let detail = format!("it is still mounted at {}", left.path.display());
                Err(PortError::new(ErrorKind::Refused, "release", format!("member {member}"), detail))
            }
        }
    }

    async fn fence(&self, service: &ServiceId, member: &MemberName, epoch: Epoch) -> Result<()> {
        // To its end, also if the server that asked is gone: half a fence leaves a dead member.
        let (agent, service, member) = (self.clone(), service.clone(), member.clone());
        self.to_the_end("fence", async move { agent.fence_here(&service, &member, epoch).await }).await
    }

    async fn peers(&self) -> Result<Vec<PeerView>> {
        Ok(self.watch().views(self.now()))
    }

    async fn grow(&self, volume: &VolumeId) -> Result<()> {
        let _ordered = self.locks.hold(&volume.service, Some(&volume.member)).await;
        match self.survey().await?.into_iter().rfind(|mounted| mounted.volume == *volume) {
            Some(_) if self.paused() => {
                // It may be frozen, and growing it would wait for the thaw, holding the lock.
                let detail = "this node's lease is not held at present";
                Err(PortError::new(ErrorKind::Unavailable, "enlarge", format!("volume {volume}"), detail))
            }
            Some(_) if !self.ports.volumes.grows_in_use() => {
                let detail = "this node sees its new size when it attaches it the next time";
                Err(PortError::new(ErrorKind::Refused, "enlarge", format!("volume {volume}"), detail)
                    .advise("restart the member"))
            }
            Some(mounted) => self.ports.host.grow_file_system(&mounted.path).await,
            None => Ok(()),
        }
    }
}
