//! Bodies that are no good: each refusal names the place, the reason and what would be accepted.

use om_api::CreateService;

use super::*;

fn refused(body: &str) -> Problem {
    match parse::<CreateService>(body.as_bytes()) {
        Ok(_) => panic!("{body} was accepted"),
        Err(Refused(problem)) => *problem,
    }
}

#[test]
fn half_a_json_is_told_by_line_and_column() {
    for body in ["{\"name\": \"orders\",\n \"engine\":", "{", "[1", "{\"name\" 1}", "nonsense"] {
        let problem = refused(body);
        assert_eq!((problem.code, problem.status), (Code::Malformed, 400), "{body}");
        assert!(problem.detail.contains(" line ") && problem.detail.contains(" column "), "{}", problem.detail);
    }
    let twice = r#"{"name":"a","engine":"p","volumes":{"data":1}} x"#;
    assert_eq!(refused(twice).code, Code::Malformed);
    let deep = format!("{{\"settings\":{}", "[".repeat(100_000));
    assert_eq!(refused(&deep).code, Code::Invalid, "depth is no danger");
    assert_eq!(refused(&"[".repeat(100_000)).code, Code::Malformed, "nor here");
}

#[test]
fn fields_are_named_with_what_is_accepted() {
    let around = |field: &str| format!(r#"{{"name":"a","engine":"p","volumes":{{"data":1}},{field}}}"#);
    for (body, field, problem, accepted) in [
        (around(r#""replica":3"#), "replica", "not a field", "replicas"),
        (around(r#""resources":{"memory":1,"cpu":2}"#), "resources.cpu", "not a field", "cpu_millis"),
        (around(r#""replicas":-1"#), "replicas", "-1", "whole number from 0"),
        (around(r#""replicas":"three""#), "replicas", "three", "whole number"),
        (around(r#""replicas":99999999999"#), "replicas", "99999999999", "whole number"),
        (around(r#""settings":{"a":1}"#), "settings.a", "integer", "string"),
        (around(r#""places":[{"region":"r"}]"#), "places[0].zone", "is missing", "required"),
        (r#"{"name":"a","engine":"p"}"#.into(), "volumes", "is missing", "required"),
        (r#"{"name":"a","engine":"p","volumes":{"data":-5}}"#.into(), "volumes.data", "-5", "GiB"),
        (r#"{"name":"a","engine":"p","volumes":{"data":"9GB"}}"#.into(), "volumes.data", "unit", "GiB"),
        (r#"{"name":"a","engine":"p","volumes":{"data":1e30}}"#.into(), "volumes.data", "1e", "GiB"),
        ("[]".into(), "body", "not an object", "object"),
        (r#"["a","p",null,null,3,null,{"data":1}]"#.into(), "body", "not an object", "object"),
        ("7".into(), "body", "not an object", "object"),
    ] {
        let found = refused(&body);
        assert_eq!((found.code, found.status), (Code::Invalid, 422), "{body}");
        let first = &found.fields[0];
        assert_eq!(first.field, field, "{body}: {first:?}");
        assert!(first.problem.contains(problem) && first.accepted.contains(accepted), "{body}: {first:?}");
    }
}

#[test]
fn keys_are_short_and_printable() {
    let key = |text: &[u8]| {
        let mut headers = HeaderMap::new();
        headers.insert(IDEMPOTENCY_KEY, axum::http::HeaderValue::from_bytes(text).expect("a header"));
        idempotency_key(&headers)
    };
    assert_eq!(key(b"abc-1").expect("a key").as_deref(), Some("abc-1"));
    assert!(key(b"").is_err() && key(b"a b").is_err() && key("ü".as_bytes()).is_err() && key(&[b'x'; 129]).is_err());
}
