//! A fake orchestrator: deployments in memory; starting one mounts its member's volumes.

use std::net::{IpAddr, Ipv4Addr};

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt};
use om_model::{Incarnation, NodeId, Proof, ServiceId};

use super::World;
use crate::control_plane::MountName;
use crate::error::{ErrorKind, PortError, Result};
use crate::orchestrator::{
    Deployment, DeploymentSpec, DeploymentState, LogLine, Network, Orchestrator, OrchestratorNode,
};

/// The fake. It shares its [`World`] with the other fakes.
#[derive(Clone)]
pub struct FakeOrchestrator {
    world: World,
}

impl FakeOrchestrator {
    /// An orchestrator in `world`.
    pub fn new(world: World) -> Self {
        Self { world }
    }

    /// The node it runs on, if that is there.
    fn place_of(&self, spec: &DeploymentSpec) -> Option<(NodeId, Incarnation)> {
        let Some(node) = &spec.node else { return Some(self.world.node().clone()) };
        let world = self.world.lock();
        let there = world.nodes.get(node).filter(|known| known.up && !known.cut_off)?;
        Some((node.clone(), there.life.clone()))
    }

    /// Mounts what the container needs; false if its node is not there, which the orchestrator waits for.
    async fn mount(&self, spec: &DeploymentSpec) -> Result<bool> {
        let unreachable = || PortError::new(ErrorKind::Unavailable, "mount", &spec.name, "the servers do not answer");
        let control = self.world.control().ok_or_else(unreachable)?;
        let Some((node, life)) = self.place_of(spec) else { return Ok(false) };
        for volume in spec.volumes.values() {
            let name: MountName =
                volume.parse().map_err(|error| PortError::new(ErrorKind::Invalid, "mount", volume, error))?;
            let grant = control.claim(&name, &node, &life, &[]).await?;
            // The storage cuts every former holder off at once.
            for former in &grant.unfenced {
                self.world.cut(&spec.service, &grant.member, former.epoch);
                control.fenced(&spec.service, &grant.member, former.epoch, Proof::Revoked).await?;
            }
            for volume in &grant.volumes {
                if self.world.lock().written.insert(volume.id.clone(), volume.size).is_none() {
                    control.formatted(&volume.id).await?;
                }
            }
            let key = (spec.service.clone(), grant.member.clone());
            let (member, epoch) = (grant.member.clone(), grant.epoch);
            self.world.mounts(key, grant, spec.node.clone());
            control.publish(&spec.service, &member, epoch).await?;
        }
        Ok(true)
    }
}

#[async_trait]
impl Orchestrator for FakeOrchestrator {
    async fn network(&self) -> Result<Network> {
        let base = IpAddr::V4(Ipv4Addr::new(172, 30, 0, 0));
        Ok(Network { subnet: (base, 16), gateway: IpAddr::V4(Ipv4Addr::new(172, 30, 0, 1)) })
    }

    async fn image(&self, candidates: &[String]) -> Result<String> {
        // Every image can be had, except from a host under the domain that is reserved for not being there.
        let found =
            candidates.iter().find(|image| !image.split('/').next().is_some_and(|host| host.ends_with(".invalid")));
        found.cloned().ok_or_else(|| {
            PortError::new(ErrorKind::NotFound, "find image", candidates.join(" or "), "there is none")
                .advise("openmanage image build ENGINE")
        })
    }

    async fn create(&self, spec: &DeploymentSpec) -> Result<()> {
        let mut world = self.world.lock();
        let same = world.deployments.get(&spec.name).is_some_and(|(there, _)| there == spec);
        if !same {
            world.deployments.insert(spec.name.clone(), (spec.clone(), DeploymentState::Created));
            *world.containers.entry(spec.name.clone()).or_default() += 1;
        }
        Ok(())
    }

    async fn start(&self, name: &str) -> Result<()> {
        let found = self.world.lock().deployments.get(name).cloned();
        let gone = || PortError::new(ErrorKind::NotFound, "start", name, "there is no such deployment");
        let (spec, state) = found.ok_or_else(gone)?;
        if state == DeploymentState::Running {
            return Ok(());
        }
        let mounted = self.mount(&spec).await?;
        if let Some((_, state)) = self.world.lock().deployments.get_mut(name) {
            *state = if mounted { DeploymentState::Running } else { DeploymentState::Restarting };
        }
        Ok(())
    }

    async fn stop(&self, name: &str) -> Result<()> {
        let mut world = self.world.lock();
        let Some((spec, state)) = world.deployments.get_mut(name) else { return Ok(()) };
        *state = DeploymentState::Stopped;
        let (key, node) = ((spec.service.clone(), spec.member.clone()), spec.node.clone());
        // What is on a node that nobody reaches runs on, and another deployment's mounts are not this one's.
        let reached = node.as_ref().is_none_or(|node| !world.silent(node));
        if world.located.get(&key) == node.as_ref() && reached {
            world.mounted.remove(&key);
            world.located.remove(&key);
        }
        Ok(())
    }

    async fn remove(&self, name: &str) -> Result<()> {
        self.stop(name).await?;
        self.world.lock().deployments.remove(name);
        Ok(())
    }

    async fn list(&self, service: Option<&ServiceId>) -> Result<Vec<Deployment>> {
        let world = self.world.lock();
        let ours = world.deployments.values().filter(|(spec, _)| service.is_none_or(|id| spec.service == *id));
        let view = |(spec, state): &(DeploymentSpec, DeploymentState)| Deployment {
            name: spec.name.clone(),
            service: spec.service.clone(),
            member: spec.member.clone(),
            state: *state,
            node: spec.node.clone(),
            container: world.containers.get(&spec.name).map(|made| format!("container-{made}-of-{}", spec.name)),
            error: None,
        };
        Ok(ours.map(view).collect())
    }

    async fn logs(&self, name: &str, tail: usize, _follow: bool) -> Result<BoxStream<'static, Result<LogLine>>> {
        if !self.world.lock().deployments.contains_key(name) {
            return Err(PortError::new(ErrorKind::NotFound, "read log of", name, "there is no such deployment"));
        }
        let line = LogLine { stderr: false, text: format!("{name} says hello") };
        Ok(stream::iter([Ok(line)]).take(tail).boxed())
    }

    async fn nodes(&self) -> Result<Vec<OrchestratorNode>> {
        let world = self.world.lock();
        let node =
            |id: &NodeId| OrchestratorNode { id: id.clone(), zone: None, schedulable: true, ready: !world.silent(id) };
        Ok(world.nodes.keys().map(node).collect())
    }

    async fn teardown(&self) -> Result<()> {
        if self.world.lock().deployments.is_empty() {
            return Ok(());
        }
        Err(PortError::new(ErrorKind::Refused, "remove", "the network", "deployments are on it"))
    }
}
