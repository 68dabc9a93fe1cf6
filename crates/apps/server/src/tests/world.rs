//! A server over fakes, and how tests ask it. Time is tokio's, paused: it moves when everybody waits.
#![allow(clippy::disallowed_methods, reason = "the home of the tests' clock")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use axum::response::Response;
use futures::FutureExt as _;
use futures::future::{BoxFuture, Either, select};
use http_body_util::BodyExt as _;
use om_backend::fake::{FakeAgent, FakeAuthority, FakeNames, FakeOrchestrator, FakeSeal, FakeVolumes, World};
use om_backend::{Clock, Entropy, OneAgent, Runtime, Tasks};
use om_control::{Control, Ports, Settings};
use om_controldb::memory::MemoryDb;
use om_model::Timestamp;
use serde_json::Value;
use tower::ServiceExt as _;

use crate::{ServerSettings, Shared, Tokens, figures::Figures};

pub(super) const TOKEN: &str = "the-admin-token";
pub(super) const PLACE: &str = "the/state/admin.token";

/// A server.
pub(super) struct Server {
    pub(super) router: Router,
    pub(super) control: Arc<Control>,
    runtime: Runtime,
}

/// An answer, read to its end.
pub(super) struct Answered {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Answered {
    /// The body as JSON.
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }
}

impl Server {
    pub(super) fn start() -> Self {
        let world = World::new();
        let runtime = runtime();
        let ports = Ports {
            db: Arc::new(MemoryDb::new()),
            runtime: runtime.clone(),
            orchestrator: Arc::new(FakeOrchestrator::new(world.clone())),
            agents: Arc::new(OneAgent {
                agent: Arc::new(FakeAgent::new(world.clone())),
                volumes: Arc::new(FakeVolumes::new(world.clone())),
                names: Arc::new(FakeNames::default()),
            }),
            names: Arc::new(FakeNames::default()),
            seal: Arc::new(FakeSeal),
            authority: Arc::new(FakeAuthority),
        };
        let settings = Settings {
            cluster: "test".parse().expect("a name"),
            zone: "test-openmanage.com".parse().expect("a zone"),
            region: None,
            zones: Vec::new(),
            server_addresses: vec!["127.0.0.1".parse().expect("an address")],
            addresses: om_control::Addressing::Orchestrator,
            detection: om_control::Detection::default(),
            server: "server1".into(),
            several_nodes: false,
        };
        let control = Control::new(ports, settings);
        world.connect(Arc::clone(&control) as Arc<dyn om_backend::ControlPlane>);
        let router = crate::router(Arc::clone(&control), server_settings(runtime.clone()));
        Self { router, control, runtime }
    }

    /// How long it has been there.
    pub(super) fn began(&self) -> Duration {
        self.runtime.clock.monotonic()
    }

    /// Runs a test beside the server's background work.
    pub(super) async fn beside<T>(&self, test: impl Future<Output = T>) -> T {
        match select(Box::pin(test), Arc::clone(&self.control).run().boxed()).await {
            Either::Left((value, _)) => value,
            Either::Right(_) => panic!("the background work ended"),
        }
    }

    /// Sends a request as it is.
    pub(super) async fn send(&self, request: Request<Body>) -> Response {
        self.router.clone().oneshot(request).await.unwrap_or_else(|never| match never {})
    }

    pub(super) async fn answer(&self, request: Request<Body>) -> Answered {
        let response = self.send(request).await;
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = response.into_body().collect().await.expect("a whole body").to_bytes();
        Answered { status, headers, text: String::from_utf8(bytes.to_vec()).expect("text") }
    }

    /// A request with the token.
    pub(super) async fn ask(&self, method: Method, path: &str, body: &str) -> Answered {
        self.answer(request(method, path).body(Body::from(body.to_owned())).expect("a request")).await
    }

    pub(super) async fn get(&self, path: &str) -> Answered {
        self.ask(Method::GET, path, "").await
    }

    pub(super) async fn post(&self, path: &str, body: &str) -> Answered {
        self.ask(Method::POST, path, body).await
    }
}

/// A request with the token, to be completed.
pub(super) fn request(method: Method, path: &str) -> axum::http::request::Builder {
    Request::builder().method(method).uri(path).header(header::AUTHORIZATION, format!("Bearer {TOKEN}"))
}

fn server_settings(runtime: Runtime) -> ServerSettings {
    ServerSettings { tokens: Tokens::new(TOKEN, PLACE), runtime, version: "1.2.3".into() }
}

/// What handlers have, for routers made by a test.
pub(super) fn shared() -> crate::App {
    let control = Server::start().control;
    Arc::new(Shared { control, settings: server_settings(runtime()), figures: Figures::new("1.2.3") })
}

fn runtime() -> Runtime {
    let world = Arc::new(Simple { began: tokio::time::Instant::now(), drawn: std::sync::atomic::AtomicU8::new(0) });
    Runtime { clock: world.clone(), tasks: world.clone(), entropy: world }
}

struct Simple {
    began: tokio::time::Instant,
    drawn: std::sync::atomic::AtomicU8,
}

#[async_trait]
impl Clock for Simple {
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

impl Tasks for Simple {
    fn spawn(&self, _: &'static str, task: BoxFuture<'static, ()>) {
        drop(tokio::spawn(task));
    }
}

impl Entropy for Simple {
    fn fill(&self, buffer: &mut [u8]) {
        for byte in buffer {
            let drawn = self.drawn.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            *byte = drawn.wrapping_mul(101);
        }
    }
}
