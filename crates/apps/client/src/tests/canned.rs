//! A server that gives the answers it was told to give, in order, and remembers what it was asked.
#![allow(clippy::disallowed_methods, reason = "a server for tests, on a thread of its own")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use om_backend::{Clock, Entropy, Runtime, Tasks};
use om_model::Timestamp;

use crate::{Client, ClientSettings};

/// The server; it stops listening when dropped.
pub(super) struct Canned {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
    stop: std::net::SocketAddr,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Canned {
    /// A server with these answers, one per connection.
    pub(super) fn start(answers: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let stop = listener.local_addr().expect("an address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heads = Arc::clone(&asked);
        let thread = std::thread::spawn(move || {
            for answer in answers {
                let Ok((mut connection, _)) = listener.accept() else { return };
                let Some(head) = read_request(&connection) else { return };
                heads.lock().expect("no panic").push(head);
                connection.write_all(answer.as_bytes()).expect("the client reads");
                let _ = connection.shutdown(Shutdown::Write);
            }
        });
        Self { port: stop.port(), asked, stop, thread: Some(thread) }
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// The heads of the requests so far.
    pub(super) fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no panic").clone()
    }
}

impl Drop for Canned {
    fn drop(&mut self) {
        // Wakes a listener that still waits: each connection without a request ends the thread.
        drop(std::net::TcpStream::connect(self.stop));
        drop(self.thread.take().map(std::thread::JoinHandle::join));
    }
}

fn read_request(connection: &std::net::TcpStream) -> Option<String> {
    let mut reader = BufReader::new(connection);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = header(&head, "content-length").map_or(0, |text| text.parse().expect("a length"));
    reader.read_exact(&mut vec![0; length]).ok()?;
    Some(head)
}

/// A header of a request.
pub(super) fn header(head: &str, name: &str) -> Option<String> {
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
}

fn answer(status: u16, kind: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

pub(super) fn json(status: u16, body: &str) -> String {
    answer(status, "application/json", body)
}

pub(super) fn problem(status: u16, body: &str) -> String {
    answer(status, om_api::PROBLEM_JSON, body)
}

/// A stream of unknown length that ends by closing.
pub(super) fn stream(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{body}")
}

/// A client of `server`.
pub(super) fn client(server: &Canned) -> Client {
    let address = format!("127.0.0.1:{}", server.port).parse().expect("an address");
    let settings =
        ClientSettings { server: address, token: Some("secret".into()), ca: None, resolver: None, runtime: runtime() };
    Client::new(settings).expect("a client")
}

/// Time that does not pass, and chance that is none.
pub(super) fn runtime() -> Runtime {
    // Whoever is first installs it; that somebody was is all that counts.
    drop(rustls::crypto::ring::default_provider().install_default());
    Runtime { clock: Arc::new(Still), tasks: Arc::new(Still), entropy: Arc::new(Still) }
}

struct Still;

#[async_trait]
impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::default()
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }

    async fn sleep(&self, _: Duration) {}
}

impl Tasks for Still {
    fn spawn(&self, _: &'static str, _: futures::future::BoxFuture<'static, ()>) {}
}

impl Entropy for Still {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(7);
    }
}
