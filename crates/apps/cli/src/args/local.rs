//! Arguments of commands that concern this machine.

use std::net::SocketAddr;

use clap::{Args, Subcommand, ValueEnum};
use om_model::{ClusterName, RegionName};

use crate::local::Subnet;

/// `up`.
#[derive(Clone, Debug, Args)]
pub(crate) struct UpArgs {
    /// The cluster's name; its zone is <CLUSTER>-openmanage.com
    #[arg(long, default_value = "default")]
    pub(crate) cluster: ClusterName,
    /// The region that this cluster is in, as clients are to name it [default: any is accepted]
    #[arg(long)]
    pub(crate) region: Option<RegionName>,
    /// Where the API listens; TLS on other than loopback addresses
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:27040")]
    pub(crate) listen: Vec<SocketAddr>,
    /// Where the DNS server listens on this host, beside the bridge's gateway [default: a loopback address]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) dns_listen: Vec<SocketAddr>,
    /// The bridge network of the members [default: one that is free]
    #[arg(long, value_name = "ADDRESS/PREFIX")]
    pub(crate) subnet: Option<Subnet>,
    /// Where the state of the cluster is kept
    #[arg(long, value_enum, default_value_t)]
    pub(crate) controldb: ControlDbWord,
    /// The etcd servers, divided by commas
    #[arg(long, value_name = "URL", value_delimiter = ',', required_if_eq("controldb", "etcd"))]
    pub(crate) etcd_endpoints: Vec<String>,
    /// What volumes are made of
    #[arg(long, value_enum, default_value_t)]
    pub(crate) volume_kind: VolumeWord,
    /// Return once the server answers; it goes on in the background
    #[arg(long, short)]
    pub(crate) detach: bool,
}

/// Where the state of the cluster is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ControlDbWord {
    /// Built in: a file in the state directory.
    #[default]
    Sqlite,
    /// etcd servers.
    Etcd,
}

/// What volumes are made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum VolumeWord {
    /// Image files of the size asked for, so that no member takes another's room.
    #[default]
    Images,
    /// Plain directories; their size is not bounded.
    Directories,
}

/// `image`.
#[derive(Debug, Subcommand)]
pub(crate) enum ImageCommand {
    /// Build an image of an engine from the distribution's packages, without any registry
    Build {
        /// The engine
        engine: String,
        /// Its version [default: the one the distribution has]
        #[arg(long)]
        version: Option<String>,
    },
}

/// `cluster`.
#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    /// Show the cluster
    Show,
    /// Remove everything of OpenManage's on this machine: network, zone, state
    Teardown {
        /// Delete services that are still there, with their volumes
        #[arg(long)]
        delete_volumes: bool,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

/// `dns`.
#[derive(Debug, Subcommand)]
pub(crate) enum DnsCommand {
    /// Ask the cluster's DNS server for a name
    Resolve {
        /// The name; the zone is added to a name without dots
        name: String,
    },
    /// Make this machine resolve the cluster's names; shows what it would change and asks first
    Install {
        /// Undo it
        #[arg(long)]
        remove: bool,
        /// Only show what would be changed
        #[arg(long)]
        dry_run: bool,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}
