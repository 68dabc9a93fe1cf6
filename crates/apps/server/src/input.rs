//! Paths, queries and bodies of requests, refused with the field's name and what would be accepted.

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use om_api::page::{LIMIT_DEFAULT, LIMIT_MAX};
use om_api::{BODY_MAX, Code, FieldProblem, IDEMPOTENCY_KEY, Problem};
use om_model::FieldError;
use serde::de::DeserializeOwned;

use crate::answer::{Answer, Refused};

/// The parameters of the path, as text; their rules are the model's.
pub(crate) struct InPath<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for InPath<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Answer<Self> {
        let Path(value) = Path::from_request_parts(parts, state)
            .await
            .map_err(|rejection| Problem::new(Code::Malformed, rejection.body_text()))?;
        Ok(Self(value))
    }
}

/// The query.
pub(crate) struct InQuery<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for InQuery<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Answer<Self> {
        let Query(value) = Query::try_from_uri(&parts.uri)
            .map_err(|rejection| Problem::new(Code::Malformed, rejection.body_text()))?;
        Ok(Self(value))
    }
}

/// The body, JSON. An empty one stands for `{}`.
pub(crate) struct InBody<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for InBody<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, _: &S) -> Answer<Self> {
        let kind = request.headers().get(header::CONTENT_TYPE);
        if let Some(kind) = kind.filter(|kind| !kind.as_bytes().starts_with(b"application/json")) {
            let detail = format!("the body is said to be {kind:?}");
            return Err(Problem::new(Code::UnsupportedMediaType, detail).next("send application/json").into());
        }
        let bytes = read(request.into_body()).await?;
        let text = if bytes.iter().all(u8::is_ascii_whitespace) { b"{}" } else { &bytes[..] };
        parse(text).map(Self)
    }
}

async fn read(body: Body) -> Answer<bytes::Bytes> {
    match Limited::new(body, BODY_MAX).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(error) => Err(Problem::new(Code::Malformed, format!("the body broke off: {error}")).into()),
    }
}

/// The refusal of a body that is too large.
pub(crate) fn too_large() -> Refused {
    Problem::new(Code::TooLarge, format!("the body is larger than {BODY_MAX} bytes")).into()
}

fn parse<T: DeserializeOwned>(text: &[u8]) -> Answer<T> {
    // A struct would also read from a list of its values, in order; nobody means that.
    if text.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        let read = serde_json::from_slice::<serde::de::IgnoredAny>(text);
        return Err(read.map_or_else(
            |error| refusal(".", &error),
            |_| Refused::field("body", "is not an object", "a JSON object"),
        ));
    }
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        refusal(&path, error.inner())
    })?;
    reader.end().map_err(|error| refusal(".", &error))?;
    Ok(value)
}

/// JSON that is not well-formed is refused with line and column, values with the name of the field.
fn refusal(path: &str, error: &serde_json::Error) -> Refused {
    if error.is_data() {
        let field = field_problem(path, error);
        let mut problem =
            Problem::new(Code::Invalid, format!("{}: {}; accepted: {}", field.field, field.problem, field.accepted));
        problem.fields = vec![field];
        return problem.into();
    }
    Problem::new(Code::Malformed, format!("the body is not JSON: {error}")).into()
}

/// Takes serde's sentence apart: what is wrong, with which field, and what was expected.
fn field_problem(path: &str, error: &serde_json::Error) -> FieldProblem {
    let text = error.to_string();
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(sentence, _)| sentence);
    let path = if path == "." { "" } else { path };
    let within = |name: &str| match path {
        "" => name.to_owned(),
        path if path == name || path.ends_with(&format!(".{name}")) => path.to_owned(),
        path => format!("{path}.{name}"),
    };
    let make = |field: String, problem: &str, accepted: &str| FieldProblem {
        field: if field.is_empty() { "body".into() } else { field },
        problem: problem.to_owned(),
        accepted: accepted.replace('`', ""),
    };
    if let Some((name, rest)) = quoted_after(text, "unknown field `") {
        let known = rest.trim_start_matches([',', ' ']).trim_start_matches("expected ").trim_start_matches("one of ");
        return make(within(name), "is not a field of this request", known);
    }
    if let Some((name, _)) = quoted_after(text, "missing field `") {
        return make(within(name), "is missing", "a value: the field is required");
    }
    if let Some((problem, accepted)) = text.split_once("; accepted: ") {
        return make(path.to_owned(), problem, accepted);
    }
    match text.rsplit_once(", expected ") {
        Some((problem, accepted)) => make(path.to_owned(), problem, in_words(accepted)),
        None => make(path.to_owned(), text, "see GET /v1/openapi.json"),
    }
}

fn quoted_after<'a>(text: &'a str, start: &str) -> Option<(&'a str, &'a str)> {
    text.strip_prefix(start)?.split_once('`')
}

/// Names of Rust's types in words.
fn in_words(expected: &str) -> &str {
    match expected {
        "u32" => "a whole number from 0 to 4294967295",
        "u64" => "a whole number from 0 to 18446744073709551615",
        other => other.strip_prefix("struct ").map_or(other, |_| "an object"),
    }
}

/// Parses an identifier that came as `field`.
pub(crate) fn id<T: std::str::FromStr<Err = FieldError>>(field: &str, text: &str) -> Answer<T> {
    text.parse().map_err(|error: FieldError| FieldError { field: field.to_owned(), ..error }.into())
}

/// The number of entries of a page.
pub(crate) fn limit(asked: Option<usize>) -> Answer<usize> {
    let limit = asked.unwrap_or(LIMIT_DEFAULT);
    let good = (1..=LIMIT_MAX).contains(&limit);
    if good { Ok(limit) } else { Err(Refused::field("limit", format!("is {limit}"), format!("1 to {LIMIT_MAX}"))) }
}

/// The client's key.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Answer<Option<String>> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let good = |text: &&str| (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    match value.to_str().ok().filter(good) {
        Some(text) => Ok(Some(text.to_owned())),
        None => {
            Err(Refused::field("Idempotency-Key", "is not a key", "1 to 128 printable ASCII characters without spaces"))
        }
    }
}

/// True if the caller accepts `kind`.
pub(crate) fn accepts(headers: &HeaderMap, kind: &str) -> bool {
    let mut values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    values.any(|value| value.split(',').any(|part| part.split(';').next().is_some_and(|word| word.trim() == kind)))
}

#[cfg(test)]
mod tests;
