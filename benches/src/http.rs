//! HTTP/1.1 with as little as possible between the clock and the server: one connection, one request at a time.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// A connection. `head` goes with every request.
pub struct Client<S> {
    stream: BufReader<S>,
    head: String,
}

/// Calls an HTTP server on a unix socket once, with a JSON body; what it answered, if that is a success.
///
/// # Errors
/// If there is no answer, or an error.
pub fn once(socket: &Path, method: &str, path: &str, body: &str) -> Result<String> {
    let stream = UnixStream::connect(socket).with_context(|| format!("cannot connect to {}", socket.display()))?;
    let head = "content-type: application/json\r\nconnection: close\r\n".to_owned();
    Client { stream: BufReader::new(stream), head }.call(method, path, body)
}

impl Client<TcpStream> {
    /// A connection to a server, with a bearer token.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn connect(address: &str, token: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream), head: format!("authorization: Bearer {token}\r\n") })
    }
}

impl<S: Read + Write> Client<S> {
    /// Sends a request and reads the whole answer; its body, if it is a success.
    ///
    /// # Errors
    /// If there is no answer, or an error.
    pub fn call(&mut self, method: &str, path: &str, body: &str) -> Result<String> {
        let (head, length) = (&self.head, body.len());
        let request =
            format!("{method} {path} HTTP/1.1\r\nhost: openmanage\r\n{head}content-length: {length}\r\n\r\n{body}");
        self.stream.get_mut().write_all(request.as_bytes())?;
        let status = self.line()?;
        let code: u16 = status.split(' ').nth(1).and_then(|word| word.parse().ok()).context("no HTTP status")?;
        let mut length = None;
        loop {
            let line = self.line()?.to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = Some(value.trim().parse::<usize>()?);
            }
        }
        let mut body = Vec::new();
        match length {
            Some(length) => {
                body.resize(length, 0);
                self.stream.read_exact(&mut body)?;
            }
            None if code == 204 || code == 304 => {}
            // Without a length the body ends with the connection.
            None => drop(self.stream.read_to_end(&mut body)?),
        }
        let body = String::from_utf8_lossy(&body).into_owned();
        if !(200..300).contains(&code) {
            bail!("{method} {path}: {status}: {body}");
        }
        Ok(body)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }
}
