//! Lines from pieces of bytes, and streams of one JSON value per line.

use std::collections::VecDeque;

use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use serde::de::DeserializeOwned;

use crate::request::Call;
use crate::{Client, Result};

/// Longest line: an answer that goes on without an end must not fill the memory.
const LINE_MAX: usize = 8 << 20;

/// Puts lines together, piece by piece.
#[derive(Default)]
pub(crate) struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    /// Takes a piece and gives the lines that it completes, without their ends.
    pub(crate) fn feed(&mut self, piece: &[u8]) -> std::result::Result<Vec<String>, String> {
        self.rest.extend_from_slice(piece);
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else {
            let long = self.rest.len() > LINE_MAX;
            return if long { Err(format!("a line of more than {LINE_MAX} bytes")) } else { Ok(Vec::new()) };
        };
        let rest = self.rest.split_off(end + 1);
        let whole = std::mem::replace(&mut self.rest, rest);
        let text = String::from_utf8_lossy(&whole[..end]);
        Ok(text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line).to_owned()).collect())
    }
}

struct State {
    client: Client,
    body: BoxStream<'static, reqwest::Result<Vec<u8>>>,
    lines: Lines,
    ready: VecDeque<String>,
    over: bool,
}

impl Client {
    /// A stream of one `T` per line. It is not taken up again after a break: lines have no numbers.
    pub(crate) async fn lines<T>(&self, call: Call) -> Result<BoxStream<'static, Result<T>>>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let response = self.open(&call, om_api::NDJSON, None).await?;
        let body = response.bytes_stream().map(|piece| piece.map(|bytes| bytes.to_vec())).boxed();
        let state = State { client: self.clone(), body, lines: Lines::default(), ready: VecDeque::new(), over: false };
        Ok(stream::unfold(state, next).boxed())
    }
}

async fn next<T: DeserializeOwned>(mut state: State) -> Option<(Result<T>, State)> {
    loop {
        if let Some(line) = state.ready.pop_front() {
            let item = serde_json::from_str(&line).map_err(|error| state.client.protocol(error));
            return Some((item, state));
        }
        if state.over {
            return None;
        }
        let failed = match state.body.next().await {
            None => return None,
            Some(Ok(piece)) => match state.lines.feed(&piece) {
                Ok(lines) => {
                    state.ready.extend(lines.into_iter().filter(|line| !line.is_empty()));
                    continue;
                }
                Err(detail) => state.client.protocol(detail),
            },
            Some(Err(error)) => state.client.broken(&error).error,
        };
        state.over = true;
        return Some((Err(failed), state));
    }
}
