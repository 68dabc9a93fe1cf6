//! Several servers: whichever answers will do.

use std::sync::Arc;
use std::time::{Duration, Instant};

use om_backend::{ControlPlane, ErrorKind, PortError};
use tokio::net::TcpListener;

use super::recorder::{Recorder, member, report, service};
use super::world::{Cluster, LOOPBACK, Running, serve};
use crate::{RemoteControlPlane, control_plane_router};

struct Server {
    recorder: Arc<Recorder>,
    running: Running,
}

async fn server(cluster: &Cluster) -> Server {
    let recorder = Arc::new(Recorder::default());
    let running = serve(&cluster.server(), control_plane_router(recorder.clone())).await;
    Server { recorder, running }
}

fn plane(cluster: &Cluster, urls: &[String]) -> RemoteControlPlane {
    RemoteControlPlane::new(&cluster.agent(), urls).expect("URLs")
}

fn unavailable() -> PortError {
    PortError::new(ErrorKind::Unavailable, "read", "the database", "it is away")
}

#[tokio::test]
async fn the_next_server_is_asked_and_stays_the_first() {
    let cluster = Cluster::new();
    let (one, two) = (server(&cluster).await, server(&cluster).await);
    let plane = plane(&cluster, &[one.running.url(), two.running.url()]);
    plane.report(&report("node-1")).await.expect("answered");
    assert_eq!((one.recorder.asked().len(), two.recorder.asked().len()), (1, 0));
    one.recorder.fail(unavailable());
    plane.report(&report("node-1")).await.expect("the other answers");
    assert_eq!((one.recorder.asked().len(), two.recorder.asked().len()), (1, 1));
    plane.report(&report("node-1")).await.expect("answered");
    assert_eq!((one.recorder.asked().len(), two.recorder.asked().len()), (0, 1), "the last good one is first");
    *one.recorder.failure.lock().expect("no panic") = None;
    drop(two);
    tokio::time::sleep(Duration::from_millis(100)).await;
    plane.report(&report("node-1")).await.expect("back to the first: the second has ended");
    assert_eq!(one.recorder.asked().len(), 1);
}

#[tokio::test]
async fn a_refusal_is_an_answer() {
    let cluster = Cluster::new();
    let (one, two) = (server(&cluster).await, server(&cluster).await);
    let refusal = PortError::new(ErrorKind::Refused, "publish", "it", "the epoch has moved on");
    one.recorder.fail(refusal.clone());
    let plane = plane(&cluster, &[one.running.url(), two.running.url()]);
    assert_eq!(plane.publish(&service(), &member(), om_model::Epoch::new(1)).await, Err(refusal));
    assert!(two.recorder.asked().is_empty());
}

#[tokio::test]
async fn one_that_keeps_silent_costs_a_second() {
    let cluster = Cluster::new();
    let (silent, slow, quick) =
        (TcpListener::bind(LOOPBACK).await.expect("free"), server(&cluster).await, server(&cluster).await);
    // The one takes connections and says nothing; the other takes calls and never ends them.
    *slow.recorder.delay.lock().expect("no panic") = Duration::from_secs(60);
    let silent = format!("https://{}", silent.local_addr().expect("bound"));
    let plane = plane(&cluster, &[silent, slow.running.url(), quick.running.url()]);
    let before = Instant::now();
    plane.report(&report("node-1")).await.expect("the third answers");
    assert!(before.elapsed() < Duration::from_millis(2900), "{:?}", before.elapsed());
    let before = Instant::now();
    plane.report(&report("node-1")).await.expect("answered");
    assert!(before.elapsed() < Duration::from_millis(500), "the silent one was asked again");
}

#[tokio::test]
async fn with_none_left_the_error_names_them_all() {
    let cluster = Cluster::new();
    let one = server(&cluster).await;
    one.recorder.fail(unavailable());
    let closed = TcpListener::bind(LOOPBACK).await.expect("free").local_addr().expect("bound");
    let urls = [one.running.url(), format!("https://{closed}")];
    let error = plane(&cluster, &urls).report(&report("node-1")).await.expect_err("nobody");
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(error.detail.contains("it is away") && error.detail.contains(&closed.to_string()), "{error}");
    let error = plane(&cluster, &[]).report(&report("node-1")).await.expect_err("nobody");
    assert!(error.detail.contains("no server is configured"), "{error}");
}

#[test]
fn urls_are_checked() {
    let cluster = Cluster::new();
    let new = |url: &str| RemoteControlPlane::new(&cluster.agent(), &[url]);
    for good in ["https://a.b:27040", "https://a.b", "https://[fd00::1]", "10.0.0.1:1/", "[fd00::1]:27040"] {
        assert!(new(good).is_ok(), "{good}");
    }
    for bad in ["http://a:1", "", "https://", "https://a:b", "https://a:99999", "https://a:1/v1"] {
        assert_eq!(new(bad).map(drop).expect_err(bad).kind, ErrorKind::Invalid);
    }
}
