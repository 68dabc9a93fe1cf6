//! A server that listens, over the real control code and fakes, with the files that it leaves for the command line.
#![allow(clippy::disallowed_methods, reason = "the home of these tests' clock, tasks and chance")]

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;
use om_backend::fake::{FakeAgent, FakeAuthority, FakeNames, FakeOrchestrator, FakeSeal, FakeVolumes, World};
use om_backend::{Clock, Entropy, OneAgent, Runtime, Tasks};
use om_client::{Client, ClientSettings};
use om_control::{Control, Ports, Settings};
use om_controldb::memory::MemoryDb;
use om_model::Timestamp;
use om_server::{ServerSettings, Tokens};

use crate::{Environment, LookUp, Outcome, SERVER_FILE, ServerFile, TOKEN_FILE};

const TOKEN: &str = "the-admin-token";
const ZONE: &str = "test-openmanage.com";

/// A server that listens until the test ends.
pub(super) struct Running {
    pub(super) state: tempfile::TempDir,
    pub(super) world: World,
    pub(super) port: u16,
}

impl Running {
    pub(super) async fn start() -> Self {
        // Whoever is first installs it; that somebody was is all that counts.
        drop(rustls::crypto::ring::default_provider().install_default());
        let world = World::new();
        let control = Control::new(ports(&world), settings());
        world.connect(Arc::clone(&control) as Arc<dyn om_backend::ControlPlane>);
        tokio::spawn(Arc::clone(&control).run());
        let tokens = Tokens::new(TOKEN, "the state directory");
        let router = om_server::router(control, ServerSettings { tokens, runtime: runtime(), version: "0.0.0".into() });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        tokio::spawn(async move { axum::serve(listener, router).await });

        let state = tempfile::tempdir().expect("a folder");
        let dns = Some("127.0.0.54:53".parse().expect("an address"));
        let url = format!("http://127.0.0.1:{port}");
        let file = ServerFile { url, cluster: "test".into(), zone: ZONE.into(), dns, ca: None };
        std::fs::write(state.path().join(SERVER_FILE), serde_json::to_vec(&file).expect("plain data")).expect("writes");
        std::fs::write(state.path().join(TOKEN_FILE), format!("{TOKEN}\n")).expect("writes");
        Self { state, world, port }
    }

    /// The exit code of a command line.
    pub(super) async fn code(&self, line: &str) -> u8 {
        let args = line.split_whitespace().map(Into::into).collect();
        let state_dir = self.state.path().to_owned();
        let environment = Environment { state_dir, runtime: runtime(), look_up: Arc::new(Zone) };
        match crate::main(args, environment).await {
            Outcome::Exit(code) => code,
            Outcome::Local(command) => panic!("{line} is local: {command:?}"),
        }
    }

    /// A client beside the command line, to see what it did.
    pub(super) fn client(&self) -> Client {
        let server = format!("127.0.0.1:{}", self.port).parse().expect("an address");
        let settings =
            ClientSettings { server, token: Some(TOKEN.into()), ca: None, resolver: None, runtime: runtime() };
        Client::new(settings).expect("a client")
    }
}

fn ports(world: &World) -> Ports {
    Ports {
        db: Arc::new(MemoryDb::new()),
        runtime: runtime(),
        orchestrator: Arc::new(FakeOrchestrator::new(world.clone())),
        agents: Arc::new(OneAgent {
            agent: Arc::new(FakeAgent::new(world.clone())),
            volumes: Arc::new(FakeVolumes::new(world.clone())),
            names: Arc::new(FakeNames::default()),
        }),
        names: Arc::new(FakeNames::default()),
        seal: Arc::new(FakeSeal),
        authority: Arc::new(FakeAuthority),
    }
}

fn settings() -> Settings {
    Settings {
        cluster: "test".parse().expect("a name"),
        zone: ZONE.parse().expect("a zone"),
        region: None,
        zones: Vec::new(),
        server_addresses: vec!["127.0.0.1".parse().expect("an address")],
        addresses: om_control::Addressing::Orchestrator,
        detection: om_control::Detection::default(),
        server: "server1".into(),
        several_nodes: false,
    }
}

/// A DNS server that knows the server's two names only.
struct Zone;

#[async_trait]
impl LookUp for Zone {
    async fn look_up(&self, _: SocketAddr, host: &str) -> Result<Vec<IpAddr>, String> {
        let ours =
            ["openmanage-manageserver", "openmange-manageserver"].iter().any(|name| host == format!("{name}.{ZONE}"));
        if ours { Ok(vec!["127.0.0.1".parse().expect("an address")]) } else { Err("no such name".into()) }
    }
}

fn runtime() -> Runtime {
    let real = Arc::new(Real { began: std::time::Instant::now() });
    Runtime { clock: real.clone(), tasks: real.clone(), entropy: real }
}

struct Real {
    began: std::time::Instant,
}

#[async_trait]
impl Clock for Real {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000).plus(self.began.elapsed())
    }

    fn monotonic(&self) -> Duration {
        self.began.elapsed()
    }

    async fn sleep(&self, length: Duration) {
        tokio::time::sleep(length).await;
    }
}

impl Tasks for Real {
    fn spawn(&self, _: &'static str, task: BoxFuture<'static, ()>) {
        drop(tokio::spawn(task));
    }
}

/// Differs from call to call, which is all that identities need here.
impl Entropy for Real {
    fn fill(&self, buffer: &mut [u8]) {
        static DRAWN: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
        for byte in buffer {
            let drawn = DRAWN.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            *byte = drawn.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()[0];
        }
    }
}
