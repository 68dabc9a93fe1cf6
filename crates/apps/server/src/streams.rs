//! Answers that go on: server-sent events, and the output of members.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::sse::{Event as Sse, Sse as SseAnswer};
use axum::response::{IntoResponse, Response};
use futures::future::{Either, select};
use futures::stream::{self, BoxStream, Stream, StreamExt as _};
use om_api::{EVENT_STREAM, Event, EventQuery, LogQuery, LogRecord, NDJSON, Operation};
use om_backend::{Clock, LogLine};
use om_control::{ControlError, NumberedEvent};
use om_model::{MemberName, OperationId, ServiceName};

use crate::App;
use crate::answer::{Answer, Refused, problem_of};
use crate::input::{self, InPath, InQuery};
use crate::reads::page;

/// After this much silence a comment is sent, so that nobody takes the stream for dead.
const SILENCE: Duration = Duration::from_secs(15);
/// Lines of a log when the caller does not say, and at most.
const TAIL: usize = 100;
const TAIL_MAX: usize = 100_000;

pub(crate) async fn operation(State(app): State<App>, InPath(id): InPath<String>) -> Answer<Response> {
    let id: OperationId = input::id("operation", &id)?;
    let changes = app.control.follow_operation(&id).await?;
    Ok(sent(&app, changes.map(|change| change.map(|operation| json(&Operation::from(&operation)))).boxed()))
}

pub(crate) async fn events(
    State(app): State<App>,
    headers: HeaderMap,
    InQuery(query): InQuery<EventQuery>,
) -> Answer<Response> {
    let service: Option<ServiceName> = query.service.map(|text| input::id("service", &text)).transpose()?;
    let wire = |numbered: NumberedEvent| Event::at_cursor(numbered.cursor, &numbered.event);
    if query.follow || input::accepts(&headers, EVENT_STREAM) {
        let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
        let events = app.control.follow_events(service, last.or(query.after)).await?;
        let with_id = move |numbered| {
            let event = wire(numbered);
            json(&event).id(&event.cursor)
        };
        return Ok(sent(&app, events.map(move |event| event.map(with_id)).boxed()));
    }
    let limit = input::limit(query.limit)?;
    let (events, more) = app.control.events(service.as_ref(), query.after.as_deref(), limit).await?;
    let items: Vec<_> = events.into_iter().map(wire).collect();
    Ok(page(items, more, |event| event.cursor.clone()).into_response())
}

pub(crate) async fn logs(
    State(app): State<App>,
    headers: HeaderMap,
    InPath((service, member)): InPath<(String, String)>,
    InQuery(query): InQuery<LogQuery>,
) -> Answer<Response> {
    let service: ServiceName = input::id("service", &service)?;
    let member: MemberName = input::id("member", &member)?;
    let tail = query.tail.unwrap_or(TAIL);
    if tail > TAIL_MAX {
        return Err(Refused::field("tail", format!("is {tail}"), format!("0 to {TAIL_MAX}")));
    }
    let lines = app.control.logs(&service, &member, tail, query.follow).await?;
    let as_json = input::accepts(&headers, NDJSON);
    let kind = if as_json { NDJSON } else { "text/plain; charset=utf-8" };
    // An error ends the body early, which the caller sees as a broken answer rather than as a short log.
    let pieces = lines.map(move |line| line.map(|line| text(line, as_json)));
    Ok(([(header::CONTENT_TYPE, kind)], Body::from_stream(pieces)).into_response())
}

fn text(line: LogLine, as_json: bool) -> String {
    if !as_json {
        return line.text + "\n";
    }
    let record = LogRecord { stderr: line.stderr, text: line.text };
    serde_json::to_string(&record).expect("a line is plain data") + "\n"
}

fn json(value: &impl serde::Serialize) -> Sse {
    Sse::default().json_data(value).expect("wire types are plain data")
}

fn sent(app: &App, events: BoxStream<'static, Result<Sse, ControlError>>) -> Response {
    let stream = lively(events, Arc::clone(&app.settings.runtime.clock));
    let headers = [(header::CACHE_CONTROL, "no-cache"), (header::HeaderName::from_static("x-accel-buffering"), "no")];
    (headers, SseAnswer::new(stream)).into_response()
}

/// The events, a comment after every silence, and a last event `problem` if they end in an error.
fn lively(
    events: BoxStream<'static, Result<Sse, ControlError>>,
    clock: Arc<dyn Clock>,
) -> impl Stream<Item = Result<Sse, Infallible>> + Send {
    stream::unfold(Some((events, clock)), |state| async {
        let (mut events, clock) = state?;
        let next = match select(events.next(), clock.sleep(SILENCE)).await {
            Either::Left((next, _)) => next?,
            Either::Right(_) => Ok(Sse::default().comment("still here")),
        };
        match next {
            Ok(event) => Some((Ok(event), Some((events, clock)))),
            Err(error) => Some((Ok(json(&problem_of(&error)).event("problem")), None)),
        }
    })
}
