//! A typed client of the HTTP API.
//!
//! Main pieces: [`Client`] with one method per call of the API (`calls`), [`ClientSettings`] and [`ServerAddress`] (where
//! the server is), [`ResolveName`] (names of our zone are asked of OpenManage's own DNS server), `follow` (server-sent
//! events that survive a restart of the server), [`ClientError`] (what went wrong, and what to do next).
//!
//! **Architecture invariant:** a request is sent again only if that cannot do it twice: reads, and writes that carry an
//! idempotency key.

#![forbid(unsafe_code)]

mod address;
mod calls;
mod error;
mod follow;
mod lines;
mod request;
mod resolve;
mod sse;

use std::sync::Arc;
use std::time::Duration;

use om_backend::Runtime;

pub use address::ServerAddress;
pub use calls::{ChangeOptions, Changed};
pub use error::ClientError;
pub use resolve::ResolveName;

/// Short for results of the client.
pub type Result<T> = std::result::Result<T, ClientError>;

/// How long a connection may take to open.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// How long a stream may be silent: the server sends a comment every 15 seconds.
const SILENT_FOR: Duration = Duration::from_secs(45);

/// Where the server is and how to talk to it.
#[derive(Clone)]
pub struct ClientSettings {
    /// The server.
    pub server: ServerAddress,
    /// The bearer token.
    pub token: Option<String>,
    /// The certificate of the authority that signed the server's, PEM; the machine's authorities when absent.
    pub ca: Option<String>,
    /// Resolves the server's name; the machine's resolver when absent.
    pub resolver: Option<Arc<dyn ResolveName>>,
    /// Time and chance: for pauses between attempts, and for idempotency keys.
    pub runtime: Runtime,
}

/// The client. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    server: ServerAddress,
    token: Option<String>,
    runtime: Runtime,
}

impl Client {
    /// A client of the server in `settings`. Nothing is sent yet. The process must have installed a TLS provider.
    ///
    /// # Errors
    /// [`ClientError::Settings`] if the certificate cannot be read.
    pub fn new(settings: ClientSettings) -> Result<Self> {
        let refuse = |error: reqwest::Error| ClientError::Settings(format!("the client cannot be set up: {error}"));
        let mut builder = reqwest::Client::builder()
            .connect_timeout(CONNECT_WITHIN)
            .read_timeout(SILENT_FOR)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("openmanage/", env!("CARGO_PKG_VERSION")));
        if let Some(pem) = &settings.ca {
            let ca = reqwest::Certificate::from_pem(pem.as_bytes()).map_err(refuse)?;
            builder = builder.tls_certs_only([ca]);
        } else if !settings.server.is_https() {
            // No authority is needed, so none is read from disk.
            builder = builder.tls_certs_only([]);
        }
        if let Some(resolver) = settings.resolver {
            builder = builder.dns_resolver(resolve::Adapter(resolver));
        }
        let http = builder.build().map_err(refuse)?;
        Ok(Self { http, server: settings.server, token: settings.token, runtime: settings.runtime })
    }

    /// The server it talks to.
    pub fn server(&self) -> &ServerAddress {
        &self.server
    }
}

#[cfg(test)]
mod tests;
