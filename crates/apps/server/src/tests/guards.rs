//! What every request passes: panics, time, silence.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;
use futures::StreamExt as _;
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

use super::world::{Server, request, shared};
use crate::guard;

async fn status(router: &Router, path: &str) -> (StatusCode, String) {
    let request = Request::builder().uri(path).body(Body::empty()).expect("a request");
    let response = router.clone().oneshot(request).await.expect("an answer");
    let status = response.status();
    let bytes = response.into_body().collect().await.expect("a body").to_bytes();
    (status, String::from_utf8_lossy(&bytes).into_owned())
}

async fn panics() -> &'static str {
    panic!("a secret detail")
}

#[tokio::test(start_paused = true)]
async fn a_panic_ends_one_request_and_tells_nothing_of_itself() {
    let router = Router::new().route("/panic", get(panics)).route("/fine", get(|| async { "fine" }));
    let router = router.layer(from_fn(guard::catch_panics));
    let (code, text) = status(&router, "/panic").await;
    assert_eq!(code, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(text.contains("\"code\":\"internal\"") && !text.contains("secret"), "{text}");
    assert_eq!(status(&router, "/fine").await.0, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_request_without_end_is_ended() {
    let router: Router = Router::new()
        .route("/slow", get(futures::future::pending::<&'static str>))
        .layer(from_fn_with_state(shared(), guard::limit_and_measure));
    let (code, text) = status(&router, "/slow").await;
    assert_eq!(code, StatusCode::GATEWAY_TIMEOUT);
    assert!(text.contains("timed-out") && text.contains("Idempotency-Key"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_silent_stream_shows_that_it_lives() {
    let server = Server::start();
    let request = request(Method::GET, "/v1/events?follow=true").body(Body::empty()).expect("a request");
    let response = server.send(request).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut pieces = response.into_body().into_data_stream();
    let before = server.began();
    let piece = pieces.next().await.expect("a piece").expect("fine");
    assert!(piece.starts_with(b":"), "{piece:?}");
    assert!(server.began().saturating_sub(before) >= Duration::from_secs(15));
}

#[tokio::test(start_paused = true)]
async fn made_up_methods_and_paths_do_not_make_the_figures_grow() {
    let server = Server::start();
    for number in 0..20 {
        let made_up = Method::from_bytes(format!("M{number}").as_bytes()).expect("a method");
        let request = Request::builder().method(made_up).uri(format!("/made-up/{number}")).body(Body::empty());
        server.send(request.expect("a request")).await;
    }
    let figures = server.send(request(Method::GET, "/metrics").body(Body::empty()).expect("a request")).await;
    let text = figures.into_body().collect().await.expect("a body").to_bytes();
    let text = String::from_utf8_lossy(&text);
    let counted: Vec<&str> = text.lines().filter(|line| line.starts_with("openmanage_http_requests_total{")).collect();
    assert_eq!(counted.len(), 1, "{counted:?}");
    assert!(counted[0].contains("method=\"other\"") && counted[0].ends_with(" 20"), "{counted:?}");
}
