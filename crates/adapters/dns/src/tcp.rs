//! TCP: several queries per connection, each behind its length (RFC 7766).

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;

use crate::answer::{Outcome, Transport, fail};
use crate::server::Shared;
use crate::wire::MESSAGE_MAX;

/// Connections held at once per listener; the next wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 128;

/// How long a connection may be silent, a query on its way or an answer not taken.
const IDLE_LIMIT: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 10 });

/// A running listener, stopped when dropped.
pub(crate) struct TcpService(AbortHandle);

impl TcpService {
    /// Answers on `listener` until dropped.
    pub(crate) fn start(
        listener: std::net::TcpListener,
        shared: Arc<Shared>,
        forward: bool,
        runtime: &Handle,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        Ok(Self(runtime.spawn(accept(listener, shared, forward)).abort_handle()))
    }
}

impl Drop for TcpService {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The connections' tasks belong to the set, and end with it when this one is aborted.
async fn accept(listener: TcpListener, shared: Arc<Shared>, forward: bool) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        let place = places.clone().acquire_owned().await.expect("never closed");
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, peer)) => {
                let shared = shared.clone();
                connections.spawn(async move {
                    if let Err(error) = serve(stream, &shared, forward).await {
                        tracing::debug!(%peer, %error, "DNS connection ended");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot take a DNS connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve(mut stream: TcpStream, shared: &Shared, forward: bool) -> io::Result<()> {
    let _ = stream.set_nodelay(true);
    let mut query = Vec::new();
    let mut reply = Vec::new();
    while timeout(IDLE_LIMIT, read(&mut stream, &mut query)).await?? {
        match shared.answer(&query, Transport::Tcp, forward, &mut reply) {
            Outcome::Reply => {}
            Outcome::Silence => return Ok(()),
            Outcome::Forward(limit) => match forwarded(shared, &query).await {
                Some(answer) => reply = answer,
                None => fail(&query, limit, &mut reply),
            },
        }
        timeout(IDLE_LIMIT, write(&mut stream, &reply)).await??;
    }
    Ok(())
}

async fn forwarded(shared: &Shared, query: &[u8]) -> Option<Vec<u8>> {
    let _place = shared.forwarder.place()?;
    shared.forward(query).await
}

/// Reads a message; false at the connection's orderly end.
pub(crate) async fn read(stream: &mut TcpStream, message: &mut Vec<u8>) -> io::Result<bool> {
    let mut length = [0; 2];
    if stream.read(&mut length[..1]).await? == 0 {
        return Ok(false);
    }
    stream.read_exact(&mut length[1..]).await?;
    message.resize(usize::from(u16::from_be_bytes(length)), 0);
    stream.read_exact(message).await?;
    Ok(true)
}

/// Writes a message and its length at once, so that they travel in one packet.
pub(crate) async fn write(stream: &mut TcpStream, message: &[u8]) -> io::Result<()> {
    let length = u16::try_from(message.len()).map_err(|_| io::Error::other(format!("longer than {MESSAGE_MAX}")))?;
    stream.write_all(&[&length.to_be_bytes()[..], message].concat()).await
}
