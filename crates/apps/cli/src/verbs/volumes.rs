//! `volume`.

use om_api::GrowService;

use crate::args::VolumeCommand;
use crate::session::Session;
use crate::terminal::table;
use crate::verbs::{options, services};

pub(super) async fn run(session: &Session, command: VolumeCommand) -> anyhow::Result<()> {
    match command {
        VolumeCommand::List => list(session).await,
        VolumeCommand::Grow { name, data, journal, change } => {
            let changed = session.client.grow_service(&name, &GrowService { data, journal }, &options(&change)).await?;
            services::changed(session, changed, &change, "enlarged").await
        }
        VolumeCommand::Delete { names, yes } => delete(session, &names, yes).await,
    }
}

async fn list(session: &Session) -> anyhow::Result<()> {
    let volumes = session.client.list_volumes().await?.items;
    session.terminal.show(&volumes, || {
        let rows = volumes.iter().map(|volume| {
            let state =
                volume.kept_since.as_ref().map_or_else(|| "in use".into(), |since| format!("kept since {since}"));
            let size = volume.size.to_string();
            [volume.name.clone(), volume.service.clone(), volume.role.to_string(), size, volume.provider.clone(), state]
        });
        table(["name", "service", "role", "size", "provider", "state"], rows)
    })
}

async fn delete(session: &Session, names: &[String], yes: bool) -> anyhow::Result<()> {
    let question = format!("delete {} with everything on it?", names.join(", "));
    if !yes && !session.terminal.confirm(&question)? {
        session.terminal.advise("nothing was changed");
        return Ok(());
    }
    for name in names {
        session.client.delete_volume(name).await?;
        session.terminal.advise(&format!("{name} is deleted"));
    }
    Ok(())
}
