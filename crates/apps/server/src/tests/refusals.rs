//! Bad input: a clear error that names the field, and nothing touched.

use axum::body::Body;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::world::{Answered, Server, request};

fn body(change: impl FnOnce(&mut Value)) -> String {
    let mut body = json!({"name": "orders", "engine": "postgresql", "volumes": {"data": "10GiB"}});
    change(&mut body);
    body.to_string()
}

fn assert_problem(answer: &Answered, status: u16, code: &str) {
    assert_eq!(answer.status.as_u16(), status, "{}", answer.text);
    assert_eq!(answer.header("content-type"), om_api::PROBLEM_JSON, "{}", answer.text);
    let problem = answer.json();
    assert_eq!((&problem["code"], &problem["status"]), (&json!(code), &json!(status)), "{problem}");
    assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{problem}");
    assert_eq!(problem["type"], format!("urn:openmanage:problem:{code}"));
}

async fn assert_untouched(server: &Server) {
    assert_eq!(server.get("/v1/services").await.json()["items"], json!([]));
    assert_eq!(server.get("/v1/operations").await.json()["items"], json!([]));
    assert_eq!(server.get("/v1/volumes").await.json()["items"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn fields_of_a_new_service() {
    let server = Server::start();
    let name = |name: &str| body(|body| body["name"] = json!(name));
    let replicas = |n: u64| body(|body| body["replicas"] = json!(n));
    let size = |size: Value| body(|body| body["volumes"]["data"] = size);
    for (body, field) in [
        (body(|body| body["engine"] = json!("oracle")), "engine"),
        (body(|body| body["version"] = json!("1.0")), "version"),
        (body(|body| body["replica"] = json!(3)), "replica"),
        (replicas(0), "replicas"),
        (replicas(1000), "replicas"),
        (replicas(70_000), "replicas"),
        (replicas(u64::MAX), "replicas"),
        (size(json!(0)), "volumes.data"),
        (size(json!(-1)), "volumes.data"),
        (size(json!(u64::MAX)), "volumes.data"),
        (size(json!(1e30)), "volumes.data"),
        (size(json!("99999999999TiB")), "volumes.data"),
        (body(|body| body["resources"] = json!({"memory": "1MiB"})), "resources.memory"),
        (body(|body| body["options"] = json!({"synchronous": "perhaps"})), "options.synchronous"),
        (body(|body| body["places"] = json!([{"region": "A B", "zone": "z"}])), "places[0].region"),
        (name(&"a".repeat(64)), "name"),
        (name(""), "name"),
        (name("Orders"), "name"),
        (name("bestellungen-ü"), "name"),
        (name("../x"), "name"),
        (name("a.b"), "name"),
        (name("-a"), "name"),
    ] {
        let answer = server.post("/v1/services", &body).await;
        assert_problem(&answer, 422, "invalid");
        let fields = answer.json()["fields"].as_array().expect("fields").clone();
        let found = fields.iter().find(|found| found["field"] == field);
        let found = found.unwrap_or_else(|| panic!("{field} is not named: {fields:?}"));
        assert!(found["accepted"].as_str().is_some_and(|accepted| !accepted.is_empty()), "{found}");
    }
    assert_untouched(&server).await;
}

#[tokio::test(start_paused = true)]
async fn everything_wrong_is_told_at_once() {
    let server = Server::start();
    let bad = json!({"name": "X", "engine": "oracle", "replicas": 0, "volumes": {"data": 1}}).to_string();
    let fields = server.post("/v1/services", &bad).await.json()["fields"].clone();
    let names: Vec<_> =
        fields.as_array().expect("fields").iter().map(|field| field["field"].as_str().expect("text")).collect();
    assert_eq!(names, ["name", "engine", "replicas", "volumes.data"]);
}

#[tokio::test(start_paused = true)]
async fn bodies_that_are_not_json() {
    let server = Server::start();
    let answer = server.post("/v1/services", "{\"name\": \"orders\",\n \"engine\":").await;
    assert_problem(&answer, 400, "malformed");
    assert!(answer.text.contains("line 2 column"), "{}", answer.text);
    let form = request(Method::POST, "/v1/services").header("content-type", "text/xml").body(Body::from("<a/>"));
    assert_problem(&server.answer(form.expect("a request")).await, 415, "unsupported-media-type");
    assert_problem(&server.post("/v1/services", "").await, 422, "invalid");
    assert_untouched(&server).await;
}

#[tokio::test(start_paused = true)]
async fn a_body_of_100_mb_is_refused_without_being_read() {
    let server = Server::start();
    let said = request(Method::POST, "/v1/services").header("content-length", 100_000_000);
    let unreadable = futures::stream::poll_fn(|_| -> std::task::Poll<Option<Result<Vec<u8>, std::io::Error>>> {
        panic!("the body was read")
    });
    let unreadable = Body::from_stream(unreadable);
    let answer = server.answer(said.body(unreadable).expect("a request")).await;
    assert_problem(&answer, 413, "too-large");

    let read = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = std::sync::Arc::clone(&read);
    let pieces = futures::stream::iter((0..1600).map(move |_| {
        count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Ok::<_, std::io::Error>(vec![b' '; 65_536])
    }));
    let unsaid = request(Method::POST, "/v1/services").body(Body::from_stream(pieces)).expect("a request");
    assert_problem(&server.answer(unsaid).await, 413, "too-large");
    let read = read.load(std::sync::atomic::Ordering::Relaxed);
    assert!((16..=18).contains(&read), "{read} pieces of 64 KiB were read");
}

#[tokio::test(start_paused = true)]
async fn paths_methods_queries_and_headers() {
    let server = Server::start();
    assert_problem(&server.get("/v2/services").await, 404, "no-such-path");
    assert_problem(&server.get("/").await, 404, "no-such-path");
    assert_problem(&server.ask(Method::PUT, "/v1/services", "").await, 405, "method-not-allowed");
    assert_problem(&server.ask(Method::PUT, "/?Create-Service", "").await, 404, "no-such-path");
    assert_problem(&server.get("/v1/services/absent").await, 404, "not-found");
    assert_problem(&server.get(&format!("/v1/operations/{}", "0".repeat(32))).await, 404, "not-found");
    assert_problem(&server.get("/v1/services/..%2Fx").await, 422, "invalid");
    assert_problem(&server.get("/v1/services/Orders").await, 422, "invalid");
    assert_problem(&server.get("/v1/services/%FF").await, 400, "malformed");
    assert_problem(&server.get("/v1/operations/zzz").await, 422, "invalid");
    for query in ["limit=0", "limit=1001"] {
        assert_problem(&server.get(&format!("/v1/services?{query}")).await, 422, "invalid");
    }
    for query in ["limit=many", "limit=-1", "bogus=1"] {
        let answer = server.get(&format!("/v1/services?{query}")).await;
        assert_problem(&answer, 400, "malformed");
    }
    assert_problem(&server.post("/v1/services?deadline=0", &body(|_| {})).await, 422, "invalid");
    assert_problem(&server.ask(Method::DELETE, "/v1/services/absent?volumes=burn", "").await, 400, "malformed");
    assert_problem(&server.ask(Method::DELETE, "/v1/services/absent", "").await, 404, "not-found");
    assert_problem(&server.ask(Method::DELETE, "/v1/volumes/..%2F..%2Fetc", "").await, 404, "not-found");
    let keyed = request(Method::POST, "/v1/services").header("idempotency-key", "a b").body(Body::from(body(|_| {})));
    assert_problem(&server.answer(keyed.expect("a request")).await, 422, "invalid");
    assert_untouched(&server).await;
}

#[tokio::test(start_paused = true)]
async fn changes_of_what_is_not_there() {
    let server = Server::start();
    for path in ["stop", "start", "restart", "grow"] {
        let answer = server.post(&format!("/v1/services/absent/{path}"), "{}").await;
        assert!(
            matches!(answer.status, StatusCode::NOT_FOUND | StatusCode::UNPROCESSABLE_ENTITY),
            "{path}: {}",
            answer.text
        );
    }
    let answer = server.ask(Method::PATCH, "/v1/services/absent/config", r#"{"setting":{}}"#).await;
    assert_problem(&answer, 422, "invalid");
    assert!(answer.json()["fields"][0]["accepted"].as_str().is_some_and(|known| known.contains("settings or options")));
}
