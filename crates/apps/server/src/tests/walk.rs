//! A service's whole life through the API.

use axum::body::Body;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::world::{Answered, Server, request};

const ORDERS: &str = r#"{"name":"orders","engine":"postgresql","volumes":{"data":"1GiB"}}"#;

/// Follows the operation that was accepted, to its end; returns its last state.
async fn end(server: &Server, accepted: &Answered) -> Value {
    assert_eq!(accepted.status, StatusCode::ACCEPTED, "{}", accepted.text);
    let location = accepted.header("location");
    assert_eq!(location, format!("/v1/operations/{}", accepted.json()["id"].as_str().expect("an id")));
    let events = server.get(&format!("{location}/events")).await;
    assert_eq!(events.header("content-type"), "text/event-stream");
    let states = events.text.lines().filter_map(|line| line.strip_prefix("data: "));
    let states: Vec<Value> = states.map(|state| serde_json::from_str(state).expect("JSON")).collect();
    let (last, before) = states.split_last().expect("at least one event");
    assert!(before.iter().all(|state| state["ended"] == json!(false)), "nothing follows the end");
    assert_eq!(last["ended"], json!(true), "the stream ends with the operation: {last}");
    assert_eq!(server.get(location).await.json(), *last);
    last.clone()
}

async fn succeed(server: &Server, accepted: Answered) {
    let last = end(server, &accepted).await;
    assert_eq!(last["state"], "succeeded", "{last}");
    assert_eq!(last["progress"]["done"], last["progress"]["total"]);
}

#[tokio::test(start_paused = true)]
async fn from_dry_run_to_deleted_volumes() {
    let server = Server::start();
    server.beside(life(&server)).await;
}

async fn life(server: &Server) {
    let plan = server.post("/v1/services?dry_run=true", ORDERS).await;
    assert_eq!(plan.status, StatusCode::OK, "{}", plan.text);
    assert!(plan.json()["steps"].as_array().is_some_and(|steps| steps.len() > 3), "{}", plan.text);
    assert_eq!(server.get("/v1/services").await.json()["items"], json!([]), "a dry run touches nothing");

    succeed(server, server.post("/v1/services", ORDERS).await).await;
    let service = server.get("/v1/services/orders").await.json();
    assert_eq!((&service["phase"], &service["replicas"]), (&json!("active"), &json!(3)), "{service}");
    assert_eq!(service["resources"]["memory"], json!(1 << 30), "the default is part of the service");
    let members = server.get("/v1/services/orders/members").await.json();
    let hosts: Vec<_> =
        members["items"].as_array().expect("members").iter().map(|member| member["host"].clone()).collect();
    assert_eq!(hosts, ["orders-0.test-openmanage.com", "orders-1.test-openmanage.com", "orders-2.test-openmanage.com"]);
    assert!(members["items"].as_array().expect("members").iter().all(|member| member["healthy"] == true), "{members}");

    connect(server).await;
    let path = "/v1/services/orders";
    succeed(server, server.post(&format!("{path}/restart"), "").await).await;
    succeed(server, server.post(&format!("{path}/restart"), r#"{"member":"orders-1"}"#).await).await;
    let setting = r#"{"settings":{"work_mem":"8MB"},"options":{"synchronous":"on"}}"#;
    succeed(server, server.ask(Method::PATCH, &format!("{path}/config"), setting).await).await;
    let unset = r#"{"settings":{"work_mem":null}}"#;
    succeed(server, server.ask(Method::PATCH, &format!("{path}/config"), unset).await).await;
    let service = server.get(path).await.json();
    assert_eq!((&service["settings"], &service["options"]["synchronous"]), (&json!({}), &json!("on")));
    succeed(server, server.post(&format!("{path}/grow"), r#"{"data":"2GiB"}"#).await).await;
    succeed(server, server.post(&format!("{path}/stop"), "").await).await;
    assert_eq!(server.get(path).await.json()["phase"], "stopped");
    succeed(server, server.post(&format!("{path}/start"), "").await).await;
    delete(server).await;
}

async fn connect(server: &Server) {
    let connection = server.get("/v1/services/orders/connection").await;
    let password = server.post("/v1/services/orders/password", "").await;
    assert_eq!(password.header("cache-control"), "no-store");
    let secret = password.json()["password"].as_str().expect("a password").to_owned();
    assert!(secret.len() >= 16 && !connection.text.contains(&secret), "the connection has no secret");
    assert_eq!(connection.json()["address_variable"], "PGHOSTADDR");
    let events = server.get("/v1/events?limit=1000&service=orders").await;
    assert!(events.text.contains("secret-shown") && !events.text.contains(&secret), "{}", events.text);
    let first = server.get("/v1/events?limit=1").await.json();
    let next = first["next"].as_str().expect("there are more");
    let second = server.get(&format!("/v1/events?limit=1&after={next}")).await.json();
    assert_ne!(first["items"], second["items"]);
    let metrics = server.get("/metrics").await.text;
    assert!(metrics.contains("openmanage_services{phase=\"active\"} 1"), "{metrics}");
    assert!(metrics.contains("openmanage_operations{kind=\"create\",state=\"succeeded\"} 1"), "{metrics}");
}

async fn delete(server: &Server) {
    succeed(server, server.ask(Method::DELETE, "/v1/services/orders", "").await).await;
    assert_eq!(server.get("/v1/services/orders").await.status, StatusCode::NOT_FOUND);
    let volumes = server.get("/v1/volumes").await.json();
    let volumes = volumes["items"].as_array().expect("volumes");
    assert_eq!(volumes.len(), 3, "kept by default");
    for volume in volumes {
        assert!(volume["kept_since"].is_string(), "{volume}");
        let name = volume["name"].as_str().expect("a name");
        let answer = server.ask(Method::DELETE, &format!("/v1/volumes/{name}"), "").await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.text);
    }
    assert_eq!(server.get("/v1/volumes").await.json()["items"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn asking_twice_is_asking_once() {
    let server = Server::start();
    server.beside(twice(&server)).await;
}

async fn twice(server: &Server) {
    let keyed = |body: &str| {
        let request = request(Method::POST, "/v1/services").header("idempotency-key", "key-1");
        request.body(Body::from(body.to_owned())).expect("a request")
    };
    let first = server.answer(keyed(ORDERS)).await;
    assert_eq!((first.status, first.header(om_api::REPLAYED)), (StatusCode::ACCEPTED, ""));
    let again = server.answer(keyed(ORDERS)).await;
    assert_eq!((again.status, again.header(om_api::REPLAYED)), (StatusCode::ACCEPTED, "true"));
    assert_eq!(again.json()["id"], first.json()["id"]);
    let other = server.answer(keyed(&ORDERS.replace("1GiB", "2GiB"))).await;
    assert_eq!(
        (other.status, other.json()["code"].clone()),
        (StatusCode::CONFLICT, json!("conflict")),
        "{}",
        other.text
    );

    succeed(server, first).await;
    let same = server.post("/v1/services", ORDERS).await;
    assert_eq!(same.status, StatusCode::ACCEPTED, "the same spec without a key is the same service: {}", same.text);
    let different = server.post("/v1/services", &ORDERS.replace("1GiB", "2GiB")).await;
    assert_eq!(different.status, StatusCode::CONFLICT, "{}", different.text);
    assert!(different.json()["next"].is_string(), "a conflict says what to do: {}", different.text);
    assert_eq!(server.get("/v1/services").await.json()["items"].as_array().map(Vec::len), Some(1));
}

#[tokio::test(start_paused = true)]
async fn listings_come_in_pages() {
    let server = Server::start();
    for i in 0..5 {
        let answer = server.post("/v1/services", &ORDERS.replace("orders", &format!("orders-{i}x"))).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text);
    }
    let (mut names, mut path) = (Vec::new(), "/v1/services?limit=2".to_owned());
    loop {
        let page = server.get(&path).await.json();
        names.extend(page["items"].as_array().expect("items").iter().map(|item| item["name"].clone()));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/v1/services?limit=2&after={next}");
    }
    assert_eq!(names, ["orders-0x", "orders-1x", "orders-2x", "orders-3x", "orders-4x"]);
    let operations = server.get("/v1/operations?service=orders-3x").await.json();
    assert_eq!(operations["items"].as_array().map(Vec::len), Some(1));
}
