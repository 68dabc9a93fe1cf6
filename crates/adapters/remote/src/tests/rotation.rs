//! Certificates change while everything runs.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;
use om_backend::{
    Authority, Clock, ControlPlane, Entropy, ErrorKind, JoinRequest, Joined, Joining, PeerIdentity, PeerRole,
    PortError, Result, Runtime, Tasks,
};
use om_model::Timestamp;
use om_tls::RcgenAuthority;
use rustls::pki_types::ServerName;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::recorder::{Recorder, report};
use super::world::{Cluster, days_ago, now, peer, request, serve};
use crate::certificate::validity;
use crate::{Identity, RemoteControlPlane, control_plane_router, keep_renewed};

const DAY: Duration = Duration::from_secs(86_400);

/// What each side of a new connection shows: the server's certificate and the client's.
async fn shown(client: &Identity, server: &Identity) -> [Vec<u8>; 2] {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let name = ServerName::try_from(server.peer().role.dns_name()).expect("a name");
    let connect = TlsConnector::from(client.client_config()).connect(name, near);
    let accept = TlsAcceptor::from(server.server_config()).accept(far);
    let (near, far) = futures::future::join(connect, accept).await;
    let (near, far) = (near.expect("connected"), far.expect("accepted"));
    let first = |certificates: Option<&[rustls::pki_types::CertificateDer<'_>]>| {
        certificates.expect("one is shown").first().expect("one is shown").to_vec()
    };
    [first(near.get_ref().1.peer_certificates()), first(far.get_ref().1.peer_certificates())]
}

fn replace(cluster: &Cluster, identity: &Identity) {
    let next = cluster.issue(Some(identity.peer()), now());
    identity.replace(&next.certificate, &next.key).expect("replaced");
}

#[tokio::test]
async fn the_next_connection_shows_the_new_certificate_on_both_sides() {
    let cluster = Cluster::new();
    let (agent, server) = (cluster.agent(), cluster.server());
    let [of_server, of_agent] = shown(&agent, &server).await;
    assert_eq!(shown(&agent, &server).await, [of_server.clone(), of_agent.clone()]);
    replace(&cluster, &server);
    let [now_server, now_agent] = shown(&agent, &server).await;
    assert!(now_server != of_server && now_agent == of_agent);
    replace(&cluster, &agent);
    let [then_server, then_agent] = shown(&agent, &server).await;
    assert!(then_server == now_server && then_agent != of_agent);
    let (from, _) = validity(&then_agent).expect("a certificate");
    assert!(from > days_ago(1));
}

#[tokio::test]
async fn what_runs_goes_on_with_a_certificate_in_place_of_one_that_is_over() {
    let (cluster, recorder) = (Cluster::new(), Arc::new(Recorder::default()));
    let server = cluster.identity_from(PeerRole::Server, "server-1", days_ago(31));
    let agent = cluster.identity_from(PeerRole::Agent, "node-1", days_ago(31));
    let running = serve(&server, control_plane_router(recorder.clone())).await;
    let plane = RemoteControlPlane::new(&agent, &[running.url()]).expect("a URL");
    assert!(plane.report(&report("node-1")).await.is_err(), "the server's is over");
    replace(&cluster, &server);
    assert!(plane.report(&report("node-1")).await.is_err(), "the agent's is over");
    replace(&cluster, &agent);
    assert!(plane.report(&report("node-1")).await.is_ok());
}

#[test]
fn nobody_becomes_another_by_a_new_certificate() {
    let cluster = Cluster::new();
    let agent = cluster.agent();
    let before = agent.pem();
    for other in [peer(PeerRole::Agent, "node-2"), peer(PeerRole::Server, "node-1")] {
        let next = cluster.issue(Some(other), now());
        assert_eq!(agent.replace(&next.certificate, &next.key).expect_err("another").kind, ErrorKind::Invalid);
    }
    let (one, two) = (cluster.issue(Some(agent.peer()), now()), cluster.issue(Some(agent.peer()), now()));
    let error = agent.replace(&one.certificate, &two.key).expect_err("another's key");
    assert!(error.kind == ErrorKind::Invalid && !format!("{error:?}").contains(two.key.lines().nth(1).expect("PEM")));
    assert!(agent.pem() == before, "a bad certificate replaced a good one");
}

/// Time that moves only by sleeping.
struct Sleeper(AtomicU64);

#[async_trait]
impl Clock for Sleeper {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Relaxed))
    }
    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }
    async fn sleep(&self, length: Duration) {
        self.0.fetch_add(u64::try_from(length.as_millis()).expect("small"), Ordering::Relaxed);
        tokio::task::yield_now().await;
    }
}

impl Tasks for Sleeper {
    fn spawn(&self, _: &'static str, _: BoxFuture<'static, ()>) {
        unreachable!("nothing is spawned");
    }
}

impl Entropy for Sleeper {
    fn fill(&self, _: &mut [u8]) {
        unreachable!("no chance is needed");
    }
}

/// Renews, but fails the first time; keeps when each was asked for.
struct Renewer {
    cluster: Cluster,
    clock: Arc<Sleeper>,
    asked: Mutex<Vec<Timestamp>>,
}

#[async_trait]
impl Joining for Renewer {
    async fn authority(&self) -> Result<String> {
        unreachable!("it is known");
    }
    async fn join(&self, _: &JoinRequest) -> Result<Joined> {
        unreachable!("it has joined");
    }
    async fn renew(&self, peer: &PeerIdentity, csr: &str) -> Result<String> {
        let now = self.clock.now();
        self.asked.lock().expect("no panic").push(now);
        if self.asked.lock().expect("no panic").len() == 1 {
            return Err(PortError::new(ErrorKind::Unavailable, "renew", peer, "the servers are away"));
        }
        RcgenAuthority.sign(&self.cluster.authority, csr, &request(Some(peer.clone()), now))
    }
}

#[tokio::test]
async fn a_certificate_is_renewed_at_two_thirds_of_its_time_again_and_again() {
    let (cluster, start) = (Cluster::new(), now());
    let identity = cluster.identity_from(PeerRole::Agent, "node-1", start);
    let first = identity.pem();
    let folder = tempfile::tempdir().expect("a folder");
    identity.keep(folder.path()).expect("kept");
    let clock = Arc::new(Sleeper(AtomicU64::new(start.as_millis())));
    let renewer = Arc::new(Renewer { cluster, clock: clock.clone(), asked: Mutex::default() });
    let runtime = Runtime { clock: clock.clone(), tasks: clock.clone(), entropy: clock.clone() };
    let kept = Some(folder.path().to_owned());
    let loops = keep_renewed(identity.clone(), kept, renewer.clone(), Arc::new(RcgenAuthority), runtime);
    let ended = async {
        while clock.now() < start.plus(DAY * 45) {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! { () = loops => unreachable!("it does not end"), () = ended => {} }
    let asked: Vec<_> = renewer.asked.lock().expect("no panic").iter().map(|at| at.since(start)).collect();
    assert_eq!(asked.len(), 3, "{asked:?}");
    // A certificate is valid from an hour before it is made.
    assert!(asked[0] > DAY * 199 / 10 && asked[0] < DAY * 201 / 10, "{asked:?}");
    assert_eq!(asked[1] - asked[0], Duration::from_secs(60), "a failure is tried again soon");
    assert!(asked[2] - asked[1] > DAY * 199 / 10 && asked[2] - asked[1] < DAY * 201 / 10, "{asked:?}");
    let (now, on_disk) = (identity.pem(), Identity::open(folder.path()).expect("readable").expect("there"));
    assert!(now.0 != first.0 && now.1 != first.1, "certificate and key are new");
    assert_eq!(on_disk.valid(), identity.valid());
}
