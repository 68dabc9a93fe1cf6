//! The command line: `openmanage`, and the original's `openmanage-service-cli`.
//!
//! Main pieces: [`main`](fn@main) (decides by the program's name), `args` (what may be written), `session` (which server, which
//! token), `verbs` (one module per group of commands), `progress` (following an operation), `terminal` (tables, JSON,
//! questions), `original` (the old flags as a translation to the new API), [`LocalCommand`] (commands that the program
//! itself carries out: they are given back as data).
//!
//! Exit codes: 0 done; 1 refused or failed; 2 the command line is wrong; 3 the server cannot be reached; 4 an operation
//! ended otherwise than as asked.
//!
//! **Architecture invariant:** nothing is decided here that the server decides: the command line translates, follows and
//! shows.

#![forbid(unsafe_code)]

mod args;
mod exit;
mod local;
mod original;
mod progress;
mod roles;
mod session;
mod terminal;
mod verbs;

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use clap::Parser as _;
use om_backend::Runtime;

pub use local::{ControlDbKind, LocalCommand, Subnet, UpSettings, VolumeKind};
pub use roles::{AddressRange, AgentRole, JoinSettings, ServerRole, SharedVolumes, StorageRole};
pub use session::{SERVER_FILE, ServerFile, TOKEN_FILE};

/// The name under which the program speaks the original's flags.
pub const ORIGINAL_NAME: &str = "openmanage-service-cli";

/// What the program gives the command line of the world.
pub struct Environment {
    /// The state directory when none is named.
    pub state_dir: PathBuf,
    /// Time and chance.
    pub runtime: Runtime,
    /// Asks a DNS server.
    pub look_up: Arc<dyn LookUp>,
}

/// Asks a DNS server for addresses.
#[async_trait]
pub trait LookUp: Send + Sync {
    /// The addresses of `host` according to the DNS server at `server`; an error in words if there are none.
    async fn look_up(&self, server: SocketAddr, host: &str) -> Result<Vec<IpAddr>, String>;
}

/// What came of a command line.
#[derive(Debug)]
pub enum Outcome {
    /// Done, one way or the other: the exit code.
    Exit(u8),
    /// The program is to carry this out.
    Local(LocalCommand),
}

/// Carries out a command line; `args[0]` is the program's name, which decides whose flags are spoken.
pub async fn main(args: Vec<OsString>, environment: Environment) -> Outcome {
    let name = args.first().and_then(|name| Path::new(name).file_name()).unwrap_or_default();
    if name == ORIGINAL_NAME {
        return Outcome::Exit(exit::code(original::run(&args[1..], environment).await));
    }
    match args::Cli::try_parse_from(args) {
        Ok(cli) => run(cli, environment).await,
        Err(error) => {
            // Help and version come this way too; both go where clap sends them.
            drop(error.print());
            Outcome::Exit(u8::try_from(error.exit_code()).unwrap_or(exit::USAGE))
        }
    }
}

async fn run(cli: args::Cli, environment: Environment) -> Outcome {
    match local::command(cli, &environment) {
        Ok(command) => Outcome::Local(command),
        Err(cli) => Outcome::Exit(exit::code(verbs::run(*cli, environment).await)),
    }
}

#[cfg(test)]
mod tests;
