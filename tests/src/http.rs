//! The HTTP API, byte by byte: what no well-behaved client would send.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use crate::World;

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Status line and headers, in lower case.
    pub head: String,
    /// The body, as text.
    pub body: String,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Panics
    /// If it is none.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl World {
    /// Sends a request with the administrator's token and a JSON body.
    ///
    /// # Errors
    /// If the server hung up without an answer.
    pub fn http(&self, method: &str, path: &str, body: &str) -> Result<Answer, String> {
        self.http_with(method, path, body, &[])
    }

    /// The same with further headers.
    ///
    /// # Errors
    /// As [`Self::http`].
    pub fn http_with(&self, method: &str, path: &str, body: &str, headers: &[&str]) -> Result<Answer, String> {
        let token = std::fs::read_to_string(self.token_file()).expect("the token can be read");
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: openmanage\r\nauthorization: Bearer {}\r\n\
             content-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n{}\r\n",
            token.trim(),
            body.len(),
            headers.iter().map(|header| format!("{header}\r\n")).collect::<String>()
        );
        self.raw(&[head.as_bytes(), body.as_bytes()])
    }

    /// Sends these bytes on a new connection, ends it, and reads what comes.
    ///
    /// # Errors
    /// If nothing comes that is HTTP.
    pub fn raw(&self, pieces: &[&[u8]]) -> Result<Answer, String> {
        let port = u16::try_from(self.port()).expect("a port");
        let mut stream = TcpStream::connect((self.api_address(), port)).map_err(|error| error.to_string())?;
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a time-out can be set");
        stream.set_write_timeout(Some(Duration::from_secs(30))).expect("a time-out can be set");
        // A server that has heard enough answers and hangs up: the rest cannot be sent, and the answer is there.
        let _ = pieces.iter().try_for_each(|piece| stream.write_all(piece));
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").ok_or_else(|| format!("no answer: {text:?}"))?;
        let status =
            head.split(' ').nth(1).and_then(|word| word.parse().ok()).ok_or_else(|| format!("no HTTP: {head}"))?;
        Ok(Answer { status, head: head.to_lowercase(), body: body.to_owned() })
    }
}
