//! Commands for a server, one module per group.

mod config;
mod connect;
mod create;
mod dns;
mod events;
mod logs;
mod nodes;
mod operations;
mod resolver;
mod services;
mod volumes;

use clap::CommandFactory as _;
use om_api::RestartService;
use om_client::ChangeOptions;

use crate::Environment;
use crate::args::{ChangeArgs, Cli, ClusterCommand, Command, DnsCommand};
use crate::session::Session;

pub(crate) use connect::how_to_connect;
pub(crate) use services::{every_service, members_table, service_pairs, services_table};
#[cfg(test)]
pub(crate) use {connect::host_of, logs::service_of};

/// Carries out a command.
pub(crate) async fn run(cli: Cli, environment: Environment) -> anyhow::Result<()> {
    match &cli.command {
        Command::Completion { shell } => return completion(*shell),
        Command::Man { dir } => return man(dir),
        Command::Dns(DnsCommand::Install { remove, dry_run, yes }) => {
            return dns::install(&cli.global, &environment, *remove, *dry_run, *yes);
        }
        _ => {}
    }
    let session = Session::open(&cli.global, environment, false)?;
    match cli.command {
        Command::Create(args) => create::run(&session, args).await,
        Command::List => services::list(&session).await,
        Command::Get { name } => services::get(&session, &name).await,
        Command::Members { name } => services::members(&session, &name).await,
        Command::Connect(args) => connect::run(&session, args).await,
        Command::Restart { name, member, change } => {
            let changed = session.client.restart_service(&name, &RestartService { member }, &options(&change)).await?;
            services::changed(&session, changed, &change, "restarted").await
        }
        Command::Stop { name, change } => {
            let changed = session.client.stop_service(&name, &options(&change)).await?;
            services::changed(&session, changed, &change, "stopped").await
        }
        Command::Start { name, change } => {
            let changed = session.client.start_service(&name, &options(&change)).await?;
            services::changed(&session, changed, &change, "started").await
        }
        Command::Config(command) => config::run(&session, command).await,
        Command::Volume(command) => volumes::run(&session, command).await,
        Command::Delete(args) => services::delete(&session, args).await,
        Command::Logs(args) => logs::run(&session, args).await,
        Command::Events { service, follow } => events::run(&session, service, follow).await,
        Command::Operations(command) => operations::run(&session, command).await,
        Command::Node(command) => nodes::run(&session, command).await,
        Command::Engines => services::engines(&session).await,
        Command::Dns(DnsCommand::Resolve { name }) => dns::resolve(&session, &name).await,
        Command::Cluster(ClusterCommand::Show) => services::cluster(&session).await,
        Command::Dns(DnsCommand::Install { .. })
        | Command::Completion { .. }
        | Command::Man { .. }
        | Command::Up(_)
        | Command::Server(_)
        | Command::Agent(_)
        | Command::Storage(_)
        | Command::Down
        | Command::Image(_)
        | Command::Cluster(ClusterCommand::Teardown { .. }) => unreachable!("carried out without a server"),
    }
}

/// Flags of a change as the client takes them.
pub(crate) fn options(change: &ChangeArgs) -> ChangeOptions {
    ChangeOptions { dry_run: change.dry_run, deadline: change.deadline, key: None }
}

fn completion(shell: clap_complete::Shell) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "openmanage", &mut script);
    std::io::Write::write_all(&mut std::io::stdout(), &script)?;
    Ok(())
}

fn man(dir: &std::path::Path) -> anyhow::Result<()> {
    use anyhow::Context as _;
    let written = std::fs::create_dir_all(dir).and_then(|()| clap_mangen::generate_to(Cli::command(), dir));
    written.with_context(|| format!("cannot write manual pages to {}", dir.display()))
}
