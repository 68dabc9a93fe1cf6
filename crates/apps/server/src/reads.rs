//! Handlers of calls that only tell.

use std::sync::LazyLock;

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use om_api::{
    Cluster, Connection, Engine, EngineOption, Member, Operation, OperationQuery, Page, PageQuery, Password, Service,
    Volume,
};
use om_backend::DeploymentState;
use om_control::MemberView;
use om_engines::catalog;
use om_engines::member::Role;
use om_model::{OperationId, ServiceName, ZoneName};

use crate::App;
use crate::answer::Answer;
use crate::input::{self, InPath, InQuery};

pub(crate) async fn health() -> &'static str {
    "ok\n"
}

pub(crate) async fn openapi() -> impl IntoResponse {
    static DOCUMENT: LazyLock<String> =
        LazyLock::new(|| om_api::openapi::document().to_json().expect("the document is plain data"));
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT.as_str())
}

pub(crate) async fn services(
    State(app): State<App>,
    InQuery(query): InQuery<PageQuery>,
) -> Answer<Json<Page<Service>>> {
    let after: Option<ServiceName> = query.after.map(|text| input::id("after", &text)).transpose()?;
    let (records, more) = app.control.services(after.as_ref(), input::limit(query.limit)?).await?;
    let items: Vec<_> = records.iter().map(Service::from).collect();
    Ok(page(items, more, |service| service.name.clone()))
}

pub(crate) async fn service(State(app): State<App>, InPath(name): InPath<String>) -> Answer<Json<Service>> {
    let record = app.control.service(&input::id("service", &name)?).await?;
    Ok(Json(Service::from(&record)))
}

pub(crate) async fn members(State(app): State<App>, InPath(name): InPath<String>) -> Answer<Json<Page<Member>>> {
    let views = app.control.members(&input::id("service", &name)?).await?;
    let zone = &app.control.settings().zone;
    Ok(whole(views.iter().map(|view| member(view, zone)).collect()))
}

pub(crate) async fn connection(State(app): State<App>, InPath(name): InPath<String>) -> Answer<Json<Connection>> {
    let (connection, ca) = app.control.connection(&input::id("service", &name)?).await?;
    Ok(Json(Connection {
        uri: connection.uri,
        read_uri: connection.read_uri,
        user: connection.user,
        client: connection.client,
        password_variable: connection.password_variable,
        ca_variable: connection.ca_variable,
        address_variable: connection.address_variable,
        ca,
    }))
}

pub(crate) async fn password(State(app): State<App>, InPath(name): InPath<String>) -> Answer<impl IntoResponse> {
    let name: ServiceName = input::id("service", &name)?;
    let (connection, _) = app.control.connection(&name).await?;
    let password = app.control.password(&name).await?;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(Password { user: connection.user, password })))
}

pub(crate) async fn operations(
    State(app): State<App>,
    InQuery(query): InQuery<OperationQuery>,
) -> Answer<Json<Page<Operation>>> {
    let service: Option<ServiceName> = query.service.map(|text| input::id("service", &text)).transpose()?;
    let after: Option<OperationId> = query.after.map(|text| input::id("after", &text)).transpose()?;
    let limit = input::limit(query.limit)?;
    let (records, more) = app.control.operations(service.as_ref(), after.as_ref(), limit).await?;
    let items: Vec<_> = records.iter().map(Operation::from).collect();
    Ok(page(items, more, |operation| operation.id.clone()))
}

pub(crate) async fn operation(State(app): State<App>, InPath(id): InPath<String>) -> Answer<Json<Operation>> {
    let record = app.control.operation(&input::id("operation", &id)?).await?;
    Ok(Json(Operation::from(&record)))
}

pub(crate) async fn volumes(State(app): State<App>) -> Answer<Json<Page<Volume>>> {
    let records = app.control.volumes().await?;
    Ok(whole(records.iter().map(Volume::from).collect()))
}

pub(crate) async fn engines() -> Json<Page<Engine>> {
    let option = |(name, accepted): &(&str, &str)| EngineOption { name: (*name).into(), accepted: (*accepted).into() };
    let engines = catalog::all().into_iter().map(|engine| Engine {
        name: engine.name().into(),
        versions: engine.versions().iter().map(|version| version.name.into()).collect(),
        default_version: engine.default_version().into(),
        port: engine.port(),
        options: engine.options().iter().map(option).collect(),
    });
    whole(engines.collect())
}

pub(crate) async fn cluster(State(app): State<App>) -> Json<Cluster> {
    let settings = app.control.settings();
    Json(Cluster {
        cluster: settings.cluster.to_string(),
        zone: settings.zone.to_string(),
        region: settings.region.as_ref().map(ToString::to_string),
        addresses: settings.server_addresses.iter().map(ToString::to_string).collect(),
        version: app.settings.version.clone(),
    })
}

fn member(view: &MemberView, zone: &ZoneName) -> Member {
    let mut member = Member::from_record(&view.record, zone);
    if let Some(deployment) = &view.deployment {
        member.deployment = state(deployment.state).into();
        member.container = deployment.container.clone().or(member.container);
    }
    match &view.status {
        Ok(status) => {
            let health = status.health.as_ref();
            member.role = health.and_then(|health| health.role).map(|role| role_word(role).into());
            member.healthy = health.is_some_and(|health| health.healthy);
            member.detail = health.map_or(&status.detail, |health| &health.detail).clone();
            member.lag_bytes = health.and_then(|health| health.lag_bytes);
            member.configuration = Some(status.configuration);
            member.restart_pending = status.restart_pending;
        }
        Err(reason) => member.detail = reason.clone(),
    }
    member
}

const fn state(state: DeploymentState) -> &'static str {
    match state {
        DeploymentState::Created => "created",
        DeploymentState::Running => "running",
        DeploymentState::Restarting => "restarting",
        DeploymentState::Stopped => "stopped",
    }
}

const fn role_word(role: Role) -> &'static str {
    match role {
        Role::Primary => "primary",
        Role::Standby => "standby",
    }
}

/// A page that may go on.
pub(crate) fn page<T>(items: Vec<T>, more: bool, cursor: impl Fn(&T) -> String) -> Json<Page<T>> {
    let next = items.last().filter(|_| more).map(cursor);
    Json(Page { items, next })
}

/// A listing that is complete.
fn whole<T>(items: Vec<T>) -> Json<Page<T>> {
    Json(Page { items, next: None })
}
