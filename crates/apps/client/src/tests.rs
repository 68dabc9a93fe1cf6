//! The client against a server that answers by the book, and against ones that do not.

mod canned;

use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt as _;
use om_api::{Code, CreateService, EventQuery, LogQuery, Problem, Size, VolumeSizes};

use self::canned::{Canned, client, json, runtime};
use super::*;

#[test]
fn every_call_of_the_document_has_a_method() {
    let document: serde_json::Value =
        serde_json::from_str(include_str!("../../../../docs/openapi.json")).expect("the document is JSON");
    let source = include_str!("calls.rs");
    let mut calls = 0;
    for item in document["paths"].as_object().expect("paths").values() {
        for call in item.as_object().expect("methods").values() {
            let name = call["operationId"].as_str().expect("an id");
            assert!(source.contains(&format!("fn {name}(")), "the client has no method {name}");
            calls += 1;
        }
    }
    assert!(calls > 20);
}

fn request() -> CreateService {
    CreateService {
        name: "orders".into(),
        engine: "postgresql".into(),
        version: None,
        image: None,
        replicas: None,
        resources: None,
        volumes: VolumeSizes { data: Size::bytes(1 << 30), journal: None },
        settings: Default::default(),
        options: Default::default(),
        places: Vec::new(),
    }
}

const PLAN: &str = r#"{"steps":[],"notes":["nothing to do"]}"#;

#[tokio::test]
async fn a_write_is_repeated_under_one_key_and_a_keyless_one_is_not() {
    let unavailable = serde_json::to_string(&Problem::new(Code::Unavailable, "busy")).expect("writes");
    let busy = canned::problem(503, &unavailable);
    let server = Canned::start(vec![busy.clone(), json(200, PLAN)]);
    let changed =
        client(&server).create_service(&request(), &ChangeOptions::default()).await.expect("the second attempt");
    assert!(matches!(changed, Changed::Planned(plan) if plan.notes == ["nothing to do"]));
    let asked = server.asked();
    let keys: Vec<_> = asked.iter().filter_map(|head| canned::header(head, "idempotency-key")).collect();
    assert_eq!(keys.len(), 2);
    assert_eq!(keys[0], keys[1]);
    assert!(asked[0].starts_with("POST /v1/services HTTP/1.1"), "{}", asked[0]);
    assert_eq!(canned::header(&asked[0], "authorization").as_deref(), Some("Bearer secret"));

    let server = Canned::start(vec![busy, json(200, "{}")]);
    let error = client(&server).show_password("orders").await.expect_err("not repeated");
    assert_eq!(error.code(), Some(Code::Unavailable));
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_of_with_advice() {
    let gone = Canned::start(vec![]);
    let client = client(&gone);
    drop(gone);
    let error = client.get_cluster().await.expect_err("nobody listens").to_string();
    assert!(error.contains("refused") && error.contains("`openmanage up`"), "{error}");
    let first = client.follow_events(&EventQuery::default()).next().await.expect("an item");
    assert!(first.is_err(), "a server that was never there is told of at once");
}

#[tokio::test]
async fn an_answer_of_something_else_is_not_taken_for_ours() {
    let server = Canned::start(vec![json(404, r#"{"detail":"nginx"}"#), json(200, "<html>")]);
    let client = client(&server);
    for _ in 0..2 {
        let error = client.get_cluster().await.expect_err("not ours");
        assert!(matches!(error, ClientError::Protocol { .. }), "{error}");
    }
}

fn event(cursor: &str) -> String {
    let body = format!(r#"{{"cursor":"{cursor}","at":"2026-01-01T00:00:00Z","kind":"bound","message":"m"}}"#);
    format!("id: {cursor}\ndata: {body}\n\n")
}

#[tokio::test]
async fn a_stream_goes_on_where_it_was_after_a_break() {
    let half = event("3");
    let streams = vec![
        canned::stream(&format!("{}{}{}", event("1"), event("2"), &half[..half.len() / 2])),
        canned::stream(&event("3")),
    ];
    let server = Canned::start(streams);
    let found: Vec<_> = client(&server).follow_events(&EventQuery::default()).take(3).collect().await;
    let cursors: Vec<_> = found.into_iter().map(|event| event.expect("an event").cursor).collect();
    assert_eq!(cursors, ["1", "2", "3"]);
    let asked = server.asked();
    assert_eq!(canned::header(&asked[0], "last-event-id"), None);
    assert_eq!(canned::header(&asked[1], "last-event-id").as_deref(), Some("2"));
}

#[tokio::test]
async fn a_problem_in_a_stream_ends_it() {
    let problem = serde_json::to_string(&Problem::new(Code::NotFound, "gone")).expect("writes");
    let server = Canned::start(vec![canned::stream(&format!("event: problem\ndata: {problem}\n\n"))]);
    let found: Vec<_> = client(&server).follow_operation("x").collect().await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].as_ref().expect_err("a problem").code(), Some(Code::NotFound));
}

#[tokio::test]
async fn log_lines_come_one_by_one() {
    let server =
        Canned::start(vec![canned::stream("{\"stderr\":true,\"text\":\"a\"}\n{\"stderr\":false,\"text\":\"b\"}\n")]);
    let lines = client(&server)
        .get_logs("orders", "orders-0", &LogQuery { tail: Some(2), follow: false })
        .await
        .expect("opens");
    let texts: Vec<_> = lines.map(|line| line.expect("a line").text).collect().await;
    assert_eq!(texts, ["a", "b"]);
    assert!(server.asked()[0].starts_with("GET /v1/services/orders/members/orders-0/logs?tail=2 "));
}

struct Ours;

#[async_trait]
impl ResolveName for Ours {
    async fn resolve(&self, host: &str) -> std::result::Result<Vec<std::net::IpAddr>, String> {
        match host {
            "openmanage-manageserver.test-openmanage.com" => Ok(vec!["127.0.0.1".parse().expect("an address")]),
            _ => Err(format!("{host} has no address")),
        }
    }
}

#[tokio::test]
async fn names_of_our_zone_are_resolved_by_our_own_server() {
    let server = Canned::start(vec![json(200, PLAN)]);
    let ask = |host: &str| {
        let server = format!("http://{host}:{}", server.port()).parse().expect("an address");
        Client::new(ClientSettings {
            server,
            token: None,
            ca: None,
            resolver: Some(Arc::new(Ours)),
            runtime: runtime(),
        })
    };
    ask("openmanage-manageserver.test-openmanage.com").expect("a client").get_health().await.expect("reached by name");
    let error =
        ask("other.test-openmanage.com").expect("a client").get_health().await.expect_err("unknown").to_string();
    assert!(error.contains("has no address"), "{error}");
}
