//! Following server-sent events across breaks of the connection.
//!
//! A break is not an error: the stream is opened again where it was (`Last-Event-ID`), with growing pauses, for as long as
//! a restart of the server may take. Only then does the follower hear of it.

use std::collections::VecDeque;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use om_api::{EVENT_STREAM, Problem};
use serde::de::DeserializeOwned;

use crate::request::Call;
use crate::sse::{Parser, SseEvent};
use crate::{Client, ClientError, Result};

/// Pauses before the stream is opened again, the last one many times.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Attempts in a row without any event before the follower is told: about a minute.
const ATTEMPTS: u32 = 30;

struct Follower<T> {
    client: Client,
    call: Call,
    /// True for the item after which nothing follows.
    last: fn(&T) -> bool,
    body: Option<BoxStream<'static, reqwest::Result<Vec<u8>>>>,
    parser: Parser,
    ready: VecDeque<SseEvent>,
    /// The id of the last event, to go on after.
    cursor: Option<String>,
    failures: u32,
    /// True once the stream was open: a server that was never there is told of at once.
    opened: bool,
    over: bool,
}

impl Client {
    pub(crate) fn follow<T>(&self, call: Call, last: fn(&T) -> bool) -> BoxStream<'static, Result<T>>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let follower = Follower {
            client: self.clone(),
            call,
            last,
            body: None,
            parser: Parser::default(),
            ready: VecDeque::new(),
            cursor: None,
            failures: 0,
            opened: false,
            over: false,
        };
        stream::unfold(follower, |mut follower| async move {
            let item = follower.next().await?;
            Some((item, follower))
        })
        .boxed()
    }
}

impl<T: DeserializeOwned> Follower<T> {
    async fn next(&mut self) -> Option<Result<T>> {
        while !self.over {
            if let Some(event) = self.ready.pop_front() {
                return Some(self.item(event));
            }
            if let Err(error) = self.fill().await {
                self.body = None;
                self.failures += 1;
                if !error.may_pass() || !self.opened || self.failures >= ATTEMPTS {
                    self.over = true;
                    return Some(Err(error));
                }
                let pause = FIRST_PAUSE * 2u32.saturating_pow(self.failures.min(8) - 1);
                self.client.runtime.clock.sleep(pause.min(LONGEST_PAUSE)).await;
            }
        }
        None
    }

    /// Reads the next piece, opening the stream if need be.
    async fn fill(&mut self) -> Result<()> {
        let body = match &mut self.body {
            Some(body) => body,
            None => {
                let response = self.client.open(&self.call, EVENT_STREAM, self.cursor.as_deref()).await?;
                self.parser = Parser::default();
                self.opened = true;
                let pieces = response.bytes_stream().map(|piece| piece.map(|bytes| bytes.to_vec()));
                self.body.insert(pieces.boxed())
            }
        };
        let piece = match body.next().await {
            Some(Ok(piece)) => piece,
            Some(Err(error)) => return Err(self.client.broken(&error).error),
            None => return Err(self.closed()),
        };
        let events = self.parser.feed(&piece).map_err(|detail| self.client.protocol(detail))?;
        self.ready.extend(events);
        Ok(())
    }

    fn item(&mut self, event: SseEvent) -> Result<T> {
        if event.kind == "problem" {
            self.over = true;
            let problem = serde_json::from_str::<Problem>(&event.data).map_err(|error| self.client.protocol(error))?;
            return Err(ClientError::Problem(Box::new(problem)));
        }
        let item = serde_json::from_str(&event.data).map_err(|error| self.client.protocol(error));
        self.failures = 0;
        self.cursor = event.id.or(self.cursor.take());
        self.over = item.as_ref().map_or(true, self.last);
        item
    }

    fn closed(&self) -> ClientError {
        ClientError::Unreachable {
            server: self.client.server.to_string(),
            detail: "the server closed the stream".into(),
            next: "is the server running? start it with `openmanage up`".into(),
        }
    }
}
