//! The orchestrator as a server uses it, through the manager on its own machine.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use om_backend::{
    Deployment, DeploymentSpec, DeploymentState, ErrorKind, LogLine, Network, Orchestrator, OrchestratorNode,
    PortError, Result,
};
use om_model::{NodeId, ServiceId};

use super::{Entry, Swarm, Wanted};

/// A manager answers within this, or not at all.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);
/// How much longer than a deployment's own patience a stop is waited for.
const STOP_MARGIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The orchestrator, from one machine.
#[derive(Clone)]
pub struct SwarmPort {
    swarm: Swarm,
    node: NodeId,
}

impl SwarmPort {
    /// Through the manager on `node`.
    pub fn new(swarm: Swarm, node: NodeId) -> Self {
        Self { swarm, node }
    }

    /// The way to the leader and back.
    async fn reach(&self, action: &str) -> Result<()> {
        self.swarm.env.sleep(self.swarm.env.between(Duration::from_millis(1), Duration::from_millis(40))).await;
        if self.swarm.answers(&self.node) {
            return Ok(());
        }
        self.swarm.env.sleep(ANSWERS_WITHIN).await;
        Err(PortError::new(ErrorKind::TimedOut, action, "the orchestrator", "no manager leads"))
    }
}

#[async_trait]
impl Orchestrator for SwarmPort {
    async fn network(&self) -> Result<Network> {
        let address = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
        Ok(Network { subnet: (address, 24), gateway: address })
    }

    async fn image(&self, candidates: &[String]) -> Result<String> {
        let none = || PortError::new(ErrorKind::NotFound, "find", "an image", "none was asked for");
        candidates.first().cloned().ok_or_else(none)
    }

    async fn create(&self, spec: &DeploymentSpec) -> Result<()> {
        self.reach("create").await?;
        let mut state = self.swarm.lock();
        if state.deployments.get(&spec.name).is_some_and(|known| known.spec == *spec) {
            return Ok(());
        }
        state.made += 1;
        let number = state.made;
        let entry =
            Entry { spec: spec.clone(), number, wanted: Wanted::Nothing, state: DeploymentState::Created, error: None };
        state.deployments.insert(spec.name.clone(), entry);
        Ok(())
    }

    async fn start(&self, name: &str) -> Result<()> {
        self.reach("start").await?;
        let mut state = self.swarm.lock();
        let missing = || PortError::new(ErrorKind::NotFound, "start", name, "there is no such deployment");
        let entry = state.deployments.get_mut(name).ok_or_else(missing)?;
        if entry.wanted != Wanted::Running {
            (entry.wanted, entry.state) = (Wanted::Running, DeploymentState::Restarting);
        }
        Ok(())
    }

    async fn stop(&self, name: &str) -> Result<()> {
        self.reach("stop").await?;
        let (patience, node) = {
            let mut state = self.swarm.lock();
            let Some(entry) = state.deployments.get_mut(name) else { return Ok(()) };
            if entry.wanted == Wanted::Nothing && entry.state == DeploymentState::Created {
                entry.state = DeploymentState::Stopped;
            }
            entry.wanted = Wanted::Stopped;
            (entry.spec.stop_within + STOP_MARGIN, entry.spec.node.clone())
        };
        let until = self.swarm.env.now() + patience;
        while !self.swarm.settle_stopped(name) {
            if node.as_ref().is_some_and(|node| self.swarm.is_down(node)) {
                return Ok(());
            }
            if self.swarm.env.now() > until {
                return Err(PortError::new(ErrorKind::TimedOut, "stop", name, "it still runs"));
            }
            self.swarm.env.sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    async fn remove(&self, name: &str) -> Result<()> {
        self.reach("remove").await?;
        self.swarm.lock().deployments.remove(name);
        Ok(())
    }

    async fn list(&self, service: Option<&ServiceId>) -> Result<Vec<Deployment>> {
        self.reach("list").await?;
        let (now, state) = (self.swarm.env.now(), self.swarm.lock());
        let listed = match &state.past {
            Some((until, past)) if now < *until => past,
            _ => &state.deployments,
        };
        let wanted = listed.values().filter(|entry| service.is_none_or(|id| entry.spec.service == *id));
        let shown = |entry: &Entry| Deployment {
            name: entry.spec.name.clone(),
            service: entry.spec.service.clone(),
            member: entry.spec.member.clone(),
            state: entry.state,
            node: entry.spec.node.clone(),
            container: None,
            error: entry.error.clone(),
        };
        Ok(wanted.map(shown).collect())
    }

    async fn logs(&self, _: &str, _: usize, _: bool) -> Result<BoxStream<'static, Result<LogLine>>> {
        Ok(futures::stream::empty().boxed())
    }

    async fn nodes(&self) -> Result<Vec<OrchestratorNode>> {
        self.reach("list nodes").await?;
        let node = |id: &NodeId| OrchestratorNode {
            id: id.clone(),
            zone: None,
            schedulable: true,
            ready: !self.swarm.is_down(id),
        };
        Ok(self.swarm.nodes.iter().map(node).collect())
    }

    async fn teardown(&self) -> Result<()> {
        Ok(())
    }
}
