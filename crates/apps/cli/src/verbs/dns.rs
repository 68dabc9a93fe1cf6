//! `dns`: names of the cluster's zone on this machine.

use anyhow::{Context as _, bail};

use crate::Environment;
use crate::args::Global;
use crate::exit::Usage;
use crate::session::{Session, server_file};
use crate::terminal::Terminal;
use crate::verbs::resolver;

pub(super) async fn resolve(session: &Session, name: &str) -> anyhow::Result<()> {
    let Some(file) = &session.local else {
        bail!(
            "no server of this machine is known; start it with `openmanage up`, or name its state directory with --state"
        );
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    let host = if name.contains('.') { name.to_owned() } else { format!("{name}.{}", file.zone) };
    let found = match session.resolve(&host).await {
        Some(found) => found.map_err(anyhow::Error::msg).with_context(|| format!("{host} cannot be resolved"))?,
        None if file.dns.is_none() => bail!("the server of this machine does not answer DNS on this host"),
        None => return Err(Usage(format!("{host} is not in the zone {}", file.zone)).into()),
    };
    let addresses: Vec<_> = found.iter().map(ToString::to_string).collect();
    session.terminal.show(&serde_json::json!({ "name": host, "addresses": addresses }), || addresses.join("\n"))
}

/// Makes (or takes away) this machine's resolver entry, after showing it.
pub(super) fn install(
    global: &Global,
    environment: &Environment,
    remove: bool,
    dry_run: bool,
    yes: bool,
) -> anyhow::Result<()> {
    let state = global.state.clone().unwrap_or_else(|| environment.state_dir.clone());
    let Some(file) = server_file(&state)? else {
        bail!(
            "no server of this machine is known; start it with `openmanage up`, or name its state directory with --state"
        );
    };
    let dns = file.dns.context("the server of this machine does not answer DNS on this host")?;
    let terminal = Terminal::new(global.output, global.quiet);
    let edit = resolver::edit(std::path::Path::new("/"), &file.zone, dns, remove)?;
    let Some(edit) = edit else {
        return terminal.say("nothing to change");
    };
    terminal.say(&edit.describe())?;
    if dry_run {
        return Ok(());
    }
    if !yes && !terminal.confirm("change it?")? {
        return terminal.say("nothing was changed");
    }
    edit.apply()?;
    terminal.say("done; undo it with: openmanage dns install --remove").or(Ok(()))
}
