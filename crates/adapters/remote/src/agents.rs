//! Both ends of [`NodeAgent`], [`Voter`] and [`NameService`]: servers and agents call, agents answer.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use om_backend::{
    Agents, MemberStatus, NameService, NodeAgent, PeerIdentity, PeerRole, PeerView, Result, VolumeProvider, Voter,
    Voters,
};
use om_model::zone::Zone;
use om_model::{Epoch, Incarnation, MemberName, NodeId, ServiceId, VolumeId};

use crate::dial::Expected;
use crate::identity::Identity;
use crate::line::Line;
use crate::serving::{allow, serve};
use crate::volumes::{self, RemoteVolumes, VolumeTraits};
use crate::wire::agent::{BAR, FENCE, GROW, PEERS, PUBLISH, RELEASE, RELOAD, RENEW, STATUS, Vote, WITHDRAW};
use crate::wire::{OfHolder, OfMember, OfVolume};

/// What an agent answers for.
#[derive(Clone)]
pub struct AgentParts {
    /// The agent itself.
    pub agent: Arc<dyn NodeAgent>,
    /// Its vote on leases.
    pub voter: Arc<dyn Voter>,
    /// The volume provider on its node.
    pub volumes: Arc<dyn VolumeProvider>,
    /// The name server on its node.
    pub names: Arc<dyn NameService>,
}

/// The agent's side. Servers may call all of it, other agents the agent itself and its vote.
pub fn agent_router(parts: AgentParts) -> Router {
    let AgentParts { agent, voter, volumes, names } = &parts;
    let shared = allow(votes(asked(Router::new(), agent), voter), &[PeerRole::Server, PeerRole::Agent]);
    let servers_only = allow(volumes::routes(published(Router::new(), names), volumes), &[PeerRole::Server]);
    shared.merge(servers_only)
}

fn asked(router: Router, agent: &Arc<dyn NodeAgent>) -> Router {
    let router =
        serve(router, &STATUS, agent, |agent, _, args| async move { agent.status(&args.service, &args.member).await });
    let router =
        serve(router, &RELOAD, agent, |agent, _, args| async move { agent.reload(&args.service, &args.member).await });
    let router =
        serve(
            router,
            &RELEASE,
            agent,
            |agent, _, args| async move { agent.release(&args.service, &args.member).await },
        );
    let router = serve(router, &FENCE, agent, |agent, _, args| async move {
        agent.fence(&args.service, &args.member, args.epoch).await
    });
    let router = serve(router, &PEERS, agent, |agent, _, ()| async move { agent.peers().await });
    serve(router, &GROW, agent, |agent, _, args| async move { agent.grow(&args.volume).await })
}

fn votes(router: Router, voter: &Arc<dyn Voter>) -> Router {
    let router = serve(router, &RENEW, voter, |voter, _, vote| async move {
        voter.renew(&vote.holder, &vote.life, vote.roster, vote.term).await
    });
    serve(router, &BAR, voter, |voter, _, vote| async move {
        voter.bar(&vote.holder, &vote.life, vote.roster, vote.term).await
    })
}

fn published(router: Router, names: &Arc<dyn NameService>) -> Router {
    let router = serve(router, &PUBLISH, names, |names, _, zone| async move { names.publish(&zone).await });
    serve(router, &WITHDRAW, names, |names, _, ()| async move { names.withdraw().await })
}

/// The agents of the cluster, called over the network. Clients are cheap: lines to one node are shared.
pub struct RemoteAgents {
    identity: Arc<Identity>,
    volumes: Arc<VolumeTraits>,
    lines: Mutex<BTreeMap<NodeId, (SocketAddr, Arc<Line>)>>,
}

impl RemoteAgents {
    /// Calls agents as `identity`. What the volume provider on the nodes is has to be known beforehand;
    /// [`Self::volume_traits`] asks an agent.
    pub fn new(identity: Arc<Identity>, volumes: VolumeTraits) -> Self {
        Self { identity, volumes: Arc::new(volumes), lines: Mutex::default() }
    }

    /// What the volume provider on `node` is.
    ///
    /// # Errors
    /// If its agent does not answer.
    pub async fn volume_traits(&self, node: &NodeId, at: SocketAddr) -> Result<VolumeTraits> {
        self.line(node, at).ask(&crate::wire::volumes::TRAITS, &()).await
    }

    fn line(&self, node: &NodeId, at: SocketAddr) -> Arc<Line> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, line) = lines
            .entry(node.clone())
            .and_modify(|(known, line)| {
                if *known != at {
                    (*known, *line) = (at, self.new_line(node, at));
                }
            })
            .or_insert_with(|| (at, self.new_line(node, at)));
        line.clone()
    }

    fn new_line(&self, node: &NodeId, at: SocketAddr) -> Arc<Line> {
        let peer = PeerIdentity { role: PeerRole::Agent, name: node.to_string() };
        Arc::new(Line::new(self.identity.client_config(), at, Expected::Peer(peer)))
    }
}

impl Agents for RemoteAgents {
    fn agent(&self, node: &NodeId, at: SocketAddr) -> Arc<dyn NodeAgent> {
        Arc::new(RemoteAgent(self.line(node, at)))
    }

    fn volumes(&self, node: &NodeId, at: SocketAddr) -> Arc<dyn VolumeProvider> {
        Arc::new(RemoteVolumes::new(self.line(node, at), self.volumes.clone()))
    }

    fn names(&self, node: &NodeId, at: SocketAddr) -> Arc<dyn NameService> {
        Arc::new(RemoteAgent(self.line(node, at)))
    }
}

/// A call never waits for another on the line, so votes need none of their own.
impl Voters for RemoteAgents {
    fn voter(&self, node: &NodeId, at: SocketAddr) -> Arc<dyn Voter> {
        Arc::new(RemoteAgent(self.line(node, at)))
    }
}

/// One agent.
struct RemoteAgent(Arc<Line>);

fn of_member(service: &ServiceId, member: &MemberName) -> OfMember {
    OfMember { service: service.clone(), member: member.clone() }
}

#[async_trait]
impl NodeAgent for RemoteAgent {
    async fn status(&self, service: &ServiceId, member: &MemberName) -> Result<MemberStatus> {
        self.0.ask(&STATUS, &of_member(service, member)).await
    }

    async fn reload(&self, service: &ServiceId, member: &MemberName) -> Result<MemberStatus> {
        self.0.ask(&RELOAD, &of_member(service, member)).await
    }

    async fn release(&self, service: &ServiceId, member: &MemberName) -> Result<()> {
        self.0.ask(&RELEASE, &of_member(service, member)).await
    }

    async fn fence(&self, service: &ServiceId, member: &MemberName, epoch: Epoch) -> Result<()> {
        self.0.ask(&FENCE, &OfHolder { service: service.clone(), member: member.clone(), epoch }).await
    }

    async fn peers(&self) -> Result<Vec<PeerView>> {
        self.0.ask(&PEERS, &()).await
    }

    async fn grow(&self, volume: &VolumeId) -> Result<()> {
        self.0.ask(&GROW, &OfVolume { volume: volume.clone() }).await
    }
}

fn vote(holder: &NodeId, life: &Incarnation, roster: u64, term: Duration) -> Vote {
    Vote { holder: holder.clone(), life: life.clone(), roster, term }
}

#[async_trait]
impl Voter for RemoteAgent {
    async fn renew(&self, holder: &NodeId, life: &Incarnation, roster: u64, term: Duration) -> Result<()> {
        self.0.ask(&RENEW, &vote(holder, life, roster, term)).await
    }

    async fn bar(&self, holder: &NodeId, life: &Incarnation, roster: u64, term: Duration) -> Result<Duration> {
        self.0.ask(&BAR, &vote(holder, life, roster, term)).await
    }
}

#[async_trait]
impl NameService for RemoteAgent {
    async fn publish(&self, zone: &Zone) -> Result<()> {
        self.0.ask(&PUBLISH, zone).await
    }

    async fn withdraw(&self) -> Result<()> {
        self.0.ask(&WITHDRAW, &()).await
    }
}
