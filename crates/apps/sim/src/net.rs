//! The network: who reaches whom, how long a packet is under way, what is lost; and requests over it.
//!
//! Every machine is on one switch, the storage and the clients too. A way can be cut in one direction only. A request runs in
//! the process that serves it: it goes on when whoever asked is gone, and ends with the process that serves it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::channel::oneshot;
use futures::future::{BoxFuture, Either, select};
use om_backend::{ErrorKind, PortError, Result, Tasks};
use om_model::NodeId;

use crate::env::Env;
use crate::executor::Process;

/// So long a connection may take to come about.
const CONNECT_WITHIN: Duration = Duration::from_secs(1);
/// After so long without a sign of the other end's machine a connection is given up.
const SILENCE: Duration = Duration::from_millis(1500);
/// How much later than the first a repeated request comes, at most.
const LATE: Duration = Duration::from_secs(20);

/// The network. Clones are the same network.
#[derive(Clone)]
pub struct Net {
    env: Env,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// Ways that are cut, from, to.
    cut: BTreeSet<(NodeId, NodeId)>,
    /// Machines without power.
    off: BTreeSet<NodeId>,
    /// How many packets of a machine are lost, in thousandths.
    lossy: BTreeMap<NodeId, u32>,
    /// How much longer than others a machine's packets are under way, at most.
    slow: BTreeMap<NodeId, Duration>,
    /// Requests of which each comes once more, soon after the next claim.
    echoed: BTreeSet<String>,
}

/// A process that serves requests.
#[derive(Clone)]
pub struct Running<S> {
    /// The process.
    pub process: Process,
    /// What it serves.
    pub service: S,
}

/// A request under way.
pub struct Ask<'a> {
    /// Who asks.
    pub from: &'a NodeId,
    /// Whose machine is asked.
    pub to: &'a NodeId,
    /// What, for errors.
    pub what: &'a str,
    /// How long an answer is waited for.
    pub within: Duration,
}

impl Net {
    /// A network that is whole.
    pub fn new(env: Env) -> Self {
        Self { env, state: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Cuts the way from one to another, or mends it.
    pub fn cut(&self, from: &NodeId, to: &NodeId, cut: bool) {
        let way = (from.clone(), to.clone());
        let mut state = self.lock();
        if cut {
            state.cut.insert(way);
        } else {
            state.cut.remove(&way);
        }
    }

    /// A machine has power, or has none.
    pub fn power(&self, node: &NodeId, on: bool) {
        let mut state = self.lock();
        if on {
            state.off.remove(node);
        } else {
            state.off.insert(node.clone());
        }
    }

    /// So many of a machine's packets are lost, in thousandths.
    pub fn lose(&self, node: &NodeId, permille: u32) {
        self.lock().lossy.insert(node.clone(), permille);
    }

    /// A machine's packets are under way for so much longer, at most.
    pub fn slow(&self, node: &NodeId, most: Duration) {
        self.lock().slow.insert(node.clone(), most);
    }

    /// From now on each request of that kind comes once more, soon after the next claim of a member.
    pub fn echo(&self, what: &str) {
        self.lock().echoed.insert(what.to_owned());
    }

    /// Everything is whole again. Machines without power stay so.
    pub fn mend(&self) {
        let mut state = self.lock();
        state.cut.clear();
        state.lossy.clear();
        state.slow.clear();
    }

    /// Whether a packet that is sent now has a way.
    pub fn open(&self, from: &NodeId, to: &NodeId) -> bool {
        let state = self.lock();
        let on = !state.off.contains(from) && !state.off.contains(to);
        on && (from == to || !state.cut.contains(&(from.clone(), to.clone())))
    }

    /// Whether there is a way there and back.
    pub fn both_ways(&self, one: &NodeId, other: &NodeId) -> bool {
        self.open(one, other) && self.open(other, one)
    }

    /// Whether a packet, sent now, is lost on its way.
    pub fn loses(&self, from: &NodeId, to: &NodeId) -> bool {
        if from == to {
            return false;
        }
        let rate = {
            let state = self.lock();
            let of = |node| state.lossy.get(node).copied().unwrap_or_default();
            of(from).max(of(to))
        };
        rate > 0 && self.env.chance().happens(rate)
    }

    /// How long a packet is under way.
    fn latency(&self, from: &NodeId, to: &NodeId) -> Duration {
        if from == to {
            return self.env.between(Duration::from_micros(20), Duration::from_micros(200));
        }
        let mut latency = self.env.between(Duration::from_micros(100), Duration::from_millis(2));
        if self.env.chance().happens(5) {
            latency += self.env.between(Duration::ZERO, Duration::from_millis(250));
        }
        let most = {
            let state = self.lock();
            let of = |node| state.slow.get(node).copied().unwrap_or_default();
            of(from).max(of(to))
        };
        if !most.is_zero() {
            latency += self.env.between(Duration::ZERO, most);
        }
        latency
    }

    /// A message on a connection is under way: false if it never arrives. What is lost is sent again.
    pub async fn travels(&self, from: &NodeId, to: &NodeId) -> bool {
        let mut again = Duration::from_millis(200);
        loop {
            if !self.open(from, to) {
                return false;
            }
            if !self.loses(from, to) {
                break;
            }
            self.env.sleep(again).await;
            again *= 2;
        }
        self.env.sleep(self.latency(from, to)).await;
        self.open(from, to)
    }

    /// Asks a service on another machine; `find` finds it when the request arrives. The request may be carried out twice.
    ///
    /// # Errors
    /// What the service says; [`ErrorKind::Unavailable`] and [`ErrorKind::TimedOut`] as real connections have them.
    pub async fn ask<S, T, F, W>(&self, ask: Ask<'_>, find: F, work: W) -> Result<T>
    where
        S: Send + 'static,
        T: Send + 'static,
        F: Fn() -> Option<Running<S>> + Send + Sync + 'static,
        W: Fn(S) -> BoxFuture<'static, Result<T>> + Send + Sync + 'static,
    {
        let fail = |kind, detail: &str| Err(PortError::new(kind, "ask", format!("{} on {}", ask.what, ask.to), detail));
        let (answer, answered) = oneshot::channel();
        let (net, from, to) = (self.clone(), ask.from.clone(), ask.to.clone());
        let work = Arc::new(work);
        let echoed = self.lock().echoed.contains(ask.what);
        self.env.beside(async move {
            if !net.travels(&from, &to).await {
                net.env.sleep(CONNECT_WITHIN).await;
                return drop(answer.send(Err("no answer to the connection")));
            }
            let Some(running) = find() else {
                return drop(answer.send(Err("connection refused")));
            };
            if (echoed || net.env.weather.repeats())
                && let Some(again) = find()
            {
                let (work, env) = (work.clone(), net.env.clone());
                let twin = async move {
                    if echoed || env.chance().happens(400) {
                        env.until_a_claim(LATE).await;
                    }
                    drop(work(again.service).await);
                };
                running.process.spawn("repeated", Box::pin(twin));
            }
            let back = net.clone();
            let serve = async move {
                let result = work(running.service).await;
                let way = back.clone();
                back.env.beside(async move {
                    if way.travels(&to, &from).await {
                        drop(answer.send(Ok(result)));
                    } else {
                        way.env.sleep(SILENCE).await;
                        drop(answer.send(Err("the connection broke")));
                    }
                });
            };
            running.process.spawn("serve", Box::pin(serve));
        });
        let late = std::pin::pin!(self.env.sleep(ask.within));
        match select(answered, late).await {
            Either::Left((Ok(Ok(result)), _)) => result,
            Either::Left((Ok(Err(why)), _)) => fail(ErrorKind::Unavailable, why),
            // The process ended under it.
            Either::Left((Err(_), _)) => {
                if !self.both_ways(ask.from, ask.to) {
                    self.env.sleep(SILENCE).await;
                }
                fail(ErrorKind::Unavailable, "the connection broke")
            }
            Either::Right(_) => fail(ErrorKind::TimedOut, "no answer in time"),
        }
    }
}
