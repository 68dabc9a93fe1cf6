//! Figures for Prometheus.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use axum::extract::State;
use axum::http::{Method, StatusCode, header};
use axum::response::IntoResponse;
use futures::lock::Mutex;
use om_api::{Code, Problem};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::App;
use crate::answer::Answer;

type Labels = Vec<(&'static str, String)>;
type Gauges = Family<Labels, Gauge<i64, std::sync::atomic::AtomicI64>>;

/// Entries read at a time when services and operations are counted.
const PAGE: usize = 1000;
/// Services and operations are counted at most this often, however often somebody scrapes.
const COUNT_EVERY: Duration = Duration::from_secs(10);
/// Bounds of the histogram of latencies, in seconds.
const BOUNDS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5, 10.0];

#[derive(Clone)]
struct NewHistogram;

impl MetricConstructor<Histogram> for NewHistogram {
    fn new_metric(&self) -> Histogram {
        Histogram::new(BOUNDS)
    }
}

/// The figures.
pub(crate) struct Figures {
    registry: Registry,
    requests: Family<Labels, Counter<u64, AtomicU64>>,
    latency: Family<Labels, Histogram, NewHistogram>,
    services: Gauges,
    operations: Gauges,
    /// When services and operations were counted last.
    counted: Mutex<Option<Duration>>,
}

impl Figures {
    pub(crate) fn new(version: &str) -> Self {
        let mut registry = Registry::with_prefix("openmanage");
        let figures =
            (Family::default(), Family::new_with_constructor(NewHistogram), Gauges::default(), Gauges::default());
        let (requests, latency, services, operations) = figures;
        let build = Info::new(vec![("version", version.to_owned())]);
        registry.register("build", "The server's build", build);
        registry.register("http_requests", "Requests by method, route and status", Clone::clone(&requests));
        registry.register("http_request_seconds", "Seconds until the answer began, by route", Clone::clone(&latency));
        registry.register("services", "Services by phase", services.clone());
        registry.register("operations", "Operations by kind and state", operations.clone());
        Self { registry, requests, latency, services, operations, counted: Mutex::new(None) }
    }

    /// Counts one request.
    pub(crate) fn count(&self, method: &Method, route: &str, status: StatusCode, took: Duration) {
        let route = || ("route", route.to_owned());
        let labels =
            vec![("method", method_label(method).to_owned()), route(), ("status", status.as_u16().to_string())];
        self.requests.get_or_create(&labels).inc();
        self.latency.get_or_create(&vec![route()]).observe(took.as_secs_f64());
    }
}

/// Methods that are none of the standard ones count as one: callers, also those without a token, make up what they like.
fn method_label(method: &Method) -> &str {
    const STANDARD: [Method; 9] = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::HEAD,
        Method::OPTIONS,
        Method::CONNECT,
        Method::TRACE,
    ];
    if STANDARD.contains(method) { method.as_str() } else { "other" }
}

pub(crate) async fn scrape(State(app): State<App>) -> Answer<impl IntoResponse> {
    refresh(&app).await?;
    let mut text = String::new();
    encode(&mut text, &app.figures.registry).map_err(|error| Problem::new(Code::Internal, error.to_string()))?;
    Ok(([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text))
}

/// Counts services and operations anew, unless that was done a moment ago.
async fn refresh(app: &App) -> Answer<()> {
    let mut counted = app.figures.counted.lock().await;
    let now = app.settings.runtime.clock.monotonic();
    if counted.is_some_and(|last| now.saturating_sub(last) < COUNT_EVERY) {
        return Ok(());
    }
    app.figures.services.clear();
    let mut after = None;
    loop {
        let (page, more) = app.control.services(after.as_ref(), PAGE).await?;
        for service in &page {
            app.figures.services.get_or_create(&vec![("phase", service.phase.as_str().to_owned())]).inc();
        }
        after = page.last().map(|service| service.name.clone());
        if !more {
            break;
        }
    }
    app.figures.operations.clear();
    let mut after = None;
    loop {
        let (page, more) = app.control.operations(None, after.as_ref(), PAGE).await?;
        for operation in &page {
            let state = serde_json::to_value(operation.state).ok().and_then(|state| state.as_str().map(str::to_owned));
            let labels = vec![("kind", operation.kind.to_string()), ("state", state.unwrap_or_default())];
            app.figures.operations.get_or_create(&labels).inc();
        }
        after = page.last().map(|operation| operation.id.clone());
        if !more {
            break;
        }
    }
    *counted = Some(now);
    Ok(())
}
