//! A node without others: nobody to watch, nobody to vote.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use om_backend::{ErrorKind, PortError, Prober, Result, Voter, Voters};
use om_model::{Incarnation, NodeId};

/// The ports [`Prober`] and [`Voters`] of a machine of its own.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alone;

#[async_trait]
impl Prober for Alone {
    async fn alive(&self, _: IpAddr, _: SocketAddr, _: Duration) -> bool {
        false
    }
}

impl Voters for Alone {
    fn voter(&self, _: &NodeId, _: SocketAddr) -> Arc<dyn Voter> {
        Arc::new(*self)
    }
}

fn nobody(action: &str, holder: &NodeId) -> PortError {
    PortError::new(ErrorKind::Invalid, action, format!("the lease of node {holder}"), "this node is in no cluster")
}

#[async_trait]
impl Voter for Alone {
    async fn renew(&self, holder: &NodeId, _: &Incarnation, _: u64, _: Duration) -> Result<()> {
        Err(nobody("renew", holder))
    }

    async fn bar(&self, holder: &NodeId, _: &Incarnation, _: u64, _: Duration) -> Result<Duration> {
        Err(nobody("bar", holder))
    }
}
