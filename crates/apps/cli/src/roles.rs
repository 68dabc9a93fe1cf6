//! How the programs of a cluster of several nodes are started, as data.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use om_model::{ClusterName, FieldError, RegionName};

use crate::args::{AgentArgs, JoinArgs, ServerArgs, SharedVolumeWord, StorageArgs};
use crate::local::{ControlDbKind, control_db};

/// How a server is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerRole {
    /// The state directory.
    pub state: PathBuf,
    /// The cluster's name.
    pub cluster: ClusterName,
    /// The region, if configured.
    pub region: Option<RegionName>,
    /// Where the API listens.
    pub listen: SocketAddr,
    /// Where state is kept.
    pub control_db: ControlDbKind,
    /// Where the agents' volumes come from: `shared-file` or `nbd`.
    pub volumes: String,
    /// Members' own addresses; none: they have their nodes'.
    pub addresses: Option<AddressRange>,
    /// How long a majority must miss a node before it is lost.
    pub detection_budget: Duration,
}

/// How a program joins its cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinSettings {
    /// The state directory.
    pub state: PathBuf,
    /// The cluster's name.
    pub cluster: ClusterName,
    /// The servers' URLs.
    pub servers: Vec<String>,
    /// The one-time token.
    pub token: Option<String>,
    /// This machine's address.
    pub address: IpAddr,
}

/// How an agent is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentRole {
    /// How it joins.
    pub join: JoinSettings,
    /// The port it answers on.
    pub port: u16,
    /// The zone it is in.
    pub zone: Option<String>,
    /// Where volumes come from.
    pub volumes: SharedVolumes,
    /// Where members' own addresses are added, and which they are.
    pub addresses: Option<(String, AddressRange, u8)>,
    /// Where the name server answers.
    pub dns_listen: Vec<SocketAddr>,
    /// How long a lease runs.
    pub lease_term: Duration,
}

/// Where volumes of several nodes come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SharedVolumes {
    /// Image files in a shared folder.
    SharedFile {
        /// The folder.
        pool: PathBuf,
        /// Whether the pool's server clones files in copy_file_range.
        server_side_copy: bool,
    },
    /// Network block devices.
    Nbd {
        /// The URL of the storage program.
        storage: String,
    },
}

/// How the storage program is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageRole {
    /// How it joins.
    pub join: JoinSettings,
    /// The port it answers on.
    pub port: u16,
    /// The folder with the volumes.
    pub pool: PathBuf,
    /// Ports for exports, first and last.
    pub export_ports: (u16, u16),
}

/// A range of addresses, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRange {
    /// The first.
    pub first: Ipv4Addr,
    /// The last.
    pub last: Ipv4Addr,
}

impl FromStr for AddressRange {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        let refuse = || {
            let accepted = "FIRST-LAST, two IPv4 addresses, for example 10.0.0.100-10.0.0.199";
            FieldError::new("addresses", format!("{text:?} is not a range of addresses"), accepted)
        };
        let (first, last) = text.split_once('-').ok_or_else(refuse)?;
        let (first, last) = (first.parse().map_err(|_| refuse())?, last.parse().map_err(|_| refuse())?);
        if first > last {
            return Err(refuse());
        }
        Ok(Self { first, last })
    }
}

/// Reads `FIRST-LAST` as ports.
pub(crate) fn ports(text: &str) -> Result<(u16, u16), String> {
    let range = text.split_once('-').and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)));
    range
        .filter(|(first, last)| first <= last && *first > 0)
        .ok_or_else(|| "accepted: FIRST-LAST, two ports".to_owned())
}

pub(crate) fn server(args: ServerArgs, state: PathBuf) -> ServerRole {
    ServerRole {
        state,
        cluster: args.cluster,
        region: args.region,
        listen: args.listen,
        control_db: control_db(args.controldb, args.etcd_endpoints),
        volumes: match args.volumes {
            SharedVolumeWord::SharedFile => "shared-file".to_owned(),
            SharedVolumeWord::Nbd => "nbd".to_owned(),
        },
        addresses: args.addresses,
        detection_budget: Duration::from_millis(args.detection_budget),
    }
}

pub(crate) fn agent(args: AgentArgs, state: PathBuf) -> AgentRole {
    let volumes = match args.volumes {
        SharedVolumeWord::SharedFile => {
            SharedVolumes::SharedFile { pool: args.pool.unwrap_or_default(), server_side_copy: args.server_side_copy }
        }
        SharedVolumeWord::Nbd => SharedVolumes::Nbd { storage: args.storage.unwrap_or_default() },
    };
    AgentRole {
        join: join(args.join, state),
        port: args.port,
        zone: args.zone,
        volumes,
        addresses: args.interface.zip(args.addresses).map(|(interface, range)| (interface, range, args.prefix)),
        dns_listen: args.dns_listen,
        lease_term: Duration::from_millis(args.lease_term),
    }
}

pub(crate) fn storage(args: StorageArgs, state: PathBuf) -> StorageRole {
    StorageRole { join: join(args.join, state), port: args.port, pool: args.pool, export_ports: args.export_ports }
}

fn join(args: JoinArgs, state: PathBuf) -> JoinSettings {
    JoinSettings { state, cluster: args.cluster, servers: args.servers, token: args.token, address: args.address }
}
