//! Handlers of calls that change something.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use om_api::{
    ChangeQuery, ConfigureService, CreateService, DeleteQuery, GrowService, Operation, Plan, REPLAYED, RestartService,
    path,
};
use om_control::{ServiceOperation, Submission};
use om_model::{OperationId, ServiceName};
use om_planning::Change;

use crate::App;
use crate::answer::{Answer, Refused};
use crate::input::{self, InBody, InPath, InQuery};
use crate::spec::specification;

/// Longest time an operation may be given.
const DEADLINE_MAX: u64 = 86_400;

pub(crate) async fn create(
    State(app): State<App>,
    headers: HeaderMap,
    InQuery(query): InQuery<ChangeQuery>,
    InBody(request): InBody<CreateService>,
) -> Answer<Response> {
    let (service, spec) = specification(request)?;
    change(&app, &headers, service, Change::Create { spec }, &query).await
}

pub(crate) async fn delete(
    State(app): State<App>,
    headers: HeaderMap,
    InPath(service): InPath<String>,
    InQuery(query): InQuery<DeleteQuery>,
) -> Answer<Response> {
    let how = ChangeQuery { dry_run: query.dry_run, deadline: query.deadline };
    named(&app, &headers, &service, Change::Delete { volumes: query.volumes }, &how).await
}

pub(crate) async fn stop(
    State(app): State<App>,
    headers: HeaderMap,
    InPath(service): InPath<String>,
    InQuery(query): InQuery<ChangeQuery>,
) -> Answer<Response> {
    named(&app, &headers, &service, Change::Stop, &query).await
}

pub(crate) async fn start(
    State(app): State<App>,
    headers: HeaderMap,
    InPath(service): InPath<String>,
    InQuery(query): InQuery<ChangeQuery>,
) -> Answer<Response> {
    named(&app, &headers, &service, Change::Start, &query).await
}

pub(crate) async fn restart(
    State(app): State<App>,
    headers: HeaderMap,
    InPath(service): InPath<String>,
    InQuery(query): InQuery<ChangeQuery>,
    InBody(request): InBody<RestartService>,
) -> Answer<Response> {
    let member = request.member.map(|member| input::id("member", &member)).transpose()?;
    named(&app, &headers, &service, Change::Restart { member }, &query).await
}

pub(crate) async fn configure(
    State(app): State<App>,
    headers: HeaderMap,
    InPath(service): InPath<String>,
    InQuery(query): InQuery<ChangeQuery>,
    InBody(request): InBody<ConfigureService>,
) -> Answer<Response> {
    let change = Change::Configure { settings: request.settings, options: request.options };
    named(&app, &headers, &service, change, &query).await
}

pub(crate) async fn grow(
    State(app): State<App>,
    headers: HeaderMap,
    InPath(service): InPath<String>,
    InQuery(query): InQuery<ChangeQuery>,
    InBody(request): InBody<GrowService>,
) -> Answer<Response> {
    let change = Change::Grow { data: request.data.map(Into::into), journal: request.journal.map(Into::into) };
    named(&app, &headers, &service, change, &query).await
}

pub(crate) async fn cancel(State(app): State<App>, InPath(id): InPath<String>) -> Answer<Response> {
    let id: OperationId = input::id("operation", &id)?;
    Ok(accepted(&app.control.cancel(&id).await?, false))
}

pub(crate) async fn retry(State(app): State<App>, InPath(id): InPath<String>) -> Answer<Response> {
    let id: OperationId = input::id("operation", &id)?;
    Ok(accepted(&app.control.retry(&id).await?, false))
}

pub(crate) async fn delete_volume(State(app): State<App>, InPath(name): InPath<String>) -> Answer<StatusCode> {
    app.control.delete_volume(&name).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn named(app: &App, headers: &HeaderMap, service: &str, what: Change, how: &ChangeQuery) -> Answer<Response> {
    change(app, headers, input::id("service", service)?, what, how).await
}

/// Plans the change, or hands it over.
async fn change(
    app: &App,
    headers: &HeaderMap,
    service: ServiceName,
    change: Change,
    how: &ChangeQuery,
) -> Answer<Response> {
    let idempotency_key = input::idempotency_key(headers)?;
    let deadline = how.deadline.map(deadline).transpose()?;
    if how.dry_run {
        let plan = app.control.preview(&service, &change).await?;
        return Ok(Json(Plan::from(&plan)).into_response());
    }
    let done = app.control.submit(Submission { service, change, idempotency_key, deadline }).await?;
    Ok(accepted(&done.operation, done.repeated))
}

fn deadline(seconds: u64) -> Answer<Duration> {
    if (1..=DEADLINE_MAX).contains(&seconds) {
        return Ok(Duration::from_secs(seconds));
    }
    Err(Refused::field("deadline", format!("is {seconds}"), format!("1 to {DEADLINE_MAX} seconds")))
}

fn accepted(operation: &ServiceOperation, repeated: bool) -> Response {
    let operation = Operation::from(operation);
    let location = [(header::LOCATION, path::operation(&operation.id))];
    let mut response = (StatusCode::ACCEPTED, location, Json(operation)).into_response();
    if repeated {
        response.headers_mut().insert(REPLAYED, axum::http::HeaderValue::from_static("true"));
    }
    response
}
