//! An authority, processes of its cluster, and routers served to them.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use om_backend::{Authority, CertificateRequest, Issued, PeerIdentity, PeerRole};
use om_http::{Endpoint, Listener};
use om_model::Timestamp;
use om_tls::RcgenAuthority;
use tokio::sync::oneshot;

use crate::{Identity, peer_of};

pub(super) const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

pub(super) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    Timestamp::from_millis(u64::try_from(since.as_millis()).expect("small"))
}

pub(super) fn days_ago(days: u64) -> Timestamp {
    Timestamp::from_millis(now().as_millis() - days * 86_400_000)
}

pub(super) fn peer(role: PeerRole, name: &str) -> PeerIdentity {
    PeerIdentity { role, name: name.to_owned() }
}

/// A cluster's authority.
pub(super) struct Cluster {
    pub(super) authority: Issued,
}

impl Cluster {
    pub(super) fn new() -> Self {
        let request = request(None, now());
        Self { authority: RcgenAuthority.found(&request).expect("founded") }
    }

    pub(super) fn issue(&self, peer: Option<PeerIdentity>, from: Timestamp) -> Issued {
        RcgenAuthority.issue(&self.authority, &request(peer, from)).expect("issued")
    }

    /// A process whose certificate was made 10 days ago and is good for 30 days.
    pub(super) fn identity(&self, role: PeerRole, name: &str) -> Arc<Identity> {
        self.identity_from(role, name, days_ago(10))
    }

    pub(super) fn identity_from(&self, role: PeerRole, name: &str, from: Timestamp) -> Arc<Identity> {
        let own = self.issue(Some(peer(role, name)), from);
        Identity::new(&own.certificate, &own.key, &self.authority.certificate).expect("an identity")
    }

    pub(super) fn agent(&self) -> Arc<Identity> {
        self.identity(PeerRole::Agent, "node-1")
    }

    pub(super) fn server(&self) -> Arc<Identity> {
        self.identity(PeerRole::Server, "server-1")
    }
}

pub(super) fn request(peer: Option<PeerIdentity>, from: Timestamp) -> CertificateRequest {
    CertificateRequest { subject: "test".into(), names: vec![], addresses: vec![], peer, from, days: 30 }
}

/// A router that is served until this is dropped.
pub(super) struct Running {
    pub(super) address: SocketAddr,
    _stop: oneshot::Sender<()>,
}

impl Running {
    pub(super) fn url(&self) -> String {
        format!("https://{}", self.address)
    }
}

pub(super) async fn serve(identity: &Identity, router: Router) -> Running {
    let endpoint = Endpoint::MutualTls { address: LOOPBACK, tls: identity.server_config(), identify: peer_of };
    let listener = Listener::bind(&endpoint).await.expect("free");
    let address = listener.local_addr().expect("TCP");
    let (stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(listener.serve(router, async { drop(stopped.await) }, Duration::from_millis(10)));
    Running { address, _stop: stop }
}
