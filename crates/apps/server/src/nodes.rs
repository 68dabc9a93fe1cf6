//! Handlers of calls on nodes, and of tokens for joining.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use om_api::{Drain, FenceNode, JoinToken, NewJoinToken, Node, Operation, Page, RefusedMove};
use om_backend::authority::PeerRole;
use om_control::NodeView;
use om_model::NodeId;

use crate::App;
use crate::answer::{Answer, Refused};
use crate::input::{self, InBody, InPath};

const VALID_MINUTES: u32 = 60;
const VALID_MINUTES_MAX: u32 = 7 * 24 * 60;

pub(crate) async fn list(State(app): State<App>) -> Answer<Json<Page<Node>>> {
    let items = app.control.nodes().await?.iter().map(node).collect();
    Ok(Json(Page { items, next: None }))
}

pub(crate) async fn drain(State(app): State<App>, InPath(name): InPath<String>) -> Answer<impl IntoResponse> {
    let begun = app.control.drain(&id(&name)?).await?;
    let refused = begun.refused.into_iter();
    let drain = Drain {
        operations: begun.operations.iter().map(Operation::from).collect(),
        refused: refused.map(|(member, reason)| RefusedMove { member: member.to_string(), reason }).collect(),
    };
    Ok((StatusCode::ACCEPTED, Json(drain)))
}

pub(crate) async fn undrain(State(app): State<App>, InPath(name): InPath<String>) -> Answer<StatusCode> {
    app.control.undrain(&id(&name)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn fence(
    State(app): State<App>,
    InPath(name): InPath<String>,
    InBody(request): InBody<FenceNode>,
) -> Answer<StatusCode> {
    app.control.vouch_off(&id(&name)?, request.force).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn forget(State(app): State<App>, InPath(name): InPath<String>) -> Answer<StatusCode> {
    app.control.forget(&id(&name)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn token(State(app): State<App>, InBody(request): InBody<NewJoinToken>) -> Answer<impl IntoResponse> {
    let role = match request.role.as_str() {
        "agent" => PeerRole::Agent,
        "storage" => PeerRole::Storage,
        other => return Err(Refused::field("role", format!("{other:?} does not join"), "agent, storage")),
    };
    let valid_minutes = request.valid_minutes.unwrap_or(VALID_MINUTES);
    if !(1..=VALID_MINUTES_MAX).contains(&valid_minutes) {
        let accepted = format!("1 to {VALID_MINUTES_MAX} minutes");
        return Err(Refused::field("valid_minutes", format!("is {valid_minutes}"), accepted));
    }
    let token = app.control.new_join_token(role, Duration::from_secs(60 * u64::from(valid_minutes))).await?;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(JoinToken { token, role: request.role, valid_minutes })))
}

fn id(name: &str) -> Answer<NodeId> {
    input::id("node", name)
}

fn node(view: &NodeView) -> Node {
    Node {
        members: view.members.iter().map(ToString::to_string).collect(),
        schedulable: view.schedulable,
        ready: view.ready,
        ..Node::from_record(&view.record)
    }
}
