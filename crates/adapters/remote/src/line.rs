//! A line to one process of the cluster: connections kept for the next call, one call at a time on each.
//!
//! **Invariant:** a call never waits for another; it takes an idle connection or makes one. A connection lives for
//! [`LIFE_MAX`] at most, so that a renewed certificate comes into use and one that is over goes out of use.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::SendRequest;
use hyper::{Request, StatusCode, header};
use om_backend::{ErrorKind, PortError, Result};
use rustls::ClientConfig;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::dial::{Expected, dial};
use crate::wire::{BODY_MAX, Call, PREFIX};

/// Connections that were idle for longer are not used again: the other side closes them after 30 s.
const IDLE_MAX: Duration = Duration::from_secs(20);
/// Connections older than this are not used again.
const LIFE_MAX: Duration = Duration::from_secs(600);
/// Idle connections kept.
const IDLE_COUNT: usize = 8;

/// A line to whoever answers at one address.
pub(crate) struct Line {
    tls: Arc<ClientConfig>,
    at: String,
    expected: Expected,
    idle: Mutex<Vec<Connection>>,
}

struct Connection {
    sender: SendRequest<Full<Bytes>>,
    born: Instant,
    used: Instant,
}

impl Line {
    /// A line to `at` (`host:port`), where `expected` has to answer. Nothing is sent yet.
    pub(crate) fn new(tls: Arc<ClientConfig>, at: impl ToString, expected: Expected) -> Self {
        Self { tls, at: at.to_string(), expected, idle: Mutex::default() }
    }

    /// Carries out `call`.
    pub(crate) async fn ask<A: Serialize, T: DeserializeOwned>(&self, call: &Call<A, T>, args: &A) -> Result<T> {
        let answer = self.post(call.path, call.limit(), encode(call.path, args)?).await?;
        self.decode(call.path, &answer)
    }

    /// Posts a JSON body and returns the JSON answer, or the error that the other side answered.
    pub(crate) async fn post(&self, path: &str, limit: Duration, body: Bytes) -> Result<Bytes> {
        let failed = |kind, detail: String| PortError::new(kind, "call", self.subject(path), detail);
        let exchange = tokio::time::timeout(limit, self.exchange(path, body)).await;
        let (status, answer) = match exchange {
            Ok(Ok(answer)) => answer,
            Ok(Err(detail)) => return Err(failed(ErrorKind::Unavailable, detail)),
            Err(_) => return Err(failed(ErrorKind::TimedOut, format!("no answer within {limit:?}"))),
        };
        if status == StatusCode::OK {
            return Ok(answer);
        }
        Err(serde_json::from_slice(&answer).unwrap_or_else(|_| {
            let text: String = String::from_utf8_lossy(&answer).chars().take(200).collect();
            failed(ErrorKind::Unavailable, format!("it answered {status} {text}"))
        }))
    }

    pub(crate) fn decode<T: DeserializeOwned>(&self, path: &str, answer: &[u8]) -> Result<T> {
        serde_json::from_slice(answer).map_err(|error| {
            let detail = format!("its answer is not understood: {error}");
            PortError::new(ErrorKind::Unavailable, "call", self.subject(path), detail)
                .advise("run the same version everywhere")
        })
    }

    fn subject(&self, path: &str) -> String {
        format!("{path} of {} at {}", self.expected, self.at)
    }

    /// On an idle connection; if that proves dead, once more on a new one: calls may be repeated.
    async fn exchange(&self, path: &str, body: Bytes) -> std::result::Result<(StatusCode, Bytes), String> {
        if let Some(connection) = self.take() {
            if let Ok(answer) = self.over(connection, path, body.clone()).await {
                return Ok(answer);
            }
            // What happened to one has happened to the others.
            self.idle().clear();
        }
        let sender = dial(&self.at, &self.tls, &self.expected).await?;
        let now = Instant::now();
        self.over(Connection { sender, born: now, used: now }, path, body).await
    }

    async fn over(
        &self,
        mut connection: Connection,
        path: &str,
        body: Bytes,
    ) -> std::result::Result<(StatusCode, Bytes), String> {
        let lost = |error: &dyn std::fmt::Display| format!("the connection was lost: {error}");
        let request = Request::post(format!("{PREFIX}{path}"))
            .header(header::HOST, &self.at)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| format!("the request cannot be made: {error}"))?;
        connection.sender.ready().await.map_err(|error| lost(&error))?;
        let response = connection.sender.send_request(request).await.map_err(|error| lost(&error))?;
        let status = response.status();
        let answer = Limited::new(response.into_body(), BODY_MAX).collect().await.map_err(|error| lost(&error))?;
        connection.used = Instant::now();
        let mut idle = self.idle();
        if idle.len() < IDLE_COUNT {
            idle.push(connection);
        }
        Ok((status, answer.to_bytes()))
    }

    /// The idle connection used last, if it is still good.
    fn take(&self) -> Option<Connection> {
        let mut idle = self.idle();
        idle.retain(|connection| {
            !connection.sender.is_closed()
                && connection.used.elapsed() < IDLE_MAX
                && connection.born.elapsed() < LIFE_MAX
        });
        idle.pop()
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The body of a call.
pub(crate) fn encode(path: &str, args: &impl Serialize) -> Result<Bytes> {
    let body = serde_json::to_vec(args).map_err(|error| PortError::new(ErrorKind::Invalid, "call", path, error))?;
    Ok(body.into())
}
