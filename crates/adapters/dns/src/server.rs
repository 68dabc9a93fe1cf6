//! The server: its listeners, and the zone they answer from.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::{ArcSwap, ArcSwapOption};
use async_trait::async_trait;
use om_backend::{ErrorKind, NameService, PortError, Result};
use om_model::ZoneName;
use om_model::zone::Zone;
use tokio::runtime::Handle;

use crate::answer::{Outcome, Transport, View, answer};
use crate::epochs::Epochs;
use crate::forward::Forwarder;
use crate::table::Table;
use crate::tcp::TcpService;
use crate::udp::UdpService;
use crate::wire::encode;

/// For how long resolvers may keep an answer unless configured otherwise, in seconds.
pub const DEFAULT_TTL: u32 = 5;

/// How often to look for a port that is free for both UDP and TCP when any will do.
const PORT_TRIES: usize = 16;

/// What a server is made with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The zone it is authoritative for.
    pub zone: ZoneName,
    /// For how long resolvers may keep an answer, in seconds.
    pub ttl: u32,
    /// Whom listeners that forward ask for other zones' names, in order.
    pub upstreams: Vec<SocketAddr>,
}

/// The name server. It stops answering, and gives its ports back, when dropped.
pub struct DnsServer {
    shared: Arc<Shared>,
    listeners: Mutex<Vec<(UdpService, TcpService)>>,
}

/// What all listeners share.
pub(crate) struct Shared {
    zone: Vec<u8>,
    ttl: u32,
    table: ArcSwapOption<Table>,
    /// Our own addresses: never forwarded to.
    listening: ArcSwap<Vec<SocketAddr>>,
    publication: Mutex<Publication>,
    pub(crate) forwarder: Forwarder,
}

#[derive(Default)]
struct Publication {
    epochs: Epochs,
    zone: Option<Zone>,
}

impl Shared {
    /// Answers one query into `out`.
    pub(crate) fn answer(&self, query: &[u8], transport: Transport, forward: bool, out: &mut Vec<u8>) -> Outcome {
        let table = self.table.load();
        answer(&View { zone: &self.zone, table: table.as_deref(), forward }, query, transport, out)
    }

    /// Asks an upstream; the answer has the query's id.
    pub(crate) async fn forward(&self, query: &[u8]) -> Option<Vec<u8>> {
        let ours = self.listening.load_full();
        self.forwarder.ask(query, &ours).await
    }

    /// Builds the answers anew. The caller holds the publication, so that tables are swapped in the order of zones.
    fn rebuild(&self, publication: &Publication) {
        let servers: Vec<IpAddr> =
            self.listening.load().iter().map(SocketAddr::ip).filter(|ip| !ip.is_unspecified()).collect();
        let table = publication.zone.as_ref().map(|zone| Arc::new(Table::build(zone, &servers, self.ttl)));
        self.table.store(table);
    }

    fn publication(&self) -> MutexGuard<'_, Publication> {
        // A panic while building leaves the old table, which is whole.
        self.publication.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DnsServer {
    /// A server without listeners that answers SERVFAIL for its zone until the first publication.
    pub fn new(settings: Settings) -> Self {
        let shared = Shared {
            zone: encode(settings.zone.as_str()).expect("a checked zone name has at most 200 characters"),
            ttl: settings.ttl,
            table: ArcSwapOption::empty(),
            listening: ArcSwap::default(),
            publication: Mutex::default(),
            forwarder: Forwarder::new(settings.upstreams),
        };
        Self { shared: Arc::new(shared), listeners: Mutex::default() }
    }

    /// Answers on `address`, UDP and TCP, from now on; with `forward`, also for other zones, by asking the upstreams.
    /// Returns the address, with the port that was found if it is 0. [`ErrorKind::Refused`] names who is to be asked
    /// when the port is taken. Must be called on a tokio runtime that lives as long as the server.
    pub async fn listen(&self, address: SocketAddr, forward: bool) -> Result<SocketAddr> {
        let runtime = Handle::current();
        let (udp, tcp) = bind(address)?;
        let bound = udp.local_addr().map_err(|error| refused(address, "udp", &error))?;
        let udp = UdpService::start(udp, self.shared.clone(), forward, runtime.clone())
            .map_err(|error| refused(address, "udp", &error))?;
        let tcp = TcpService::start(tcp, self.shared.clone(), forward, &runtime)
            .map_err(|error| refused(address, "tcp", &error))?;
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).push((udp, tcp));
        let publication = self.shared.publication();
        let mut listening = Vec::clone(&self.shared.listening.load());
        listening.push(bound);
        self.shared.listening.store(Arc::new(listening));
        self.shared.rebuild(&publication);
        tracing::info!(%bound, forward, "answering DNS");
        Ok(bound)
    }
}

/// Both sockets on one port.
fn bind(address: SocketAddr) -> Result<(std::net::UdpSocket, std::net::TcpListener)> {
    let tries = if address.port() == 0 { PORT_TRIES } else { 1 };
    let mut last = None;
    for _ in 0..tries {
        let udp = std::net::UdpSocket::bind(address).map_err(|error| refused(address, "udp", &error))?;
        let bound = udp.local_addr().map_err(|error| refused(address, "udp", &error))?;
        match std::net::TcpListener::bind(bound) {
            Ok(tcp) => return Ok((udp, tcp)),
            Err(error) => last = Some(refused(bound, "tcp", &error)),
        }
    }
    Err(last.expect("tried at least once"))
}

fn refused(address: SocketAddr, protocol: &str, error: &io::Error) -> PortError {
    let port = address.port();
    let (kind, next) = match error.kind() {
        io::ErrorKind::AddrInUse => {
            let option = if protocol == "udp" { "-lunp" } else { "-ltnp" };
            let next =
                format!("`ss {option} 'sport = :{port}'` shows who listens there; stop it or choose another address");
            (ErrorKind::Refused, next)
        }
        io::ErrorKind::PermissionDenied => (
            ErrorKind::Refused,
            "port 53 needs root or CAP_NET_BIND_SERVICE; run as root or choose a higher port".into(),
        ),
        io::ErrorKind::AddrNotAvailable => {
            (ErrorKind::Invalid, "`ip address` lists the addresses that this machine has".into())
        }
        _ => (ErrorKind::Unavailable, "try again".into()),
    };
    PortError::new(kind, "answer DNS on", format!("{address}/{protocol}"), error).advise(next)
}

#[async_trait]
impl NameService for DnsServer {
    async fn publish(&self, zone: &Zone) -> Result<()> {
        if encode(zone.name.as_str()).as_ref() != Some(&self.shared.zone) {
            let detail = "this server is authoritative for another zone";
            return Err(PortError::new(ErrorKind::Invalid, "publish zone", &zone.name, detail));
        }
        let mut zone = zone.clone();
        let mut publication = self.shared.publication();
        publication.epochs.advance(&mut zone);
        publication.zone = Some(zone);
        self.shared.rebuild(&publication);
        Ok(())
    }

    async fn withdraw(&self) -> Result<()> {
        let mut publication = self.shared.publication();
        publication.zone = None;
        self.shared.rebuild(&publication);
        Ok(())
    }
}
