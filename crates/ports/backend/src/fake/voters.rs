//! Voters on leases within one process: each node's voter is whatever a test puts there.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use om_model::{Incarnation, NodeId};

use super::host::give_way;
use crate::error::{ErrorKind, PortError, Result};
use crate::lease::{Voter, Voters};

/// The voters. Clones are the same voters.
#[derive(Clone, Default)]
pub struct FakeVoters {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    voters: BTreeMap<NodeId, Arc<dyn Voter>>,
    away: BTreeSet<NodeId>,
}

impl FakeVoters {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on `voter` votes for `node`.
    pub fn put(&self, node: NodeId, voter: Arc<dyn Voter>) {
        self.state().voters.insert(node, voter);
    }

    /// Nobody reaches `node` any more, or everybody does again.
    pub fn set_away(&self, node: &NodeId, away: bool) {
        let mut state = self.state();
        if away {
            state.away.insert(node.clone())
        } else {
            state.away.remove(node)
        };
    }
}

impl Voters for FakeVoters {
    fn voter(&self, node: &NodeId, _: SocketAddr) -> Arc<dyn Voter> {
        Arc::new(FakeVoter { voters: self.clone(), node: node.clone() })
    }
}

struct FakeVoter {
    voters: FakeVoters,
    node: NodeId,
}

impl FakeVoter {
    /// The voter, if it can be reached now. Gives way first.
    async fn reach(&self) -> Result<Arc<dyn Voter>> {
        give_way().await;
        let state = self.voters.state();
        let there = state.voters.get(&self.node).filter(|_| !state.away.contains(&self.node));
        let away = || PortError::new(ErrorKind::Unavailable, "ask", format!("voter {}", self.node), "it is away");
        there.cloned().ok_or_else(away)
    }
}

#[async_trait]
impl Voter for FakeVoter {
    async fn renew(&self, holder: &NodeId, life: &Incarnation, roster: u64, term: Duration) -> Result<()> {
        let voter = self.reach().await?;
        let result = voter.renew(holder, life, roster, term).await;
        give_way().await;
        result
    }

    async fn bar(&self, holder: &NodeId, life: &Incarnation, roster: u64, term: Duration) -> Result<Duration> {
        let voter = self.reach().await?;
        let result = voter.bar(holder, life, roster, term).await;
        give_way().await;
        result
    }
}
