//! `openmanage`: server, agent, name server and command line in one program. Wiring only: this crate alone joins adapters
//! to apps.
//!
//! Main pieces: `cluster` (everything of one machine put together), `up` (starting, serving, ending it), `background`
//! (the same, detached), `state` (the state directory), `process` (who serves from it), `settings` (what a later start may
//! change), `plane` (the agent's line to the server in the same process), `image`, `teardown`; and for clusters of several
//! nodes `server`, `agent`, `storage`, with `joining` (how they come to their identity) and `serving` (how they end).

#![forbid(unsafe_code)]

mod agent;
mod background;
mod cluster;
mod image;
mod joining;
mod plane;
mod process;
mod server;
mod serving;
mod settings;
mod state;
mod storage;
mod teardown;
mod up;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use async_trait::async_trait;
use om_cli::{Environment, LocalCommand, LookUp, Outcome};

fn main() -> ExitCode {
    // One TLS provider for the whole program; it is installed once, before anything could use another.
    drop(rustls::crypto::ring::default_provider().install_default());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let code = match runtime {
        Ok(runtime) => {
            let code = runtime.block_on(run());
            // A call to storage that hangs must not keep the program from ending.
            runtime.shutdown_background();
            code
        }
        Err(error) => {
            eprintln!("error: cannot start: {error}");
            1
        }
    };
    ExitCode::from(code)
}

async fn run() -> u8 {
    let environment = Environment {
        state_dir: PathBuf::from("/var/lib/openmanage"),
        runtime: om_system::runtime(),
        look_up: Arc::new(Dns),
    };
    let command = match om_cli::main(std::env::args_os().collect(), environment).await {
        Outcome::Exit(code) => return code,
        Outcome::Local(command) => command,
    };
    match carry_out(command).await {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("error: {error:#}");
            1
        }
    }
}

async fn carry_out(command: LocalCommand) -> anyhow::Result<()> {
    if !matches!(command, LocalCommand::BuildImage { .. }) && !rustix::process::geteuid().is_root() {
        anyhow::bail!("this needs root: OpenManage mounts volumes and makes a network; repeat it with sudo");
    }
    match command {
        LocalCommand::Up(settings) if settings.detach && !background::detached() => background::up(&settings).await,
        LocalCommand::Up(settings) => up::run(*settings).await,
        LocalCommand::Down { state } => background::down(&state).await,
        LocalCommand::Server(role) => server::run(*role).await,
        LocalCommand::Agent(role) => agent::run(*role).await,
        LocalCommand::Storage(role) => storage::run(*role).await,
        LocalCommand::BuildImage { engine, version, quiet } => image::build(&engine, version.as_deref(), quiet).await,
        LocalCommand::Teardown { state, delete_volumes, yes } => teardown::run(&state, delete_volumes, yes).await,
    }
}

/// Asks a name server.
struct Dns;

#[async_trait]
impl LookUp for Dns {
    async fn look_up(&self, server: SocketAddr, host: &str) -> Result<Vec<IpAddr>, String> {
        om_dns::resolve(server, host).await.map_err(|error| error.to_string())
    }
}
