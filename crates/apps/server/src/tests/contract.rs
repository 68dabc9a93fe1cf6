//! The routes are those of the document, and each that must be guarded is.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};

use super::world::{PLACE, Server, TOKEN};
use crate::routes;

#[test]
fn routes_and_document_are_the_same() {
    let document = serde_json::to_value(om_api::openapi::document()).expect("the document writes");
    let mut documented = BTreeSet::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for method in item.as_object().expect("methods").keys() {
            documented.insert((method.to_uppercase(), path.clone()));
        }
    }
    let routed = routes::open().listed.into_iter().chain(routes::guarded().listed);
    let routed: BTreeSet<_> = routed.map(|(method, path)| (method.to_string(), path.to_owned())).collect();
    assert_eq!(routed, documented);
    let open: Vec<_> = routes::open().listed.into_iter().map(|(_, path)| path).collect();
    assert!(open.iter().all(|path| om_api::openapi::OPEN_PATHS.contains(path)), "{open:?}");
}

#[tokio::test(start_paused = true)]
async fn every_guarded_route_wants_the_token() {
    let server = Server::start();
    let wrong = ["", "Bearer", "Bearer ", "Bearer wrong", &format!("Basic {TOKEN}"), &format!("Bearer {TOKEN}x")];
    for (method, path) in routes::guarded().listed {
        let path = path.replace(['{', '}'], "");
        for authorization in wrong {
            let request = Request::builder().method(method.clone()).uri(&path);
            let request =
                if authorization.is_empty() { request } else { request.header("authorization", authorization) };
            let answer = server.answer(request.body(Body::empty()).expect("a request")).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method} {path} {authorization:?}");
            assert_eq!(answer.header("content-type"), om_api::PROBLEM_JSON);
            assert_eq!(answer.header("www-authenticate"), "Bearer");
            assert!(answer.json()["next"].as_str().is_some_and(|next| next.contains(PLACE)), "{}", answer.text);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn open_routes_want_none() {
    let server = Server::start();
    for (method, path) in routes::open().listed {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).expect("a request");
        assert_eq!(server.answer(request).await.status, StatusCode::OK, "{path}");
    }
    let metrics = server.ask(Method::GET, "/metrics", "").await.text;
    for line in [
        "openmanage_build_info{version=\"1.2.3\"} 1",
        "openmanage_http_requests_total{method=\"GET\",route=\"/healthz\",status=\"200\"} 1",
        "openmanage_http_request_seconds_count{route=\"/healthz\"} 1",
    ] {
        assert!(metrics.contains(line), "{line} is not in:\n{metrics}");
    }
}
