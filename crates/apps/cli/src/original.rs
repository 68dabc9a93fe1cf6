//! The original's command line, `openmanage-service-cli`: its flags and operations as a translation to the new API.
//!
//! Main pieces: [`flags`] (Go's way of writing flags, and every flag the original had), [`request`] (what they ask for),
//! and here, carrying it out. What this release does not have is said clearly; what has no effect is said too.

mod flags;
mod request;

use std::ffi::OsString;

use anyhow::bail;
use om_api::{Cluster, CreateService, DeleteQuery, RestartService, Service};
use om_client::ChangeOptions;
use om_model::Phase;

use self::flags::Flags;
use self::request::{Asked, Work};
use crate::args::{Global, Output};
use crate::exit::Usage;
use crate::session::{Session, server_file};
use crate::terminal::pairs;
use crate::verbs::{every_service, how_to_connect, members_table, service_pairs, services_table};
use crate::{Environment, progress};

/// Carries out the arguments after the program's name.
pub(crate) async fn run(args: &[OsString], environment: Environment) -> anyhow::Result<()> {
    let flags = Flags::parse(args).map_err(Usage)?;
    if flags.help || args.is_empty() {
        return Ok(std::io::Write::write_all(&mut std::io::stdout(), flags::help().as_bytes())?);
    }
    let asked = request::translate(&flags).map_err(Usage)?;
    let variable = |name| std::env::var_os(name).map(std::path::PathBuf::from);
    let state = variable("OPENMANAGE_STATE").unwrap_or_else(|| environment.state_dir.clone());
    let here = server_file(&state)?.map(|file| file.cluster);
    let global = Global {
        server: asked.server(here.as_deref()),
        token_file: variable("OPENMANAGE_TOKEN_FILE"),
        state: Some(state),
        output: Output::Table,
        quiet: false,
    };
    let session = Session::open(&global, environment, true)?;
    for note in &asked.notes {
        session.terminal.advise(&format!("note: {note}"));
    }
    check_cluster(&session, &asked).await?;
    carry_out(&session, asked.work).await
}

async fn carry_out(session: &Session, work: Work) -> anyhow::Result<()> {
    let client = &session.client;
    let options = ChangeOptions::default();
    match work {
        Work::Create(request) => create(session, request).await,
        Work::CheckInit(name) => check_init(session, &name).await,
        Work::List => {
            let services = every_service(session).await?;
            session.terminal.say(&services_table(&services))
        }
        Work::Get(name) => session.terminal.say(pairs(&service_pairs(&client.get_service(&name).await?)).trim_end()),
        Work::Members(name) => session.terminal.say(&members_table(&client.list_members(&name).await?.items)),
        Work::Config { name, id } => config(session, name, id).await,
        Work::Delete(name) => delete(session, &name).await,
        Work::Stop(name) => done(session, client.stop_service(&name, &options).await?, "stopped").await,
        Work::Start(name) => done(session, client.start_service(&name, &options).await?, "started").await,
        Work::Restart(name) => {
            let changed = client.restart_service(&name, &RestartService::default(), &options).await?;
            done(session, changed, "restarted").await
        }
    }
}

async fn done(session: &Session, changed: om_client::Changed, word: &str) -> anyhow::Result<()> {
    match progress::finish(session, changed, true).await? {
        Some(operation) => session.terminal.say(&format!("service {} is {word}", operation.service)),
        None => Ok(()),
    }
}

/// The original refused requests for another cluster or region; so do we, where the server knows its own.
async fn check_cluster(session: &Session, asked: &Asked) -> anyhow::Result<()> {
    if asked.cluster.is_none() && asked.region.is_none() {
        return Ok(());
    }
    let Cluster { cluster, region, .. } = session.client.get_cluster().await?;
    if let Some(wanted) = asked.cluster.as_ref().filter(|wanted| **wanted != cluster) {
        return Err(
            Usage(format!("this server's cluster is {cluster:?}, not {wanted:?}: give -cluster={cluster}")).into()
        );
    }
    match (&asked.region, region) {
        (Some(wanted), Some(region)) if *wanted != region => {
            Err(Usage(format!("this server's region is {region:?}, not {wanted:?}: give -region={region}")).into())
        }
        (Some(wanted), None) => {
            session.terminal.advise(&format!(
                "note: this server has no region configured, so -region={wanted} is accepted as it is"
            ));
            Ok(())
        }
        _ => Ok(()),
    }
}

async fn create(session: &Session, request: CreateService) -> anyhow::Result<()> {
    let engines: Vec<_> = session.client.list_engines().await?.items.into_iter().map(|engine| engine.name).collect();
    if !engines.contains(&request.engine) {
        bail!("service type {:?} is not in this release, which has: {}", request.engine, engines.join(", "));
    }
    let changed = session.client.create_service(&request, &ChangeOptions::default()).await?;
    done(session, changed, "created and initialized").await?;
    how_to_connect(session, &request.name).await
}

async fn check_init(session: &Session, name: &str) -> anyhow::Result<()> {
    match session.client.get_service(name).await?.phase {
        Phase::Creating => {
            bail!("service {name} is not initialized yet; follow it with: openmanage operations list --service {name}")
        }
        _ => session.terminal.say(&format!("service {name} is initialized")),
    }
}

async fn delete(session: &Session, name: &str) -> anyhow::Result<()> {
    let id = session.client.get_service(name).await?.id;
    let changed = session.client.delete_service(name, &DeleteQuery::default(), None).await?;
    done(session, changed, "deleted").await?;
    let volumes = session.client.list_volumes().await?.items;
    let kept: Vec<_> = volumes.into_iter().filter(|volume| volume.service_id == id).map(|volume| volume.name).collect();
    if kept.is_empty() {
        return Ok(());
    }
    session
        .terminal
        .say(&format!("its volumes are kept; delete them with: openmanage volume delete {}", kept.join(" ")))
}

async fn config(session: &Session, name: Option<String>, id: Option<String>) -> anyhow::Result<()> {
    let service: Service = match (name, id) {
        (Some(name), _) => session.client.get_service(&name).await?,
        (None, id) => {
            let id = id.unwrap_or_default();
            let found = every_service(session).await?.into_iter().find(|service| service.id == id);
            let Some(found) = found else { bail!("there is no service with the uuid {id:?}; see -op=list-services") };
            found
        }
    };
    let lines: Vec<_> =
        service.settings.iter().chain(&service.options).map(|(key, value)| format!("{key}={value}")).collect();
    session.terminal.say(&if lines.is_empty() { "every value is the default".into() } else { lines.join("\n") })
}
