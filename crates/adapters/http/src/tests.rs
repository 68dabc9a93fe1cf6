//! Every endpoint over real sockets: requests, refusals, slow clients, drain.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::ConnectInfo;
use axum::routing::get;
use axum::{Extension, Router};
use om_backend::{PeerIdentity, PeerRole};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

use crate::{Endpoint, HttpError, Identify, Listener, Served};

const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);
const DRAIN: Duration = Duration::from_millis(500);

fn router() -> Router {
    Router::new()
        .route("/hello", get(|| async { "hello" }))
        .route("/peer", get(|ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.ip().to_string() }))
        .route(
            "/who",
            get(|who: Option<Extension<PeerIdentity>>| async {
                who.map_or_else(|| "nobody".to_owned(), |Extension(peer)| peer.to_string())
            }),
        )
        .route("/slow", get(|| async { tokio::time::sleep(Duration::from_millis(200)).await }))
        .route("/stuck", get(std::future::pending::<()>))
}

struct Running {
    address: Option<SocketAddr>,
    stop: oneshot::Sender<()>,
    served: JoinHandle<Served>,
}

async fn start(endpoint: &Endpoint) -> Running {
    let listener = Listener::bind(endpoint).await.expect("the endpoint is free");
    let address = listener.local_addr();
    let (stop, stopped) = oneshot::channel::<()>();
    let served = tokio::spawn(listener.serve(router(), async { drop(stopped.await) }, DRAIN));
    Running { address, stop, served }
}

impl Running {
    fn address(&self) -> SocketAddr {
        self.address.expect("TCP")
    }

    async fn stop(self) -> Served {
        drop(self.stop);
        tokio::time::timeout(Duration::from_secs(10), self.served).await.expect("stops in time").expect("no panic")
    }
}

async fn request(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), path: &str) -> String {
    let head = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("answered");
    answer
}

#[tokio::test]
async fn serves_tcp_and_tells_the_client_address() {
    let running = start(&Endpoint::Tcp(LOOPBACK)).await;
    let mut stream = TcpStream::connect(running.address()).await.expect("connects");
    let answer = request(&mut stream, "/peer").await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("127.0.0.1"), "{answer}");
    let address = running.address();
    assert_eq!(running.stop().await, Served { cut: 0 });
    assert!(TcpStream::connect(address).await.is_err(), "still listening after the end");
}

#[tokio::test]
async fn a_taken_port_is_reported_with_its_address_and_what_to_do() {
    let first = Listener::bind(&Endpoint::Tcp(LOOPBACK)).await.expect("free");
    let address = first.local_addr().expect("TCP");
    let error = Listener::bind(&Endpoint::Tcp(address)).await.map(drop).expect_err("taken").to_string();
    assert!(error.contains(&address.to_string()), "{error}");
    assert!(error.contains(&format!("ss -ltnp 'sport = :{}'", address.port())), "{error}");
}

#[tokio::test]
async fn an_address_of_another_machine_is_reported() {
    let foreign = "192.0.2.1:0".parse().expect("an address");
    let error = Listener::bind(&Endpoint::Tcp(foreign)).await.map(drop).expect_err("not ours").to_string();
    assert!(error.contains("192.0.2.1") && error.contains("ip address"), "{error}");
}

#[tokio::test]
async fn serves_tls_to_clients_that_trust_the_certificate_and_no_plain_http() {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("generated");
    let endpoint =
        Endpoint::Tls { address: LOOPBACK, certificate: made.cert.pem(), key: made.signing_key.serialize_pem() };
    let running = start(&endpoint).await;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).expect("a certificate");
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(config));
    let name = |text: &'static str| ServerName::try_from(text).expect("a name");
    let stream = TcpStream::connect(running.address()).await.expect("connects");
    let mut stream = connector.connect(name("localhost"), stream).await.expect("trusted");
    assert!(request(&mut stream, "/hello").await.ends_with("hello"));
    let stream = TcpStream::connect(running.address()).await.expect("connects");
    assert!(connector.connect(name("elsewhere"), stream).await.is_err(), "a wrong name was trusted");
    let mut plain = TcpStream::connect(running.address()).await.expect("connects");
    plain.write_all(b"GET /hello HTTP/1.1\r\nhost: test\r\n\r\n").await.expect("sent");
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"), "plain HTTP was answered");
    running.stop().await;
}

#[tokio::test]
async fn handlers_learn_who_a_client_is_by_its_certificate_and_by_nothing_else() {
    let provider = || Arc::new(rustls::crypto::ring::default_provider());
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("generated");
    let (chain, key) = (vec![made.cert.der().clone()], made.signing_key.serialize_der());
    let key = || PrivateKeyDer::try_from(key.clone()).expect("a key");
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).expect("a certificate");
    let roots = Arc::new(roots);
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider()).allow_unauthenticated();
    let server = rustls::ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_client_cert_verifier(verifier.build().expect("roots"))
        .with_single_cert(chain.clone(), key())
        .expect("a key");
    let identify: Identify = |der| Some(PeerIdentity { role: PeerRole::Agent, name: der.len().to_string() });
    let endpoint = Endpoint::MutualTls { address: LOOPBACK, tls: Arc::new(server), identify };
    let running = start(&endpoint).await;
    let client = || {
        let builder = rustls::ClientConfig::builder_with_provider(provider());
        builder.with_safe_default_protocol_versions().expect("versions").with_root_certificates(roots.clone())
    };
    let known = client().with_client_auth_cert(chain.clone(), key()).expect("a key");
    let agent = format!("agent {}", chain[0].len());
    for (config, expected) in [(known, agent.as_str()), (client().with_no_client_auth(), "nobody")] {
        let stream = TcpStream::connect(running.address()).await.expect("connects");
        let name = ServerName::try_from("localhost").expect("a name");
        let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("trusted");
        let answer = request(&mut stream, "/who").await;
        assert!(answer.ends_with(expected), "{answer}");
    }
    running.stop().await;
}

#[tokio::test]
async fn a_key_that_does_not_belong_is_refused() {
    let make = || rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("generated");
    let (one, other) = (make(), make());
    for (certificate, key) in [
        (one.cert.pem(), other.signing_key.serialize_pem()),
        (one.cert.pem(), "no key".to_owned()),
        (String::new(), one.signing_key.serialize_pem()),
    ] {
        let endpoint = Endpoint::Tls { address: LOOPBACK, certificate, key };
        let error = Listener::bind(&endpoint).await.map(drop).expect_err("unusable");
        assert!(matches!(error, HttpError::Certificate { .. }), "{error}");
    }
}

#[tokio::test]
async fn serves_a_unix_socket_with_its_mode_and_removes_it_at_the_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("api.sock");
    let running = start(&Endpoint::Unix { path: path.clone(), mode: 0o600 }).await;
    assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
    let mut stream = UnixStream::connect(&path).await.expect("connects");
    assert!(request(&mut stream, "/hello").await.ends_with("hello"));
    running.stop().await;
    assert_eq!(std::fs::read_dir(folder.path()).expect("there").count(), 0, "files were left behind");
}

#[tokio::test]
async fn a_stale_socket_is_replaced_a_live_one_and_a_file_are_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("api.sock");
    let endpoint = Endpoint::Unix { path: path.clone(), mode: 0o660 };
    drop(std::os::unix::net::UnixListener::bind(&path).expect("bound"));
    assert!(path.exists(), "the socket of a killed server stays");
    let live = start(&endpoint).await;
    let error = Listener::bind(&endpoint).await.map(drop).expect_err("taken").to_string();
    assert!(error.contains("api.sock") && error.contains("ss -lxp"), "{error}");
    let mut stream = UnixStream::connect(&path).await.expect("the first still has it");
    assert!(request(&mut stream, "/hello").await.ends_with("hello"));
    live.stop().await;
    std::fs::write(&path, "precious").expect("written");
    assert!(Listener::bind(&endpoint).await.is_err());
    assert_eq!(std::fs::read_to_string(&path).expect("there"), "precious");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_that_bind_the_same_socket_one_wins() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("api.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).expect("a stale one"));
    let endpoint = Endpoint::Unix { path, mode: 0o600 };
    let tries = (0..8).map(|_| {
        let endpoint = endpoint.clone();
        tokio::spawn(async move { Listener::bind(&endpoint).await })
    });
    let won = futures::future::join_all(tries).await.into_iter().filter(|end| matches!(end, Ok(Ok(_)))).count();
    assert_eq!(won, 1);
}

#[tokio::test]
async fn a_client_that_never_finishes_its_head_is_cut_off_and_a_huge_head_refused() {
    let running = start(&Endpoint::Tcp(LOOPBACK)).await;
    let mut slow = TcpStream::connect(running.address()).await.expect("connects");
    slow.write_all(b"GET /hello HTTP/1.1\r\nhost: te").await.expect("sent");
    let mut silent = TcpStream::connect(running.address()).await.expect("connects");
    let mut answer = Vec::new();
    let end = async { (slow.read_to_end(&mut answer).await, silent.read_to_end(&mut Vec::new()).await) };
    assert!(tokio::time::timeout(Duration::from_secs(20), end).await.is_ok(), "slow clients hold their connections");
    let mut huge = TcpStream::connect(running.address()).await.expect("connects");
    let head = format!("GET /hello HTTP/1.1\r\nhost: test\r\nx: {}\r\n\r\n", "y".repeat(1 << 20));
    let _ = huge.write_all(head.as_bytes()).await;
    let mut answer = String::new();
    let _ = huge.read_to_string(&mut answer).await;
    assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
    running.stop().await;
}

#[tokio::test]
async fn shutdown_lets_requests_end_and_cuts_off_those_that_do_not() {
    let running = start(&Endpoint::Tcp(LOOPBACK)).await;
    let address = running.address();
    let ask = |path: &'static str| async move {
        let mut stream = TcpStream::connect(address).await.expect("connects");
        let head = format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n");
        stream.write_all(head.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer).await;
        answer
    };
    let slow = tokio::spawn(ask("/slow"));
    let stuck = tokio::spawn(ask("/stuck"));
    tokio::time::sleep(Duration::from_millis(100)).await;
    let before = Instant::now();
    assert_eq!(running.stop().await, Served { cut: 1 });
    assert!(before.elapsed() >= DRAIN);
    assert!(slow.await.expect("no panic").starts_with("HTTP/1.1 200"));
    assert_eq!(stuck.await.expect("no panic"), "");
}
