//! A fake agent: members that run serve at once in the role they were given.

use std::time::Duration;

use async_trait::async_trait;
use om_engines::{Health, Role};
use om_model::{Epoch, MemberName, NodeId, ServiceId, VolumeId};

use super::World;
use crate::control_plane::Grant;
use crate::error::{ErrorKind, PortError, Result};
use crate::member_channel::{MemberPhase, MemberStatus};
use crate::node_agent::{NodeAgent, PeerView};

/// The fake. It shares its [`World`] with the other fakes.
#[derive(Clone)]
pub struct FakeAgent {
    world: World,
    /// Its node, where there are several.
    node: Option<NodeId>,
}

impl FakeAgent {
    /// The agent of the node of `world`.
    pub fn new(world: World) -> Self {
        Self { world, node: None }
    }

    /// The agent of one of its several nodes.
    pub fn on(world: World, node: NodeId) -> Self {
        Self { world, node: Some(node) }
    }

    /// Fails as a call does whose other end is gone.
    fn reach(&self, action: &str) -> Result<()> {
        let world = self.world.lock();
        let Some(node) = &self.node else { return Ok(()) };
        let deaf = world.nodes.get(node).is_none_or(|node| node.deaf);
        if !deaf && !world.silent(node) {
            return Ok(());
        }
        Err(PortError::new(ErrorKind::Unavailable, action, format!("node {node}"), "nobody answers"))
    }

    /// What is mounted on this node.
    fn here(&self, service: &ServiceId, member: &MemberName) -> Option<Grant> {
        let (key, world) = ((service.clone(), member.clone()), self.world.lock());
        let here = self.node.is_none() || world.located.get(&key) == self.node.as_ref();
        world.mounted.get(&key).filter(|_| here).cloned()
    }
}

#[async_trait]
impl NodeAgent for FakeAgent {
    async fn status(&self, service: &ServiceId, member: &MemberName) -> Result<MemberStatus> {
        self.reach("ask")?;
        let grant = self.here(service, member);
        let grant =
            grant.ok_or_else(|| PortError::new(ErrorKind::NotFound, "ask", member, "it is not mounted here"))?;
        Ok(status(&grant, self.world.lock().broken.get(member)))
    }

    async fn reload(&self, service: &ServiceId, member: &MemberName) -> Result<MemberStatus> {
        self.reach("reload")?;
        let key = (service.clone(), member.clone());
        let epoch = self.here(service, member).map(|grant| grant.epoch);
        let epoch =
            epoch.ok_or_else(|| PortError::new(ErrorKind::NotFound, "reload", member, "it is not mounted here"))?;
        let unreachable = || PortError::new(ErrorKind::Unavailable, "reload", member, "the servers do not answer");
        let grant = self.world.control().ok_or_else(unreachable)?.refresh(service, member, epoch).await?;
        self.world.lock().mounted.insert(key, grant);
        self.status(service, member).await
    }

    async fn release(&self, service: &ServiceId, member: &MemberName) -> Result<()> {
        self.reach("release")?;
        if self.here(service, member).is_some() {
            return Err(PortError::new(ErrorKind::Refused, "release", member, "a container holds it"));
        }
        Ok(())
    }

    async fn fence(&self, service: &ServiceId, member: &MemberName, epoch: Epoch) -> Result<()> {
        self.reach("fence")?;
        if self.here(service, member).is_some_and(|grant| grant.epoch <= epoch) {
            let key = (service.clone(), member.clone());
            let mut world = self.world.lock();
            world.mounted.remove(&key);
            world.located.remove(&key);
        }
        Ok(())
    }

    async fn peers(&self) -> Result<Vec<PeerView>> {
        self.reach("ask")?;
        let world = self.world.lock();
        let others = world.nodes.keys().filter(|node| Some(*node) != self.node.as_ref());
        let view = |node: &NodeId| PeerView {
            node: node.clone(),
            silent_for: if world.silent(node) { Duration::from_secs(60) } else { Duration::ZERO },
            watched_for: Duration::from_secs(3600),
        };
        Ok(others.map(view).collect())
    }

    async fn grow(&self, _volume: &VolumeId) -> Result<()> {
        self.reach("grow volumes of")
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
