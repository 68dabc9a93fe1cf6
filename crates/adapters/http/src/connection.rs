//! One connection: the TLS handshake if there is one, then requests until either side ends.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::Watcher;
use om_backend::PeerIdentity;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use crate::listener::Identify;

/// How long a client may take for a TLS handshake.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

/// How long a client may take to send a request's head, and how long a connection may idle between requests.
const HEAD_LIMIT: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 30 });

/// The largest head of a request, in bytes.
const HEAD_MAX: usize = 64 * 1024;

/// Who is at the other end, if it has an address.
pub(crate) type Peer = Option<SocketAddr>;

/// How TLS connections are taken.
#[derive(Clone)]
pub(crate) struct Tls {
    pub(crate) acceptor: TlsAcceptor,
    pub(crate) identify: Identify,
}

/// An accepted connection.
pub(crate) enum Socket {
    Tcp(TcpStream),
    Tls(TcpStream, Tls),
    Unix(UnixStream),
}

/// Serves one connection to its end. Its errors are the client's doing and end it alone.
pub(crate) async fn serve(socket: Socket, peer: Peer, router: Router, watcher: Watcher) {
    match socket {
        Socket::Tcp(stream) => requests(stream, (peer, None), router, watcher).await,
        Socket::Unix(stream) => requests(stream, (peer, None), router, watcher).await,
        Socket::Tls(stream, tls) => match tokio::time::timeout(HANDSHAKE_LIMIT, tls.acceptor.accept(stream)).await {
            Ok(Ok(stream)) => {
                let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
                let identity = certificate.and_then(|certificate| (tls.identify)(certificate));
                requests(stream, (peer, identity), router, watcher).await;
            }
            Ok(Err(error)) => tracing::debug!(?peer, %error, "TLS handshake failed"),
            Err(_) => tracing::debug!(?peer, "TLS handshake took too long"),
        },
    }
}

async fn requests<S>(stream: S, (peer, identity): (Peer, Option<PeerIdentity>), router: Router, watcher: Watcher)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request = request.map(Body::new);
        if let Some(peer) = peer {
            request.extensions_mut().insert(ConnectInfo(peer));
        }
        if let Some(identity) = &identity {
            request.extensions_mut().insert(identity.clone());
        }
        router.clone().oneshot(request)
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_LIMIT).max_buf_size(HEAD_MAX);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(?peer, %error, "connection ended");
    }
}
