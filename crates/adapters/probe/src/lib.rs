//! Asks machines for signs of life: ICMP echoes, and TCP where those are not answered.
//!
//! [`NetProber`] implements the `Prober` port. `echo` sends echoes and takes the replies in, `knock` asks the agent's port.
//! Both are repeated several times within one call, so that the loss of every third packet is not taken for death: with
//! an echo every 60 ms, a call of 300 ms that finds a living machine silent has lost five round trips in a row, and its
//! knocks as well.
//!
//! **Invariant:** only an answer of the machine asked is a sign of life. "No route", "host unreachable" and silence are
//! none, whoever says so.

#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, reason = "an adapter of the network: its time-outs and pauses are real")]

mod echo;
mod knock;

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::{pending, select};
use om_backend::Prober;

/// The share of a call's time after which it is also knocked.
const KNOCK_AFTER: u32 = 3;

/// Probes over the network namespace that it is called in.
#[derive(Debug, Default)]
pub struct NetProber {
    /// Tells one call's echoes from another's.
    calls: AtomicU16,
}

#[async_trait]
impl Prober for NetProber {
    async fn alive(&self, address: IpAddr, agent: SocketAddr, within: Duration) -> bool {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        let echo = async {
            // Without the right to send echoes, or without a route, there is still the knocking.
            if echo::answered(address, call).await.is_err() {
                pending::<()>().await;
            }
        };
        let knock = async {
            tokio::time::sleep(within / KNOCK_AFTER).await;
            knock::answered(agent, within / KNOCK_AFTER).await;
        };
        let (echo, knock) = (std::pin::pin!(echo), std::pin::pin!(knock));
        tokio::time::timeout(within, select(echo, knock)).await.is_ok()
    }
}

#[cfg(test)]
mod tests;
