//! Making a connection: TCP, TLS, and the check who answers.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use om_backend::{PeerIdentity, PeerRole};
use rustix::net::sockopt;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::certificate::peer_of;

/// How long a connection may take to come about.
const CONNECT_LIMIT: Duration = Duration::from_secs(1);
/// How long the other machine's kernel may leave what was sent, or a probe of an idle connection, unconfirmed. A machine
/// that lost its power is noticed by this long before the call's own limit.
const SILENCE_LIMIT: Duration = Duration::from_millis(1500);
const PROBE_EVERY: Duration = Duration::from_secs(1);

/// Who has to answer.
#[derive(Clone, Debug)]
pub(crate) enum Expected {
    /// Anybody of the role.
    Role(PeerRole),
    /// This one.
    Peer(PeerIdentity),
}

impl Expected {
    fn role(&self) -> PeerRole {
        match self {
            Self::Role(role) => *role,
            Self::Peer(peer) => peer.role,
        }
    }

    fn is(&self, found: Option<&PeerIdentity>) -> bool {
        found.is_some_and(|found| match self {
            Self::Role(role) => found.role == *role,
            Self::Peer(peer) => found == peer,
        })
    }
}

impl std::fmt::Display for Expected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Role(role) => write!(f, "the {role}"),
            Self::Peer(peer) => write!(f, "the {peer}"),
        }
    }
}

/// Connects to `at`; returns why it could not, for people.
pub(crate) async fn dial(
    at: &str,
    tls: &Arc<ClientConfig>,
    expected: &Expected,
) -> Result<SendRequest<Full<Bytes>>, String> {
    let connecting = async {
        let stream = TcpStream::connect(at).await.map_err(|error| format!("no connection: {error}"))?;
        attend(&stream).map_err(|error| format!("no connection: {error}"))?;
        let name = ServerName::try_from(expected.role().dns_name()).expect("a DNS name");
        let stream = TlsConnector::from(tls.clone()).connect(name, stream).await;
        let stream = stream.map_err(|error| format!("no trusted connection: {error}"))?;
        let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let found = certificate.and_then(|certificate| peer_of(certificate));
        if !expected.is(found.as_ref()) {
            let found = found.map_or_else(|| "somebody without a role".to_owned(), |found| format!("the {found}"));
            return Err(format!("{found} answers there"));
        }
        let (sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| format!("no connection: {error}"))?;
        // Ends when the sender is dropped or the other side closes.
        tokio::spawn(async move { drop(connection.await) });
        Ok(sender)
    };
    let limit = || Err(format!("no connection within {CONNECT_LIMIT:?}"));
    tokio::time::timeout(CONNECT_LIMIT, connecting).await.unwrap_or_else(|_| limit())
}

fn attend(stream: &TcpStream) -> rustix::io::Result<()> {
    sockopt::set_tcp_nodelay(stream, true)?;
    sockopt::set_tcp_user_timeout(stream, u32::try_from(SILENCE_LIMIT.as_millis()).unwrap_or(u32::MAX))?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, PROBE_EVERY)?;
    sockopt::set_tcp_keepintvl(stream, PROBE_EVERY)
}
