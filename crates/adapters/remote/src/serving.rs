//! The serving side of a call, and who may call.

use std::sync::Arc;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Extension, Router};
use om_backend::{ErrorKind, PeerIdentity, PeerRole, PortError, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::wire::{BODY_MAX, Call, PREFIX, status};

/// Who calls, as its certificate says; none if it showed none or one without a role.
pub(crate) type Caller = Option<PeerIdentity>;

/// Adds `call` to `router`, carried out by `run` on `port`.
pub(crate) fn serve<S, A, T, F, R>(router: Router, call: &Call<A, T>, port: &Arc<S>, run: F) -> Router
where
    S: ?Sized + Send + Sync + 'static,
    A: DeserializeOwned + Send + 'static,
    T: Serialize + 'static,
    F: Fn(Arc<S>, Caller, A) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Result<T>> + Send + 'static,
{
    let (port, path) = (port.clone(), call.path);
    let handler = move |caller: Option<Extension<PeerIdentity>>, request: Request| async move {
        let ran = async {
            let args = decode(path, &body(path, request).await?)?;
            run(port, caller.map(|Extension(peer)| peer), args).await
        };
        answer(ran.await)
    };
    router.route(&format!("{PREFIX}{path}"), post(handler))
}

/// Lets callers of these roles pass and refuses all others: for the routes added so far.
pub fn allow(router: Router, roles: &'static [PeerRole]) -> Router {
    router.route_layer(from_fn(
        move |caller: Option<Extension<PeerIdentity>>, request: Request, next: Next| async move {
            let refuse = |status: StatusCode, detail: String| {
                let path = request.uri().path();
                tracing::warn!(path, detail, "a call was refused");
                let accepted: Vec<_> = roles.iter().map(ToString::to_string).collect();
                let next = format!("a certificate of role {} is needed", accepted.join(" or "));
                let error = PortError::new(ErrorKind::Refused, "call", path, detail).advise(next);
                with_status(status, &error)
            };
            match caller {
                None => refuse(
                    StatusCode::UNAUTHORIZED,
                    "the caller shows no certificate of a process of the cluster".into(),
                ),
                Some(Extension(peer)) if !roles.contains(&peer.role) => {
                    refuse(StatusCode::FORBIDDEN, format!("the caller is the {peer}"))
                }
                Some(_) => next.run(request).await,
            }
        },
    ))
}

/// Refuses unless the caller is the agent of `node`.
pub(crate) fn itself(caller: &Caller, action: &str, node: &om_model::NodeId) -> Result<()> {
    let caller = caller.as_ref().filter(|peer| peer.role == PeerRole::Agent);
    if caller.is_some_and(|peer| peer.name == node.as_str()) {
        return Ok(());
    }
    let who = caller.map_or_else(|| "somebody else".to_owned(), |peer| format!("the {peer}"));
    Err(PortError::new(ErrorKind::Refused, action, format!("for node {node}"), format!("{who} asks for it")))
}

pub(crate) async fn body(path: &str, request: Request) -> Result<Bytes> {
    let failed = |error| PortError::new(ErrorKind::Invalid, "read", format!("the body of {path}"), error);
    to_bytes(request.into_body(), BODY_MAX).await.map_err(failed)
}

pub(crate) fn decode<A: DeserializeOwned>(path: &str, body: &[u8]) -> Result<A> {
    serde_json::from_slice(body)
        .map_err(|error| PortError::new(ErrorKind::Invalid, "read", format!("the body of {path}"), error))
}

/// The result as a response.
pub(crate) fn answer<T: Serialize>(result: Result<T>) -> Response {
    match result {
        Ok(value) => with_status(StatusCode::OK, &value),
        Err(error) => with_status(status(error.kind), &error),
    }
}

fn with_status(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => (status, [(header::CONTENT_TYPE, "application/json")], Body::from(body)).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
