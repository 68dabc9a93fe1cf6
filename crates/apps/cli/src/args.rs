//! What may be written on the command line.

mod local;
mod roles;
mod service;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use local::{ClusterCommand, ControlDbWord, DnsCommand, ImageCommand, UpArgs, VolumeWord};
pub(crate) use roles::{AgentArgs, JoinArgs, NodeCommand, ServerArgs, SharedVolumeWord, StorageArgs};
pub(crate) use service::{
    ChangeArgs, ConfigCommand, ConnectArgs, CreateArgs, DeleteArgs, LogsArgs, OperationsCommand, VolumeCommand,
};

/// Sets up, manages and scales containerised stateful services.
#[derive(Debug, Parser)]
#[command(
    name = "openmanage",
    version,
    max_term_width = 120,
    subcommand_required = true,
    arg_required_else_help = true
)]
#[command(
    after_help = "Exit codes: 0 done; 1 refused or failed; 2 the command line is wrong; 3 the server cannot be reached; \
                        4 an operation ended otherwise than as asked."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags that every command takes.
#[derive(Clone, Debug, Args)]
pub(crate) struct Global {
    /// The server: HOST:PORT or a URL [default: the one of this machine]
    #[arg(long, global = true, env = "OPENMANAGE_SERVER", help_heading = "Global options")]
    pub(crate) server: Option<String>,
    /// A file with the token [default: the admin token of this machine's server]
    #[arg(long, global = true, env = "OPENMANAGE_TOKEN_FILE", help_heading = "Global options")]
    pub(crate) token_file: Option<PathBuf>,
    /// The state directory of this machine's server [default: /var/lib/openmanage]
    #[arg(long, global = true, env = "OPENMANAGE_STATE", value_name = "DIR", help_heading = "Global options")]
    pub(crate) state: Option<PathBuf>,
    /// How results are shown
    #[arg(long, short, global = true, value_enum, default_value_t, help_heading = "Global options")]
    pub(crate) output: Output,
    /// No progress, no advice
    #[arg(long, short, global = true, help_heading = "Global options")]
    pub(crate) quiet: bool,
}

/// How results are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// Tables, for people.
    #[default]
    Table,
    /// JSON, for programs.
    Json,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a service
    Create(CreateArgs),
    /// List services
    #[command(visible_alias = "ls")]
    List,
    /// Show a service
    Get {
        /// The service
        name: String,
    },
    /// Show a service's members
    Members {
        /// The service
        name: String,
    },
    /// Connect to a service with its own client program, or show how
    Connect(ConnectArgs),
    /// Restart a service's members one by one, or one of them
    Restart {
        /// The service
        name: String,
        /// Only this member
        #[arg(long)]
        member: Option<String>,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Stop a service; everything is kept
    Stop {
        /// The service
        name: String,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Start a stopped service
    Start {
        /// The service
        name: String,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Show or change a service's configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// List, enlarge and delete volumes
    #[command(subcommand, visible_alias = "volumes")]
    Volume(VolumeCommand),
    /// Delete a service; its volumes are kept unless it is said otherwise
    Delete(DeleteArgs),
    /// Show the output of a member, or of all members of a service
    Logs(LogsArgs),
    /// Show what happened
    Events {
        /// Only of this service
        #[arg(long)]
        service: Option<String>,
        /// Go on with what happens
        #[arg(long, short)]
        follow: bool,
    },
    /// List, show, cancel and retry operations
    #[command(subcommand, visible_alias = "operation")]
    Operations(OperationsCommand),
    /// List, drain, fence and admit nodes
    #[command(subcommand, visible_alias = "nodes")]
    Node(NodeCommand),
    /// List the engines of this release
    #[command(visible_alias = "catalog")]
    Engines,
    /// Names of the cluster's zone
    #[command(subcommand)]
    Dns(DnsCommand),
    /// Start server, agent and DNS on this machine
    Up(UpArgs),
    /// Stop what `up` started; services go on
    Down,
    /// Run a server of a cluster of several nodes
    Server(ServerArgs),
    /// Run the agent of a node: volumes, addresses, names
    Agent(AgentArgs),
    /// Run the storage host of network block devices
    Storage(StorageArgs),
    /// Build images of engines
    #[command(subcommand)]
    Image(ImageCommand),
    /// Show or take down the cluster
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// Write a completion script for a shell to the standard output
    Completion {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write manual pages
    Man {
        /// The directory they are written to
        dir: PathBuf,
    },
}
