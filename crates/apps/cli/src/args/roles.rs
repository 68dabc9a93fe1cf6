//! Arguments of the programs that a cluster of several nodes is made of: server, agent, storage.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use om_model::{ClusterName, RegionName};

use super::ControlDbWord;
use crate::roles::AddressRange;

/// `server`.
#[derive(Clone, Debug, Args)]
pub(crate) struct ServerArgs {
    /// The cluster's name; its zone is <CLUSTER>-openmanage.com
    #[arg(long, default_value = "default")]
    pub(crate) cluster: ClusterName,
    /// The region that this cluster is in, as clients are to name it [default: any is accepted]
    #[arg(long)]
    pub(crate) region: Option<RegionName>,
    /// Where the API listens for people and agents, with TLS: an address that every node reaches
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: SocketAddr,
    /// Where the state of the cluster is kept; several servers need etcd
    #[arg(long, value_enum, default_value_t)]
    pub(crate) controldb: ControlDbWord,
    /// The etcd servers, divided by commas
    #[arg(long, value_name = "URL", value_delimiter = ',', required_if_eq("controldb", "etcd"))]
    pub(crate) etcd_endpoints: Vec<String>,
    /// Where the agents' volumes come from
    #[arg(long, value_enum)]
    pub(crate) volumes: SharedVolumeWord,
    /// Where members' own addresses are taken from, on the nodes' network; without it a member has its node's address
    #[arg(long, value_name = "FIRST-LAST")]
    pub(crate) addresses: Option<AddressRange>,
    /// How long a majority of the agents must miss a node before its members move, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 3200, value_parser = clap::value_parser!(u64).range(500..=600_000))]
    pub(crate) detection_budget: u64,
}

/// What every program that joins a cluster needs.
#[derive(Clone, Debug, Args)]
pub(crate) struct JoinArgs {
    /// The cluster's name
    #[arg(long, default_value = "default")]
    pub(crate) cluster: ClusterName,
    /// The servers' URLs, divided by commas
    #[arg(long, value_name = "URL", value_delimiter = ',', required = true)]
    pub(crate) servers: Vec<String>,
    /// The one-time token from `openmanage node token`; needed at the first start only
    #[arg(long, env = "OPENMANAGE_JOIN_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    /// This machine's address, as the others reach it
    #[arg(long)]
    pub(crate) address: IpAddr,
}

/// `agent`.
#[derive(Clone, Debug, Args)]
pub(crate) struct AgentArgs {
    #[command(flatten)]
    pub(crate) join: JoinArgs,
    /// The port on which the agent answers servers and other agents
    #[arg(long, default_value_t = 27041)]
    pub(crate) port: u16,
    /// The zone (of availability) this node is in
    #[arg(long)]
    pub(crate) zone: Option<String>,
    /// Where volumes come from
    #[arg(long, value_enum)]
    pub(crate) volumes: SharedVolumeWord,
    /// The folder on storage that all nodes share
    #[arg(long, value_name = "DIR", required_if_eq("volumes", "shared-file"))]
    pub(crate) pool: Option<PathBuf>,
    /// The pool has no reflinks, but its server clones whole files atomically in copy_file_range; you vouch for it
    #[arg(long, requires = "pool")]
    pub(crate) server_side_copy: bool,
    /// The URL of `openmanage storage`
    #[arg(long, value_name = "URL", required_if_eq("volumes", "nbd"))]
    pub(crate) storage: Option<String>,
    /// The network interface that members' own addresses are added to, where they have such
    #[arg(long, value_name = "NAME", requires = "addresses")]
    pub(crate) interface: Option<String>,
    /// The range of members' own addresses, as the servers have it
    #[arg(long, value_name = "FIRST-LAST", requires = "interface")]
    pub(crate) addresses: Option<AddressRange>,
    /// The length of that network's prefix
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u8).range(8..=32))]
    pub(crate) prefix: u8,
    /// Where the name server answers, besides containers' own use of it
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) dns_listen: Vec<SocketAddr>,
    /// How long a node's lease runs, in milliseconds; the same on every node
    #[arg(long, value_name = "MS", default_value_t = 2500, value_parser = clap::value_parser!(u64).range(1000..=600_000))]
    pub(crate) lease_term: u64,
}

/// Where volumes of a cluster of several nodes come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SharedVolumeWord {
    /// Image files in a folder that all nodes share.
    SharedFile,
    /// Network block devices of an `openmanage storage`.
    Nbd,
}

/// `node`.
#[derive(Debug, Subcommand)]
pub(crate) enum NodeCommand {
    /// List the cluster's nodes and what they hold
    List,
    /// Move every member away from a node, and keep members off it
    Drain {
        /// The node
        name: String,
        /// Return once the moves are accepted
        #[arg(long)]
        no_wait: bool,
    },
    /// Let members be placed on a node again
    Undrain {
        /// The node
        name: String,
    },
    /// Vouch that a machine is off, so that its members may move without further proof
    Fence {
        /// The node
        name: String,
        /// Also if it answers right now: what it goes on writing may be lost or do damage
        #[arg(long)]
        force: bool,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Take a node that holds no member out of the cluster
    Forget {
        /// The node
        name: String,
    },
    /// Make a one-time token with which an agent or a storage program joins the cluster
    Token {
        /// What it is for
        #[arg(long, default_value = "agent", value_parser = ["agent", "storage"])]
        role: String,
        /// Minutes until it is worth nothing
        #[arg(long, value_name = "MINUTES", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=10_080))]
        valid: u32,
    },
}

/// `storage`.
#[derive(Clone, Debug, Args)]
pub(crate) struct StorageArgs {
    #[command(flatten)]
    pub(crate) join: JoinArgs,
    /// The port on which it answers servers and agents; exports take ports of their own
    #[arg(long, default_value_t = 27042)]
    pub(crate) port: u16,
    /// The folder with the volumes
    #[arg(long, value_name = "DIR")]
    pub(crate) pool: PathBuf,
    /// The first and the last port for exports
    #[arg(long, value_name = "FIRST-LAST", default_value = "28000-28999", value_parser = crate::roles::ports)]
    pub(crate) export_ports: (u16, u16),
}
