//! Why an endpoint cannot be had: the address, the cause and what to do next.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

/// An endpoint that cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The address or the socket cannot be had.
    #[error("cannot listen on {endpoint}: {detail} ({next})")]
    Bind {
        /// The address or path.
        endpoint: String,
        /// What came of it.
        detail: String,
        /// What to do next.
        next: String,
    },
    /// The certificate or its key cannot be used.
    #[error(
        "cannot serve TLS on {endpoint}: {detail} (give a PEM certificate chain and the PEM key that belongs to it)"
    )]
    Certificate {
        /// The address.
        endpoint: String,
        /// What came of it.
        detail: String,
    },
}

impl HttpError {
    pub(crate) fn tcp(address: SocketAddr, error: &io::Error) -> Self {
        let port = address.port();
        let next = match error.kind() {
            io::ErrorKind::AddrInUse => {
                format!("`ss -ltnp 'sport = :{port}'` shows who listens there; stop it or choose another port")
            }
            io::ErrorKind::PermissionDenied => {
                "ports below 1024 need root or CAP_NET_BIND_SERVICE; choose a higher port or run as root".into()
            }
            io::ErrorKind::AddrNotAvailable => "`ip address` lists the addresses that this machine has".into(),
            _ => "check the address and try again".into(),
        };
        Self::Bind { endpoint: address.to_string(), detail: error.to_string(), next }
    }

    pub(crate) fn unix(path: &Path, detail: impl ToString, next: impl ToString) -> Self {
        Self::Bind { endpoint: path.display().to_string(), detail: detail.to_string(), next: next.to_string() }
    }

    pub(crate) fn certificate(address: SocketAddr, detail: impl ToString) -> Self {
        Self::Certificate { endpoint: address.to_string(), detail: detail.to_string() }
    }
}
