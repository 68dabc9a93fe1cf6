//! Other zones' names, for containers that have no other name server.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::exchange;
use crate::wire::code;

/// How long an upstream has to answer.
const UPSTREAM_LIMIT: Duration = Duration::from_secs(2);

/// Queries waiting for upstreams at once; a further one fails, so that a dead upstream costs bounded memory.
const IN_FLIGHT_MAX: usize = 256;

/// Asks upstream servers, beginning with the one that answered last.
pub(crate) struct Forwarder {
    upstreams: Vec<SocketAddr>,
    preferred: AtomicUsize,
    places: Arc<Semaphore>,
}

impl Forwarder {
    pub(crate) fn new(upstreams: Vec<SocketAddr>) -> Self {
        Self { upstreams, preferred: AtomicUsize::new(0), places: Arc::new(Semaphore::new(IN_FLIGHT_MAX)) }
    }

    /// The right to ask; `None` while too many do.
    pub(crate) fn place(&self) -> Option<OwnedSemaphorePermit> {
        self.places.clone().try_acquire_owned().ok()
    }

    /// The first useful answer of the upstreams that are not in `ours` (a question to ourselves would go round for
    /// ever); failing that, an answer that says why not.
    pub(crate) async fn ask(&self, query: &[u8], ours: &[SocketAddr]) -> Option<Vec<u8>> {
        let first = self.preferred.load(Ordering::Relaxed);
        let mut refusal = None;
        for step in 0..self.upstreams.len() {
            let index = (first + step) % self.upstreams.len();
            let upstream = self.upstreams[index];
            if ours.contains(&upstream) {
                continue;
            }
            match exchange::ask(upstream, query, UPSTREAM_LIMIT).await {
                Ok(answer) if matches!(u16::from(answer[3] & 0xf), code::NOERROR | code::NXDOMAIN) => {
                    self.preferred.store(index, Ordering::Relaxed);
                    return Some(answer);
                }
                Ok(answer) => refusal = Some(answer),
                Err(error) => tracing::debug!(%upstream, %error, "no answer from the upstream name server"),
            }
        }
        refusal
    }
}

/// The name servers of a `resolv.conf`, in its order.
pub fn nameservers(resolv_conf: &str) -> Vec<SocketAddr> {
    resolv_conf
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("nameserver"))
        .filter(|rest| rest.starts_with(char::is_whitespace))
        .filter_map(|rest| rest.split_whitespace().next()?.parse::<IpAddr>().ok())
        .map(|address| SocketAddr::new(address, 53))
        .collect()
}
