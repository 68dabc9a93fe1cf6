//! Commands that the program itself carries out, as data.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use om_model::{ClusterName, FieldError, RegionName};
use serde::{Deserialize, Serialize};

use crate::Environment;
use crate::args::{Cli, ClusterCommand, Command, ControlDbWord, ImageCommand, UpArgs, VolumeWord};
use crate::roles::{self, AgentRole, ServerRole, StorageRole};

/// A command that the program carries out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalCommand {
    /// Start server, agent and DNS.
    Up(Box<UpSettings>),
    /// Stop what `up` started with this state directory; services go on.
    Down {
        /// The state directory.
        state: PathBuf,
    },
    /// Run a server.
    Server(Box<ServerRole>),
    /// Run a node's agent.
    Agent(Box<AgentRole>),
    /// Run the storage program.
    Storage(Box<StorageRole>),
    /// Build an image.
    BuildImage {
        /// The engine, as written.
        engine: String,
        /// Its version, as written.
        version: Option<String>,
        /// No progress.
        quiet: bool,
    },
    /// Remove everything of ours on this machine.
    Teardown {
        /// The state directory.
        state: PathBuf,
        /// Services that are still there go too, with their volumes; otherwise they are a reason to refuse.
        delete_volumes: bool,
        /// Do not ask.
        yes: bool,
    },
}

/// How server, agent and DNS are started. Written down, it leaves out what goes for one start only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpSettings {
    /// The state directory.
    #[serde(skip)]
    pub state: PathBuf,
    /// The cluster's name.
    pub cluster: ClusterName,
    /// The region, if configured.
    pub region: Option<RegionName>,
    /// Where the API listens.
    pub listen: Vec<SocketAddr>,
    /// Where the DNS server listens on the host; the default when empty.
    pub dns_listen: Vec<SocketAddr>,
    /// The members' network; one that is free when absent.
    pub subnet: Option<Subnet>,
    /// Where state is kept.
    pub control_db: ControlDbKind,
    /// What volumes are made of.
    pub volumes: VolumeKind,
    /// Return once the server answers.
    #[serde(skip)]
    pub detach: bool,
}

/// Where the state of the cluster is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ControlDbKind {
    /// A file in the state directory.
    Sqlite,
    /// etcd servers, by their URLs.
    Etcd(Vec<String>),
}

/// What volumes are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VolumeKind {
    /// Image files.
    Images,
    /// Directories.
    Directories,
}

/// An address and a prefix length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    /// The first address.
    pub address: IpAddr,
    /// The length of the prefix.
    pub prefix: u8,
}

impl FromStr for Subnet {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        let refuse = || {
            FieldError::new("subnet", format!("{text:?} is not a network"), "ADDRESS/PREFIX, for example 10.99.0.0/24")
        };
        let (address, prefix) = text.split_once('/').ok_or_else(refuse)?;
        let address: IpAddr = address.parse().map_err(|_| refuse())?;
        let longest = if address.is_ipv4() { 29 } else { 125 };
        let prefix = prefix.parse().ok().filter(|prefix| (8..=longest).contains(prefix)).ok_or_else(refuse)?;
        Ok(Self { address, prefix })
    }
}

/// The local command that `cli` stands for, or `cli` again if it is for a server.
pub(crate) fn command(cli: Cli, environment: &Environment) -> Result<LocalCommand, Box<Cli>> {
    let state = cli.global.state.clone().unwrap_or_else(|| environment.state_dir.clone());
    Ok(match cli.command {
        Command::Up(up) => LocalCommand::Up(Box::new(settings(up, state))),
        Command::Down => LocalCommand::Down { state },
        Command::Server(server) => LocalCommand::Server(Box::new(roles::server(server, state))),
        Command::Agent(agent) => LocalCommand::Agent(Box::new(roles::agent(agent, state))),
        Command::Storage(storage) => LocalCommand::Storage(Box::new(roles::storage(storage, state))),
        Command::Image(ImageCommand::Build { engine, version }) => {
            LocalCommand::BuildImage { engine, version, quiet: cli.global.quiet }
        }
        Command::Cluster(ClusterCommand::Teardown { delete_volumes, yes }) => {
            LocalCommand::Teardown { state, delete_volumes, yes }
        }
        _ => return Err(Box::new(cli)),
    })
}

fn settings(up: UpArgs, state: PathBuf) -> UpSettings {
    UpSettings {
        state,
        cluster: up.cluster,
        region: up.region,
        listen: up.listen,
        dns_listen: up.dns_listen,
        subnet: up.subnet,
        control_db: control_db(up.controldb, up.etcd_endpoints),
        volumes: match up.volume_kind {
            VolumeWord::Images => VolumeKind::Images,
            VolumeWord::Directories => VolumeKind::Directories,
        },
        detach: up.detach,
    }
}

pub(crate) fn control_db(word: ControlDbWord, endpoints: Vec<String>) -> ControlDbKind {
    match word {
        ControlDbWord::Sqlite => ControlDbKind::Sqlite,
        ControlDbWord::Etcd => ControlDbKind::Etcd(endpoints),
    }
}
