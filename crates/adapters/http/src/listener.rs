//! Binding an endpoint, and taking its connections until told to stop.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::server::graceful::GracefulShutdown;
use om_backend::PeerIdentity;
use rustls::ServerConfig;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use crate::connection::{self, Peer, Socket, Tls};
use crate::error::HttpError;
use crate::tls;
use crate::unix::{self, SocketFile};

/// Connections held at once on one endpoint; the next ones wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 1024;

/// After a failed accept (out of file descriptors, say): the time for connections to end before the next try.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Reads who a client is from its certificate (DER), which the handshake has verified.
pub type Identify = fn(&[u8]) -> Option<PeerIdentity>;

/// Where to listen, and how. Port 0 takes any free port.
#[derive(Clone)]
pub enum Endpoint {
    /// Plain HTTP over TCP.
    Tcp(SocketAddr),
    /// HTTP over TLS over TCP.
    Tls {
        /// The address.
        address: SocketAddr,
        /// The certificate chain, PEM, leaf first.
        certificate: String,
        /// The leaf's private key, PEM: a secret.
        key: String,
    },
    /// HTTP over TLS over TCP, for people and for processes of the cluster: whether a client has to show a certificate,
    /// which ones are good, and which one is shown to it, is for `tls` to say at every handshake. Handlers find a
    /// client that has one as [`axum::Extension<PeerIdentity>`].
    MutualTls {
        /// The address.
        address: SocketAddr,
        /// The server's side of the handshake.
        tls: Arc<ServerConfig>,
        /// Reads the client's certificate.
        identify: Identify,
    },
    /// Plain HTTP over a unix socket.
    Unix {
        /// The socket's path; its folder exists.
        path: PathBuf,
        /// The socket's mode, for example 0o600.
        mode: u32,
    },
}

/// How serving ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Served {
    /// Connections that did not end within the drain and were cut off.
    pub cut: usize,
}

/// A bound endpoint: clients can connect, and wait until it is served.
pub struct Listener {
    bound: Bound,
}

enum Bound {
    Tcp(TcpListener, Option<Tls>),
    /// The file is held so that it is removed when the listener is dropped.
    Unix {
        listener: UnixListener,
        _file: SocketFile,
    },
}

impl Listener {
    /// Takes the endpoint, or says who has it. A stale socket file that nobody listens on is replaced.
    pub async fn bind(endpoint: &Endpoint) -> Result<Self, HttpError> {
        let bound = match endpoint {
            Endpoint::Tcp(address) => Bound::Tcp(tcp(*address).await?, None),
            Endpoint::Tls { address, certificate, key } => {
                let tls = tls::acceptor(*address, certificate, key)?;
                Bound::Tcp(tcp(*address).await?, Some(tls))
            }
            Endpoint::MutualTls { address, tls, identify } => {
                let tls = Tls { acceptor: tls.clone().into(), identify: *identify };
                Bound::Tcp(tcp(*address).await?, Some(tls))
            }
            Endpoint::Unix { path, mode } => {
                let (at, mode) = (path.clone(), *mode);
                let (listener, file) = tokio::task::spawn_blocking(move || unix::bind(&at, mode))
                    .await
                    .map_err(|error| HttpError::unix(path, error, "try again"))??;
                let listener =
                    UnixListener::from_std(listener).map_err(|error| HttpError::unix(path, error, "try again"))?;
                Bound::Unix { listener, _file: file }
            }
        };
        Ok(Self { bound })
    }

    /// The address it listens on, with the port the kernel chose; `None` for a unix socket.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match &self.bound {
            Bound::Tcp(listener, _) => listener.local_addr().ok(),
            Bound::Unix { .. } => None,
        }
    }

    /// Serves `router` until `shutdown` ends; then takes no more connections, lets requests end for at most `drain`,
    /// and cuts off those that have not. Handlers find the client's address as
    /// [`axum::extract::ConnectInfo<SocketAddr>`], except on a unix socket.
    pub async fn serve(self, router: Router, shutdown: impl Future<Output = ()>, drain: Duration) -> Served {
        let graceful = GracefulShutdown::new();
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let mut connections = JoinSet::new();
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut shutdown => break,
                Some(_) = connections.join_next() => continue,
                accepted = self.accept(&places) => accepted,
            };
            match accepted {
                Ok((socket, peer, place)) => {
                    let (router, watcher) = (router.clone(), graceful.watcher());
                    connections.spawn(async move {
                        connection::serve(socket, peer, router, watcher).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot take a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        // Closed before the drain, so that new clients are refused at once and not left waiting.
        drop(self);
        drain_connections(graceful, connections, drain).await
    }

    async fn accept(&self, places: &Arc<Semaphore>) -> io::Result<(Socket, Peer, OwnedSemaphorePermit)> {
        let place = places.clone().acquire_owned().await.map_err(io::Error::other)?;
        Ok(match &self.bound {
            Bound::Tcp(listener, tls) => {
                let (stream, peer) = listener.accept().await?;
                // Answers are written whole; waiting to fill a segment only adds latency.
                let _ = stream.set_nodelay(true);
                match tls {
                    Some(tls) => (Socket::Tls(stream, tls.clone()), Some(peer), place),
                    None => (Socket::Tcp(stream), Some(peer), place),
                }
            }
            Bound::Unix { listener, .. } => (Socket::Unix(listener.accept().await?.0), None, place),
        })
    }
}

async fn tcp(address: SocketAddr) -> Result<TcpListener, HttpError> {
    TcpListener::bind(address).await.map_err(|error| HttpError::tcp(address, &error))
}

async fn drain_connections(graceful: GracefulShutdown, mut connections: JoinSet<()>, drain: Duration) -> Served {
    let _ = tokio::time::timeout(drain, async {
        // The watchers of handshakes that are still going on are counted too.
        futures::future::join(graceful.shutdown(), async { while connections.join_next().await.is_some() {} }).await;
    })
    .await;
    let cut = connections.len();
    if cut > 0 {
        tracing::info!(cut, "cutting off connections that did not end in time");
    }
    connections.shutdown().await;
    Served { cut }
}
