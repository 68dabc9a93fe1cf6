//! Joining: with the right token at the right cluster, once, also after a crash.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use om_backend::{Authority, ErrorKind, JoinRequest, Joined, Joining, PeerIdentity, PeerRole, PortError, Result};
use om_tls::RcgenAuthority;
use sha2::{Digest, Sha256};

use super::world::{Cluster, Running, now, peer, request, serve};
use crate::{Identity, Joiner, RemoteJoining, join, joining_router};

/// A server that gives certificates for one secret to the first key.
struct Server {
    cluster: Cluster,
    key: Mutex<Option<Vec<u8>>>,
    /// How many answers are lost on the way.
    lost: Mutex<usize>,
    asked: Mutex<Vec<String>>,
}

impl Server {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            cluster: Cluster::new(),
            key: Mutex::default(),
            lost: Mutex::default(),
            asked: Mutex::default(),
        })
    }

    async fn serve(self: &Arc<Self>) -> Running {
        serve(&self.cluster.server(), joining_router(self.clone())).await
    }

    fn token(&self, secret: &str) -> String {
        let hash = Sha256::digest(self.cluster.authority.certificate.as_bytes());
        let digits: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("OMJ-{}-{secret}", &digits[..32])
    }

    fn note(&self, what: impl ToString) {
        self.asked.lock().expect("no panic").push(what.to_string());
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().expect("no panic"))
    }

    fn sign(&self, peer: PeerIdentity, csr: &str) -> Result<String> {
        RcgenAuthority.sign(&self.cluster.authority, csr, &request(Some(peer), now()))
    }
}

#[async_trait]
impl Joining for Server {
    async fn authority(&self) -> Result<String> {
        self.note("authority");
        Ok(self.cluster.authority.certificate.clone())
    }

    async fn join(&self, request: &JoinRequest) -> Result<Joined> {
        self.note(format!("join {} {}", request.role, request.name));
        let key = RcgenAuthority.requested_key(&request.csr)?;
        let mut known = self.key.lock().expect("no panic");
        if request.token != self.token("secret") || known.get_or_insert_with(|| key.clone()) != &key {
            return Err(PortError::new(ErrorKind::Refused, "join with", "the token", "somebody has used it"));
        }
        let mut lost = self.lost.lock().expect("no panic");
        if *lost > 0 {
            *lost -= 1;
            return Err(PortError::new(ErrorKind::Unavailable, "answer", "the joiner", "the line is down"));
        }
        let certificate = self.sign(peer(request.role, &request.name), &request.csr)?;
        Ok(Joined { certificate, authority: self.cluster.authority.certificate.clone() })
    }

    async fn renew(&self, peer: &PeerIdentity, csr: &str) -> Result<String> {
        self.note(format!("renew {peer}"));
        self.sign(peer.clone(), csr)
    }
}

async fn try_join(running: &Running, token: &str, folder: &Path) -> Result<Arc<Identity>> {
    let servers = [running.url()];
    let joiner = Joiner { servers: &servers, token, role: PeerRole::Agent, name: "node-1", folder };
    join(joiner, &RcgenAuthority).await
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_joiner_has_an_identity_that_lasts_and_renews() {
    let (server, folder) = (Server::new(), tempfile::tempdir().expect("a folder"));
    let (running, state) = (server.serve().await, folder.path().join("state"));
    assert!(Identity::open(&state).expect("readable").is_none());
    let identity = try_join(&running, &server.token("secret"), &state).await.expect("joined");
    assert_eq!(identity.peer(), peer(PeerRole::Agent, "node-1"));
    assert_eq!(server.asked(), ["authority", "join agent node-1"]);
    assert_eq!(names(&state), ["authority.pem", "identity.pem"]);
    let mode = std::fs::metadata(state.join("identity.pem")).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let opened = Identity::open(&state).expect("readable").expect("there");
    assert_eq!((opened.peer(), opened.valid()), (identity.peer(), identity.valid()));
    opened.keep(&state).expect("kept again");
    assert!(Identity::open(&state).expect("readable").is_some());
    // Over the network, the certificate says who renews, not the caller.
    let remote = RemoteJoining::new(&opened, &[running.url()]).expect("a URL");
    let requested = RcgenAuthority.request(None).expect("made");
    let next = remote.renew(&peer(PeerRole::Server, "server-9"), &requested.csr).await.expect("renewed");
    assert_eq!(server.asked(), ["renew agent node-1"]);
    opened.replace(&next, &requested.key).expect("the same process");
}

#[tokio::test]
async fn a_token_serves_once_and_a_lost_answer_may_be_asked_for_again() {
    let (server, folder) = (Server::new(), tempfile::tempdir().expect("a folder"));
    let running = server.serve().await;
    let token = server.token("secret");
    *server.lost.lock().expect("no panic") = 1;
    assert_eq!(try_join(&running, &token, folder.path()).await.expect_err("lost").kind, ErrorKind::Unavailable);
    assert_eq!(names(folder.path()), ["joining.key"]);
    let mode = std::fs::metadata(folder.path().join("joining.key")).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    try_join(&running, &token, folder.path()).await.expect("the same key, after a crash");
    let elsewhere = tempfile::tempdir().expect("a folder");
    let error = try_join(&running, &token, elsewhere.path()).await.expect_err("another key");
    assert!(error.kind == ErrorKind::Refused && error.detail.contains("somebody has used it"), "{error}");
}

#[tokio::test]
async fn the_secret_goes_to_no_server_of_another_authority() {
    let (ours, foreign) = (Server::new(), Server::new());
    let folder = tempfile::tempdir().expect("a folder");
    let running = foreign.serve().await;
    let error = try_join(&running, &ours.token("secret"), folder.path()).await.expect_err("not ours");
    assert!(error.kind == ErrorKind::Refused && error.detail.contains("nothing was sent"), "{error}");
    assert_eq!(foreign.asked(), ["authority"]);
    // One that shows our authority's certificate, but has none from it.
    let between = serve(&foreign.cluster.server(), joining_router(ours.clone())).await;
    let error = try_join(&between, &ours.token("secret"), folder.path()).await.expect_err("not ours");
    assert!(error.kind == ErrorKind::Unavailable && error.to_string().contains("no trusted connection"), "{error}");
    assert_eq!(ours.asked(), ["authority"]);
}

#[tokio::test]
async fn what_is_no_token_is_not_even_tried() {
    let (server, folder) = (Server::new(), tempfile::tempdir().expect("a folder"));
    let running = server.serve().await;
    for bad in ["", "secret", "OMJ-123-secret", &server.token(""), &server.token("secret").replace("OMJ", "OMX")] {
        assert_eq!(try_join(&running, bad, folder.path()).await.expect_err("no token").kind, ErrorKind::Invalid);
    }
    assert_eq!(server.asked(), Vec::<String>::new());
    let padded = format!(" {}\n", server.token("secret"));
    try_join(&running, &padded, folder.path()).await.expect("as copied");
}

#[tokio::test]
async fn only_agents_and_storage_hosts_renew_over_the_network() {
    let server = Server::new();
    let running = server.serve().await;
    let csr = RcgenAuthority.request(None).expect("made").csr;
    let anybody = peer(PeerRole::Agent, "node-1");
    for (role, allowed) in [(PeerRole::Server, false), (PeerRole::Agent, true), (PeerRole::Storage, true)] {
        let remote = RemoteJoining::new(&server.cluster.identity(role, "x"), &[running.url()]).expect("a URL");
        assert_eq!(remote.renew(&anybody, &csr).await.is_ok(), allowed, "{role}");
    }
    let tls = crate::identity::anonymous_client(&server.cluster.authority.certificate).expect("an authority");
    let line = crate::line::Line::new(tls, running.address, crate::dial::Expected::Role(PeerRole::Server));
    let args = crate::wire::joining::Renew { csr };
    assert_eq!(line.ask(&crate::wire::joining::RENEW, &args).await.expect_err("nobody").kind, ErrorKind::Refused);
}

#[test]
fn an_identity_that_others_can_read_is_not_used() {
    let (cluster, folder) = (Cluster::new(), tempfile::tempdir().expect("a folder"));
    cluster.agent().keep(folder.path()).expect("kept");
    let path = folder.path().join("identity.pem");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).expect("changed");
    let error = Identity::open(folder.path()).expect_err("loose");
    assert!(error.kind == ErrorKind::Refused && error.to_string().contains("chmod 600"), "{error}");
}
