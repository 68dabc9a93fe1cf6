//! What every request passes: its size and time are bounded, a panic ends it alone, and it is counted.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, Method, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures::FutureExt as _;
use om_api::{BODY_MAX, Code, Problem};

use crate::App;
use crate::answer::Refused;

/// How long a request may take until its answer begins.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Bounds size and time, and counts.
pub(crate) async fn limit_and_measure(State(app): State<App>, request: Request, next: Next) -> Response {
    let runtime = &app.settings.runtime;
    let began = runtime.clock.monotonic();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str).to_owned();
    let response = if too_large(request.headers()) {
        crate::input::too_large().into_response()
    } else {
        let answer = runtime.within(ANSWER_WITHIN, next.run(request)).await;
        answer.unwrap_or_else(|| timed_out().into_response())
    };
    let took = runtime.clock.monotonic().saturating_sub(began);
    app.figures.count(&method, &route, response.status(), took);
    response
}

/// Refused by its head, so that nothing of the body is read.
fn too_large(headers: &HeaderMap) -> bool {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|text| text.to_str().ok()?.parse::<u64>().ok());
    length.is_some_and(|length| length > BODY_MAX as u64)
}

fn timed_out() -> Refused {
    let detail = format!("no answer within {} seconds", ANSWER_WITHIN.as_secs());
    Problem::new(Code::TimedOut, detail)
        .next("a change may have been accepted: look at the operations, or repeat it with the same Idempotency-Key")
        .into()
}

/// Turns a panic into an answer. The panic's own message goes to the log, not to the caller.
pub(crate) async fn catch_panics(request: Request, next: Next) -> Response {
    let what = format!("{} {}", request.method(), request.uri().path());
    let Ok(response) = AssertUnwindSafe(next.run(request)).catch_unwind().await else {
        tracing::error!(request = what, "a request panicked");
        let problem = Problem::new(Code::Internal, "the server failed while it handled this request");
        return Refused::from(problem.next("look at the server's log, and report it with the lines found there"))
            .into_response();
    };
    response
}

/// For paths that are not in the API.
pub(crate) async fn no_such_path(method: Method, uri: Uri) -> Refused {
    Problem::new(Code::NoSuchPath, format!("there is no {method} {}", uri.path()))
        .next("GET /v1/openapi.json lists the calls")
        .into()
}

/// For paths that are, with another method.
pub(crate) async fn wrong_method(method: Method, uri: Uri) -> Refused {
    let detail = format!("{} does not take {method}", uri.path());
    Problem::new(Code::MethodNotAllowed, detail).next("GET /v1/openapi.json lists the calls").into()
}
