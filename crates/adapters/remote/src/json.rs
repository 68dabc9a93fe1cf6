//! Plain JSON calls under the same trust: for the storage host, whose protocol is its provider's own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::extract::{Path, Request};
use axum::routing::post;
use axum::{Extension, Router};
use om_backend::{PeerIdentity, PeerRole, Result};
use serde_json::Value;

use crate::dial::Expected;
use crate::identity::Identity;
use crate::line::{Line, encode};
use crate::serving::{allow, answer, body, decode};
use crate::wire::PREFIX;

/// How long a call may take unless told otherwise.
const LIMIT: Duration = Duration::from_secs(30);

/// Answers JSON calls.
#[async_trait]
pub trait JsonCall: Send + Sync {
    /// Carries out `path` for `caller`.
    async fn call(&self, caller: &PeerIdentity, path: &str, args: Value) -> Result<Value>;
}

/// Routes every call under `folder` (a word, for example `storage`) to `service`, for callers of these roles.
pub fn json_router(folder: &str, roles: &'static [PeerRole], service: Arc<dyn JsonCall>) -> Router {
    let handler = move |Path(path): Path<String>, Extension(caller): Extension<PeerIdentity>, request: Request| async move {
        let ran = async {
            let args: Value = decode(&path, &body(&path, request).await?)?;
            service.call(&caller, &path, args).await
        };
        answer(ran.await)
    };
    allow(Router::new().route(&format!("{PREFIX}{folder}/{{*path}}"), post(handler)), roles)
}

/// Calls a [`json_router`].
pub struct JsonLine {
    line: Line,
    folder: String,
}

impl JsonLine {
    /// Calls `folder` at `at`, where `peer` has to answer. Nothing is sent yet.
    pub fn new(identity: &Identity, folder: &str, peer: PeerIdentity, at: SocketAddr) -> Self {
        let line = Line::new(identity.client_config(), at, Expected::Peer(peer));
        Self { line, folder: folder.to_owned() }
    }

    /// As [`Self::new`], where anybody of the role may answer, at a `host:port` that may be a name.
    pub fn of_role(identity: &Identity, folder: &str, role: PeerRole, at: &str) -> Self {
        let line = Line::new(identity.client_config(), at, Expected::Role(role));
        Self { line, folder: folder.to_owned() }
    }

    /// Calls `path`.
    ///
    /// # Errors
    /// What the service answered, or [`Unavailable`](om_backend::ErrorKind) or [`TimedOut`](om_backend::ErrorKind).
    pub async fn post(&self, path: &str, args: &Value) -> Result<Value> {
        self.post_within(path, args, LIMIT).await
    }

    /// Calls `path`, and waits for at most `limit`.
    ///
    /// # Errors
    /// As [`Self::post`].
    pub async fn post_within(&self, path: &str, args: &Value, limit: Duration) -> Result<Value> {
        let path = format!("{}/{path}", self.folder);
        let answer = self.line.post(&path, limit, encode(&path, args)?).await?;
        self.line.decode(&path, &answer)
    }
}
