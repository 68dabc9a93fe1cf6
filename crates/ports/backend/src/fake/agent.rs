//! A fake agent: members that run serve at once in the role they were given.

use async_trait::async_trait;
use om_engines::{Health, Role};
use om_model::{Epoch, MemberName, ServiceId, VolumeId};

use super::World;
use crate::control_plane::Grant;
use crate::error::{ErrorKind, PortError, Result};
use crate::member_channel::{MemberPhase, MemberStatus};
use crate::node_agent::{NodeAgent, PeerView};

/// The fake. It shares its [`World`] with the other fakes.
#[derive(Clone)]
pub struct FakeAgent {
    world: World,
}

impl FakeAgent {
    /// The agent of the node of `world`.
    pub fn new(world: World) -> Self {
        Self { world }
    }
}

#[async_trait]
impl NodeAgent for FakeAgent {
    async fn status(&self, service: &ServiceId, member: &MemberName) -> Result<MemberStatus> {
        let world = self.world.lock();
        let mounted = world.mounted.get(&(service.clone(), member.clone()));
        let grant =
            mounted.ok_or_else(|| PortError::new(ErrorKind::NotFound, "ask", member, "it is not mounted here"))?;
        Ok(status(grant, world.broken.get(member)))
    }

    async fn reload(&self, service: &ServiceId, member: &MemberName) -> Result<MemberStatus> {
        let key = (service.clone(), member.clone());
        let epoch = self.world.lock().mounted.get(&key).map(|grant| grant.epoch);
        let epoch =
            epoch.ok_or_else(|| PortError::new(ErrorKind::NotFound, "reload", member, "it is not mounted here"))?;
        let unreachable = || PortError::new(ErrorKind::Unavailable, "reload", member, "the servers do not answer");
        let grant = self.world.control().ok_or_else(unreachable)?.refresh(service, member, epoch).await?;
        self.world.lock().mounted.insert(key, grant);
        self.status(service, member).await
    }

    async fn release(&self, service: &ServiceId, member: &MemberName) -> Result<()> {
        let key = (service.clone(), member.clone());
        let running = self.world.lock().mounted.contains_key(&key);
        if running {
            return Err(PortError::new(ErrorKind::Refused, "release", member, "a container holds it"));
        }
        Ok(())
    }

    async fn fence(&self, service: &ServiceId, member: &MemberName, epoch: Epoch) -> Result<()> {
        let key = (service.clone(), member.clone());
        let mut world = self.world.lock();
        if world.mounted.get(&key).is_some_and(|grant| grant.epoch <= epoch) {
            world.mounted.remove(&key);
        }
        Ok(())
    }

    async fn peers(&self) -> Result<Vec<PeerView>> {
        Ok(Vec::new())
    }

    async fn grow(&self, _volume: &VolumeId) -> Result<()> {
        Ok(())
    }
}

fn status(grant: &Grant, broken: Option<&String>) -> MemberStatus {
    let role = if grant.config.is_primary() { Role::Primary } else { Role::Standby };
    let health = Health { role: Some(role), healthy: true, detail: "serves".into(), lag_bytes: Some(0) };
    MemberStatus {
        phase: if broken.is_some() { MemberPhase::Starting } else { MemberPhase::Running },
        detail: broken.cloned().unwrap_or_default(),
        health: broken.is_none().then_some(health),
        configuration: grant.config.configuration,
        restart_pending: false,
        starts: if broken.is_some() { 99 } else { 1 },
    }
}
