//! Serves an [`axum::Router`] over TCP, TLS or a unix socket, and stops gracefully.
//!
//! - [`Endpoint`]: where to listen, and how. With mutual TLS, handlers learn who a client is by its certificate.
//! - [`Listener`]: a bound endpoint. Binding is separate from serving, so that a port that is taken is reported before
//!   anything else happens.
//! - [`HttpError`]: why an endpoint cannot be had, and what to do about it.
//!
//! HTTP/1.1 only: it has no version to detect, hence one time-out that covers the wait for a request's head, and event
//! streams need nothing more. Limits on the size of bodies are the router's own.
//!
//! **Architecture invariant:** a client can hold a connection, never the server: handshakes, heads and the drain at
//! shutdown are bounded in time, heads in size, connections in number.

#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, reason = "an adapter of the network: its time-outs, tasks and pauses are real")]

mod connection;
mod error;
mod listener;
mod tls;
mod unix;

#[cfg(test)]
mod tests;

pub use error::HttpError;
pub use listener::{Endpoint, Identify, Listener, Served};
