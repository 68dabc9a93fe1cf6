//! One member of the etcd cluster, with a connection of its own.
//!
//! Main pieces: [`Endpoint`], [`Line`] (its present connection, made when first asked for), [`Connection`].
//!
//! etcd's members are not put behind one balanced connection: that one goes on using a member that has fallen silent.
//! Nor does HTTP/2's keep-alive find silence in time: etcd hangs up on whoever pings more often than every 5 s. So calls
//! are bounded by their callers, and a line on which one stayed without an answer is given up ([`Endpoint::hang_up`]):
//! the kernel would go on repeating unacknowledged data on it, with pauses of up to two minutes, long after the member is
//! back.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use etcd_client::{Client, ConnectOptions, Error, KvClient, WatchClient};
use om_controldb::{PAGE_MAX, VALUE_MAX};
use tokio::sync::OnceCell;

use crate::Options;

/// The largest answer: a full page of the largest values, and its keys.
const ANSWER_MAX: usize = PAGE_MAX * (VALUE_MAX + 1024);

/// A connection to one member; a new one is a new `Arc`.
pub(crate) type Line = Arc<OnceCell<Connection>>;

/// What is asked over a line.
#[derive(Clone)]
pub(crate) struct Connection {
    pub(crate) records: KvClient,
    pub(crate) watches: WatchClient,
}

/// A member of the cluster.
pub(crate) struct Endpoint {
    url: String,
    options: ConnectOptions,
    line: Mutex<Line>,
}

impl Endpoint {
    pub(crate) fn new(url: &str, options: ConnectOptions) -> Self {
        Self { url: url.to_owned(), options, line: Mutex::default() }
    }

    /// Whether the URL and the certificates can be used at all; nothing is sent.
    pub(crate) async fn check(url: &str, options: &Options) -> Result<(), Error> {
        // With a user, the password would be.
        let silent = Options { user: None, ..options.clone() };
        Client::connect([url], Some(silent.for_client())).await.map(drop)
    }

    /// The present line.
    pub(crate) fn line(&self) -> Line {
        self.lock().clone()
    }

    /// The connection of `line`. Only a user's password is sent now; otherwise the first call connects.
    pub(crate) async fn connection(&self, line: &Line) -> Result<Connection, Error> {
        let connect = async || {
            let client = Client::connect([&self.url], Some(self.options.clone())).await?;
            Ok(Connection {
                records: client.kv_client().max_decoding_message_size(ANSWER_MAX),
                watches: client.watch_client().max_decoding_message_size(ANSWER_MAX),
            })
        };
        line.get_or_try_init(connect).await.cloned()
    }

    /// Gives `line` up, unless another one has replaced it already. Calls under way on it go on.
    pub(crate) fn hang_up(&self, line: &Line) {
        let mut present = self.lock();
        if Arc::ptr_eq(&present, line) {
            *present = Line::default();
        }
    }

    /// Whether the member is on this machine: its address is one to which a socket can be bound here.
    pub(crate) fn is_local(&self) -> bool {
        let place = self.url.split_once("://").map_or(self.url.as_str(), |(_, place)| place);
        let place = place.split('/').next().unwrap_or_default();
        let address = place.parse::<SocketAddr>().map(|address| address.ip()).or_else(|_| place.parse::<IpAddr>());
        match address {
            Ok(address) => UdpSocket::bind((address, 0)).is_ok(),
            // Other names are not looked up: that could take long, and this is a mere preference.
            Err(_) => place.split(':').next() == Some("localhost"),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
