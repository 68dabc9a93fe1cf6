//! `create`.

use om_api::{CreateService, Place, Resources, VolumeSizes};

use crate::args::CreateArgs;
use crate::progress;
use crate::session::Session;
use crate::verbs::{how_to_connect, options};

/// The region of a place when neither the user nor the server names one.
const REGION: &str = "local";

pub(super) async fn run(session: &Session, args: CreateArgs) -> anyhow::Result<()> {
    let change = args.change.clone();
    let request = request(session, args).await?;
    let changed = session.client.create_service(&request, &options(&change)).await?;
    let Some(operation) = progress::finish(session, changed, !change.no_wait).await? else { return Ok(()) };
    if session.terminal.is_json() {
        return session.terminal.show(&session.client.get_service(&operation.service).await?, String::new);
    }
    session.terminal.advise(&format!("{} is ready", operation.service));
    how_to_connect(session, &operation.service).await
}

async fn request(session: &Session, args: CreateArgs) -> anyhow::Result<CreateService> {
    let mut options: std::collections::BTreeMap<_, _> = args.options.into_iter().collect();
    if args.synchronous {
        options.insert("synchronous".into(), "on".into());
    }
    Ok(CreateService {
        name: args.name,
        engine: args.engine,
        version: args.version,
        image: args.image,
        replicas: Some(args.replicas),
        resources: Some(Resources { memory: args.memory, cpu_millis: args.cpu }),
        volumes: VolumeSizes { data: args.volume_size, journal: args.journal_size },
        settings: args.settings.into_iter().collect(),
        options,
        places: places(session, args.zones).await?,
    })
}

async fn places(session: &Session, zones: Vec<String>) -> anyhow::Result<Vec<Place>> {
    if zones.is_empty() {
        return Ok(Vec::new());
    }
    let region = session.client.get_cluster().await?.region.unwrap_or_else(|| REGION.into());
    let place = |zone: String| match zone.split_once('/') {
        Some((region, zone)) => Place { region: region.into(), zone: zone.into() },
        None => Place { region: region.clone(), zone },
    };
    Ok(zones.into_iter().map(place).collect())
}
