//! The document is the committed one, and says what it must.

use std::path::Path;

use super::*;

/// Set to write the committed document anew.
const REGENERATE: &str = "OPENMANAGE_WRITE_OPENAPI";

#[test]
fn the_committed_document_is_this_one() {
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../docs/openapi.json");
    let now = document().to_pretty_json().expect("the document writes") + "\n";
    if std::env::var_os(REGENERATE).is_some() {
        std::fs::write(&committed, &now).expect("the document can be written");
    }
    let then = std::fs::read_to_string(&committed).unwrap_or_default();
    assert!(
        then == now,
        "docs/openapi.json differs from the code: run the tests of om-api with {REGENERATE}=1, and commit"
    );
}

#[test]
fn every_call_has_an_answer_a_problem_and_a_token() {
    let document = serde_json::to_value(document()).expect("the document writes");
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["security"][0]["token"], serde_json::json!([]));
    let mut calls = 0;
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, call) in item.as_object().expect("methods") {
            calls += 1;
            assert!(
                call["responses"].as_object().expect("responses").keys().any(|k| k.starts_with('2')),
                "{method} {path}"
            );
            assert!(call["responses"]["default"]["content"][PROBLEM_JSON].is_object(), "{method} {path}");
            assert!(call["summary"].as_str().is_some_and(|text| !text.is_empty()), "{method} {path} has no summary");
            assert_eq!(call["security"].is_array(), OPEN_PATHS.contains(&path.as_str()), "{method} {path}");
        }
    }
    assert_eq!(calls, 32);
}
