//! Sending requests: with the token, within time, again where that is safe.

use std::time::Duration;

use om_api::{Code, IDEMPOTENCY_KEY, PROBLEM_JSON, Problem};
use reqwest::{Method, RequestBuilder, Response, StatusCode, header};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{Client, ClientError, Result};

/// How long a call that is not a stream may take, answer included.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// Pauses before the second and later attempts.
const PAUSES: [Duration; 3] = [Duration::from_millis(100), Duration::from_millis(400), Duration::from_millis(1600)];

/// A request, to be sent once or more.
pub(crate) struct Call {
    method: Method,
    path: String,
    query: Value,
    body: Option<Value>,
    key: Option<String>,
}

impl Call {
    pub(crate) fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), query: Value::Null, body: None, key: None }
    }

    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    pub(crate) fn post(path: impl Into<String>) -> Self {
        Self::new(Method::POST, path)
    }

    pub(crate) fn query(mut self, query: &impl Serialize) -> Self {
        self.query = plain(query);
        self
    }

    pub(crate) fn body(mut self, body: &impl Serialize) -> Self {
        self.body = Some(plain(body));
        self
    }

    pub(crate) fn key(mut self, key: String) -> Self {
        self.key = Some(key);
        self
    }

    /// True if sending it twice has the effect of once.
    fn repeatable(&self) -> bool {
        self.method == Method::GET || self.key.is_some()
    }
}

fn plain(value: &impl Serialize) -> Value {
    serde_json::to_value(value).expect("wire types are plain data")
}

impl Client {
    /// Sends `call`, again if it is safe and may help, and reads the answer.
    pub(crate) async fn call<T: DeserializeOwned>(&self, call: Call) -> Result<(StatusCode, T)> {
        let (status, text) = self.answer(&call).await?;
        let value = serde_json::from_str(&text).map_err(|error| self.protocol(error))?;
        Ok((status, value))
    }

    /// The same for answers whose body does not matter, or is not JSON.
    pub(crate) async fn answer(&self, call: &Call) -> Result<(StatusCode, String)> {
        let mut pauses = PAUSES.iter();
        loop {
            let failed = match self.attempt(call).await {
                Ok(answer) => return Ok(answer),
                Err(failed) => failed,
            };
            let again = call.repeatable() && failed.again;
            match pauses.next().filter(|_| again) {
                Some(pause) => self.runtime.clock.sleep(*pause).await,
                None => return Err(failed.error),
            }
        }
    }

    async fn attempt(&self, call: &Call) -> std::result::Result<(StatusCode, String), Failed> {
        let request = self.request(call).timeout(ANSWER_WITHIN);
        let response = self.send(request).await?;
        let status = response.status();
        let text = response.text().await.map_err(|error| self.broken(&error))?;
        Ok((status, text))
    }

    /// Opens a stream: only the head of the answer is awaited.
    pub(crate) async fn open(&self, call: &Call, accept: &'static str, last: Option<&str>) -> Result<Response> {
        let mut request = self.request(call).header(header::ACCEPT, accept);
        if let Some(id) = last {
            request = request.header("last-event-id", id);
        }
        self.send(request).await.map_err(|failed| failed.error)
    }

    fn request(&self, call: &Call) -> RequestBuilder {
        let mut request = self.http.request(call.method.clone(), format!("{}{}", self.server, call.path));
        if call.query.as_object().is_some_and(|query| !query.is_empty()) {
            request = request.query(&call.query);
        }
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(key) = &call.key {
            request = request.header(IDEMPOTENCY_KEY, key);
        }
        match &call.body {
            Some(body) => request.json(body),
            None => request,
        }
    }

    async fn send(&self, request: RequestBuilder) -> std::result::Result<Response, Failed> {
        let response = request.send().await.map_err(|error| self.broken(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let ours = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == PROBLEM_JSON);
        let text = response.text().await.map_err(|error| self.broken(&error))?;
        let problem = serde_json::from_str::<Problem>(&text).ok().filter(|_| ours);
        let error = match problem {
            Some(problem) => ClientError::Problem(Box::new(problem)),
            None => self.protocol(format!("status {status}")),
        };
        let again = matches!(error.code(), Some(Code::Unavailable | Code::TimedOut));
        Err(Failed { error, again })
    }

    /// A connection that could not be opened is not tried again: whoever waits wants to know that the server is down.
    pub(crate) fn broken(&self, error: &reqwest::Error) -> Failed {
        Failed { error: ClientError::unreachable(&self.server, error), again: !error.is_connect() }
    }

    pub(crate) fn protocol(&self, detail: impl ToString) -> ClientError {
        ClientError::Protocol { server: self.server.to_string(), detail: detail.to_string() }
    }
}

/// A failed attempt.
pub(crate) struct Failed {
    pub(crate) error: ClientError,
    /// True if another attempt may help.
    again: bool,
}
