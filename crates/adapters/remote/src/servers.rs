//! The servers as one: the last that answered is asked first, the next when it fails or keeps silent.
//!
//! **Invariant:** an answer, also a refusal, is final; only what may pass is asked of another server. A call may thus reach
//! two servers, which is as good as one: calls are idempotent.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use om_backend::{ErrorKind, PeerRole, PortError, Result};
use rustls::ClientConfig;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::dial::Expected;
use crate::line::{Line, encode};
use crate::wire::Call;

/// A server that has not answered for so long is waited for further, but the next one is asked too.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where servers answer unless their URL says otherwise.
const PORT: u16 = 27040;

/// Lines to every server.
pub(crate) struct Servers {
    lines: Vec<Line>,
    /// The one that answered last.
    good: AtomicUsize,
}

impl Servers {
    /// The servers at `urls`, trusted and shown what `tls` says.
    pub(crate) fn new(tls: &Arc<ClientConfig>, urls: &[impl AsRef<str>]) -> Result<Arc<Self>> {
        let line = |url: &str| Ok(Line::new(tls.clone(), address(url)?, Expected::Role(PeerRole::Server)));
        let lines = urls.iter().map(|url| line(url.as_ref())).collect::<Result<_>>()?;
        Ok(Arc::new(Self { lines, good: AtomicUsize::new(0) }))
    }

    /// Carries out `call` on one of them.
    pub(crate) async fn ask<A: Serialize, T: DeserializeOwned>(&self, call: &Call<A, T>, args: &A) -> Result<T> {
        let (server, answer) = self.post(call.path, call.limit(), encode(call.path, args)?).await?;
        self.lines[server].decode(call.path, &answer)
    }

    async fn post(&self, path: &str, limit: Duration, body: Bytes) -> Result<(usize, Bytes)> {
        let first = self.good.load(Ordering::Relaxed);
        let mut next = (0..self.lines.len()).map(|step| (first + step) % self.lines.len());
        let mut asked = FuturesUnordered::new();
        let mut failures: Vec<PortError> = Vec::new();
        loop {
            let patience = match next.next() {
                Some(server) => {
                    let (line, body) = (&self.lines[server], body.clone());
                    asked.push(async move { (server, line.post(path, limit, body).await) });
                    PATIENCE
                }
                // Each call ends within its own limit.
                None => limit * 2,
            };
            match tokio::time::timeout(patience, asked.next()).await {
                Ok(Some((_, Err(error)))) if error.may_pass() => failures.push(error),
                Ok(Some((server, answer))) => {
                    self.good.store(server, Ordering::Relaxed);
                    return answer.map(|answer| (server, answer));
                }
                Ok(None) => return Err(nobody(path, &failures)),
                Err(_) => {}
            }
        }
    }
}

/// `https://host[:port]`, or without the scheme, as `host:port`.
fn address(url: &str) -> Result<String> {
    let refuse = |detail: &str| {
        PortError::new(ErrorKind::Invalid, "use", format!("the server URL {url:?}"), detail)
            .advise("give it as https://host:27040")
    };
    let rest = url.trim().trim_end_matches('/');
    let rest = match rest.split_once("://") {
        Some(("https", rest)) => rest,
        Some(_) => return Err(refuse("it is not https")),
        None => rest,
    };
    if rest.is_empty() || rest.contains('/') {
        return Err(refuse("it is not a host with a port"));
    }
    // An IPv6 address stands in brackets.
    let port = rest.rsplit_once(':').filter(|(_, port)| !port.contains(']'));
    match port {
        Some((_, port)) if port.parse::<u16>().is_ok() => Ok(rest.to_owned()),
        Some(_) => Err(refuse("its port is not a number below 65536")),
        None => Ok(format!("{rest}:{PORT}")),
    }
}

fn nobody(path: &str, failures: &[PortError]) -> PortError {
    // If one of them may have done it, the caller is told what kind of doubt there is.
    let kind = match failures.iter().all(|error| error.kind == ErrorKind::TimedOut) && !failures.is_empty() {
        true => ErrorKind::TimedOut,
        false => ErrorKind::Unavailable,
    };
    let tried: Vec<_> = failures.iter().map(ToString::to_string).collect();
    let detail = if tried.is_empty() { "no server is configured".to_owned() } else { tried.join("; ") };
    PortError::new(kind, "call", format!("{path} of any server"), detail)
        .advise("check that a server runs and that this machine reaches it")
}
