//! `connect`: the engine's own client program, or what one needs to connect.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context as _, bail};
use om_api::{Connection, Password};

use crate::args::ConnectArgs;
use crate::session::Session;

pub(super) async fn run(session: &Session, args: ConnectArgs) -> anyhow::Result<()> {
    if args.show_password {
        let shown = session.client.show_password(&args.name).await?;
        return session.terminal.show(&shown, || shown.password.clone());
    }
    let connection = session.client.get_connection(&args.name).await?;
    if args.uri {
        return session.terminal.show(&connection, || connection.uri.clone());
    }
    let password = session.client.show_password(&args.name).await?;
    open(session, &connection, &password, &args.client_args).await
}

/// Becomes the client program. The password goes through its environment, which only its own user can read; the
/// authority's certificate through a file in memory, so that nothing is left behind.
async fn open(session: &Session, connection: &Connection, password: &Password, more: &[String]) -> anyhow::Result<()> {
    let [program, arguments @ ..] = &connection.client[..] else { bail!("the server names no client program") };
    let mut command = Command::new(program);
    command.args(arguments).args(more).env(&connection.password_variable, &password.password);
    let ca = in_memory(&connection.ca)?;
    command.env(&connection.ca_variable, format!("/proc/self/fd/{}", ca.as_raw_fd()));
    if let (Some(variable), Some(host)) = (&connection.address_variable, host_of(&connection.uri))
        && let Some(Ok(addresses)) = session.resolve(host).await
        && let Some(address) = addresses.first()
    {
        command.env(variable, address.to_string());
    }
    let error = command.exec();
    if error.kind() == ErrorKind::NotFound {
        bail!("{program} is not installed here; install it, or take another client: openmanage connect --uri NAME");
    }
    Err(error).with_context(|| format!("cannot run {program}"))
}

/// A file that lives as long as a process has it open; inherited by the program that we become.
fn in_memory(text: &str) -> anyhow::Result<File> {
    let made = rustix::fs::memfd_create("openmanage-ca", rustix::fs::MemfdFlags::empty());
    let mut file = File::from(made.context("cannot make a file in memory for the certificate")?);
    file.write_all(text.as_bytes())?;
    Ok(file)
}

/// The host of a URI that names one.
pub(crate) fn host_of(uri: &str) -> Option<&str> {
    let (_, rest) = uri.split_once("://")?;
    let authority = rest.split(['/', '?']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    (!host.is_empty() && !host.contains(',')).then_some(host)
}

/// Tells how to connect.
pub(crate) async fn how_to_connect(session: &Session, name: &str) -> anyhow::Result<()> {
    let connection = session.client.get_connection(name).await?;
    session.terminal.say(&format!("connect with:   openmanage connect {name}"))?;
    session.terminal.say(&format!("writes go to:   {}", connection.uri))?;
    if let Some(uri) = &connection.read_uri {
        session.terminal.say(&format!("reads may go to: {uri}"))?;
    }
    session.terminal.say(&format!("the password:   openmanage connect {name} --show-password"))
}
