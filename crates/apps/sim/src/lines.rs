//! The lines between servers, agents and the control database, as `adapters/remote` and `adapters/etcd` have them.
//!
//! **Invariant:** whoever asks is on a machine, and reaches what the network lets it reach.

mod to_agent;

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::{BoxFuture, Either, FutureExt, select};
use futures::stream::{FuturesUnordered, StreamExt};
use om_backend::member_channel::{Reply, Request};
use om_backend::{
    Agents, ControlPlane, ErrorKind, Fencing, Grant, MemberChannel, MemberStatus, MountName, NameService, NodeAgent,
    NodeOrders, NodeReport, PortError, Prober, Result, Tasks, VolumeProvider, Voter, Voters,
};
use om_control::Control;
use om_model::{Epoch, Incarnation, MemberName, NodeId, Proof, ServiceId, VolumeId};

use crate::env::Env;
use crate::machine::{AgentParts, Machine};
use crate::net::{Ask, Net};
use crate::town::Town;
use to_agent::Line;

/// How long an answer is waited for.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// A server that has not answered for so long is waited for further, but the next one is asked too.
const PATIENCE: Duration = Duration::from_secs(1);

/// Lines from one machine.
#[derive(Clone)]
pub struct Lines {
    env: Env,
    net: Net,
    town: Town,
    here: NodeId,
    /// The server that answered last.
    good: Arc<AtomicUsize>,
}

impl Lines {
    /// From the machine `here`.
    pub fn new(env: Env, net: Net, town: Town, here: NodeId) -> Self {
        Self { env, net, town, here, good: Arc::default() }
    }

    async fn ask_agent<T, W>(&self, to: &NodeId, what: &str, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: Fn(AgentParts) -> BoxFuture<'static, Result<T>> + Send + Sync + 'static,
    {
        let ask = Ask { from: &self.here, to, what, within: ANSWER_WITHIN };
        let (town, node) = (self.town.clone(), to.clone());
        self.net.ask(ask, move || town.machine(&node)?.agent(), work).await
    }

    /// Asks the servers, as one.
    async fn ask_servers<T, W>(&self, what: &str, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: Fn(Arc<Control>) -> BoxFuture<'static, Result<T>> + Clone + Send + Sync + 'static,
    {
        let machines = self.town.machines();
        let first = self.good.load(Ordering::Relaxed);
        let mut next = (0..machines.len()).map(|step| (first + step) % machines.len());
        let mut asked = FuturesUnordered::new();
        loop {
            let patience = match next.next() {
                Some(index) => {
                    let (lines, machine, work) = (self.clone(), machines[index].clone(), work.clone());
                    asked.push(async move {
                        let ask = Ask { from: &lines.here, to: &machine.id, what, within: ANSWER_WITHIN };
                        let server = machine.clone();
                        (index, lines.net.ask(ask, move || server.server(), work).await)
                    });
                    PATIENCE
                }
                None => ANSWER_WITHIN * 2,
            };
            let late = std::pin::pin!(self.env.sleep(patience));
            match select(asked.next(), late).await {
                Either::Left((Some((_, Err(error))), _)) if error.may_pass() => {}
                Either::Left((Some((index, answer)), _)) => {
                    self.good.store(index, Ordering::Relaxed);
                    return answer;
                }
                Either::Left((None, _)) => {
                    return Err(PortError::new(ErrorKind::Unavailable, "call", what, "no server answers"));
                }
                Either::Right(_) => {}
            }
        }
    }
}

#[async_trait]
impl ControlPlane for Lines {
    async fn knows(&self, name: &MountName) -> Result<bool> {
        let name = name.clone();
        self.ask_servers("knows", move |control| {
            let name = name.clone();
            async move { control.knows(&name).await }.boxed()
        })
        .await
    }

    async fn claim(&self, name: &MountName, node: &NodeId, life: &Incarnation, here: &[MemberName]) -> Result<Grant> {
        let all = (name.clone(), node.clone(), life.clone(), here.to_vec());
        self.ask_servers("claim", move |control| {
            let (name, node, life, here) = all.clone();
            async move { control.claim(&name, &node, &life, &here).await }.boxed()
        })
        .await
    }

    async fn formatted(&self, volume: &VolumeId) -> Result<()> {
        let volume = volume.clone();
        self.ask_servers("formatted", move |control| {
            let volume = volume.clone();
            async move { control.formatted(&volume).await }.boxed()
        })
        .await
    }

    async fn fenced(&self, service: &ServiceId, member: &MemberName, epoch: Epoch, proof: Proof) -> Result<()> {
        let of = (service.clone(), member.clone());
        self.ask_servers("fenced", move |control| {
            let (service, member) = of.clone();
            async move { control.fenced(&service, &member, epoch, proof).await }.boxed()
        })
        .await
    }

    async fn report(&self, report: &NodeReport) -> Result<NodeOrders> {
        let report = report.clone();
        self.ask_servers("report", move |control| {
            let report = report.clone();
            async move { control.report(&report).await }.boxed()
        })
        .await
    }

    async fn publish(&self, service: &ServiceId, member: &MemberName, epoch: Epoch) -> Result<()> {
        let of = (service.clone(), member.clone());
        self.ask_servers("publish", move |control| {
            let (service, member) = of.clone();
            async move { control.publish(&service, &member, epoch).await }.boxed()
        })
        .await
    }

    async fn released(&self, service: &ServiceId, member: &MemberName, epoch: Epoch) -> Result<()> {
        let of = (service.clone(), member.clone());
        self.ask_servers("released", move |control| {
            let (service, member) = of.clone();
            async move { control.released(&service, &member, epoch).await }.boxed()
        })
        .await
    }

    async fn refresh(&self, service: &ServiceId, member: &MemberName, epoch: Epoch) -> Result<Grant> {
        let of = (service.clone(), member.clone());
        self.ask_servers("refresh", move |control| {
            let (service, member) = of.clone();
            async move { control.refresh(&service, &member, epoch).await }.boxed()
        })
        .await
    }
}

impl Voters for Lines {
    fn voter(&self, node: &NodeId, _: SocketAddr) -> Arc<dyn Voter> {
        Arc::new(Line { lines: self.clone(), to: node.clone(), fencing: Fencing::None })
    }
}

#[async_trait]
impl Prober for Lines {
    async fn alive(&self, address: IpAddr, _: SocketAddr, within: Duration) -> bool {
        let there = self.town.machine_at(address);
        // Echoes are sent again and again: a few that are lost do not matter.
        let tries = (0..10).any(|_| {
            there.as_ref().is_some_and(|machine| {
                let (to, here) = (&machine.id, &self.here);
                self.net.both_ways(here, to) && !self.net.loses(here, to) && !self.net.loses(to, here)
            })
        });
        if tries {
            self.env.sleep(self.env.between(Duration::from_micros(200), Duration::from_millis(4))).await;
            return true;
        }
        self.env.sleep(within).await;
        false
    }
}

/// Lines from a server to all agents.
#[derive(Clone)]
pub struct AgentLines {
    /// From where.
    pub lines: Lines,
    /// How the agents' volumes cut a holder off.
    pub fencing: Fencing,
}

impl AgentLines {
    fn line(&self, node: &NodeId) -> Arc<Line> {
        Arc::new(Line { lines: self.lines.clone(), to: node.clone(), fencing: self.fencing })
    }
}

impl Agents for AgentLines {
    fn agent(&self, node: &NodeId, _: SocketAddr) -> Arc<dyn NodeAgent> {
        self.line(node)
    }

    fn volumes(&self, node: &NodeId, _: SocketAddr) -> Arc<dyn VolumeProvider> {
        self.line(node)
    }

    fn names(&self, node: &NodeId, _: SocketAddr) -> Arc<dyn NameService> {
        self.line(node)
    }
}

/// The channel to the members on one machine.
pub struct Channel {
    /// The surroundings.
    pub env: Env,
    /// The machine.
    pub machine: Arc<Machine>,
}

#[async_trait]
impl MemberChannel for Channel {
    async fn ask(&self, control: &Path, request: Request) -> Result<MemberStatus> {
        let fail = |detail: &str| PortError::new(ErrorKind::Unavailable, "ask", control.display(), detail);
        let found = self.machine.containers().into_iter().find(|container| container.has_control(control));
        let container = found.ok_or_else(|| fail("nobody listens"))?;
        let (tell, told) = futures::channel::oneshot::channel();
        let member = container.member().clone();
        let answer = async move { drop(tell.send(member.answer(request).await)) };
        container.process().spawn("answer", Box::pin(answer));
        let late = std::pin::pin!(self.env.sleep(ANSWER_WITHIN));
        match select(told, late).await {
            Either::Left((Ok(Reply::Status(status)), _)) => Ok(status),
            Either::Left((Ok(Reply::Failed(reason)), _)) => Err(fail(&reason)),
            Either::Left((Err(_), _)) => Err(fail("it ended")),
            Either::Right(_) => Err(fail("no answer in time")),
        }
    }
}
