//! Services, their members and their end; engines and the cluster.

use om_api::{DeleteQuery, Member, Page, PageQuery, Service};
use om_client::Changed;
use om_planning::VolumeFate;

use crate::args::{ChangeArgs, DeleteArgs};
use crate::progress;
use crate::session::Session;
use crate::terminal::{or_dash, pairs, table};

/// Entries asked for at a time.
const PAGE: usize = 1000;

pub(super) async fn list(session: &Session) -> anyhow::Result<()> {
    let services = every_service(session).await?;
    if services.is_empty() && !session.terminal.is_json() {
        session.terminal.advise("there are no services; make one with: openmanage create postgresql NAME");
        return Ok(());
    }
    session.terminal.show(&services, || services_table(&services))
}

/// All services, page by page.
pub(crate) async fn every_service(session: &Session) -> anyhow::Result<Vec<Service>> {
    let (mut services, mut after) = (Vec::new(), None);
    loop {
        let Page { items, next } = session.client.list_services(&PageQuery { after, limit: Some(PAGE) }).await?;
        services.extend(items);
        match next {
            Some(next) => after = Some(next),
            None => return Ok(services),
        }
    }
}

pub(crate) fn services_table(services: &[Service]) -> String {
    let rows = services.iter().map(|service| {
        [
            service.name.clone(),
            service.engine.clone(),
            service.version.clone(),
            service.phase.as_str().into(),
            service.replicas.to_string(),
            service.volumes.data.to_string(),
            or_dash(service.primary.as_ref()),
            service.created.clone(),
        ]
    });
    table(["name", "engine", "version", "phase", "members", "volume", "primary", "created"], rows)
}

pub(super) async fn get(session: &Session, name: &str) -> anyhow::Result<()> {
    let service = session.client.get_service(name).await?;
    session.terminal.show(&service, || pairs(&service_pairs(&service)))
}

pub(crate) fn service_pairs(service: &Service) -> Vec<(&'static str, String)> {
    let map = |map: &std::collections::BTreeMap<String, String>| {
        let all: Vec<_> = map.iter().map(|(key, value)| format!("{key}={value}")).collect();
        if all.is_empty() { "-".to_owned() } else { all.join(", ") }
    };
    let cpu = service.resources.cpu_millis.map(|millis| f64::from(millis) / 1000.0);
    vec![
        ("name", service.name.clone()),
        ("id", service.id.clone()),
        ("engine", format!("{} {}", service.engine, service.version)),
        ("image", or_dash(service.image.as_ref())),
        ("phase", service.phase.as_str().into()),
        ("members", service.replicas.to_string()),
        ("primary", or_dash(service.primary.as_ref())),
        ("memory", service.resources.memory.to_string()),
        ("cpus", or_dash(cpu)),
        ("data volume", service.volumes.data.to_string()),
        ("journal volume", or_dash(service.volumes.journal)),
        ("settings", map(&service.settings)),
        ("options", map(&service.options)),
        ("operations", if service.operations.is_empty() { "-".into() } else { service.operations.join(", ") }),
        ("created", service.created.clone()),
    ]
}

pub(super) async fn members(session: &Session, name: &str) -> anyhow::Result<()> {
    let members = session.client.list_members(name).await?.items;
    session.terminal.show(&members, || members_table(&members))
}

pub(crate) fn members_table(members: &[Member]) -> String {
    let rows = members.iter().map(|member| {
        [
            member.name.clone(),
            or_dash(member.role.as_ref()),
            if member.healthy { "yes" } else { "no" }.into(),
            member.deployment.clone(),
            or_dash(member.address.as_ref()),
            or_dash(member.node.as_ref()),
            member.epoch.to_string(),
            or_dash(member.lag_bytes),
            member.detail.clone() + if member.restart_pending { " (a restart is pending)" } else { "" },
        ]
    });
    table(["name", "role", "healthy", "container", "address", "node", "epoch", "lag", "detail"], rows)
}

/// Follows a change and tells its end in a word.
pub(super) async fn changed(
    session: &Session,
    changed: Changed,
    change: &ChangeArgs,
    word: &str,
) -> anyhow::Result<()> {
    if let Some(operation) = progress::finish(session, changed, !change.no_wait).await? {
        session.terminal.show(&operation, || format!("{} is {word}", operation.service))?;
    }
    Ok(())
}

pub(super) async fn delete(session: &Session, args: DeleteArgs) -> anyhow::Result<()> {
    let DeleteArgs { name, delete_volumes, yes, change, .. } = args;
    let fate = if delete_volumes { VolumeFate::Delete } else { VolumeFate::Keep };
    let question = match fate {
        VolumeFate::Delete => format!("delete {name} AND ITS VOLUMES WITH EVERYTHING ON THEM?"),
        VolumeFate::Keep => format!("delete {name} (its volumes are kept)?"),
    };
    if !yes && !change.dry_run && !session.terminal.confirm(&question)? {
        session.terminal.advise("nothing was changed");
        return Ok(());
    }
    let query = DeleteQuery { volumes: fate, dry_run: change.dry_run, deadline: change.deadline };
    let changed = session.client.delete_service(&name, &query, None).await?;
    let Some(operation) = progress::finish(session, changed, !change.no_wait).await? else { return Ok(()) };
    session.terminal.show(&operation, || match fate {
        VolumeFate::Delete => format!("{name} is deleted, with its volumes"),
        VolumeFate::Keep => format!(
            "{name} is deleted; its volumes are kept\nlist them with: openmanage volume list\ndelete one with: openmanage \
             volume delete VOLUME"
        ),
    })
}

pub(super) async fn engines(session: &Session) -> anyhow::Result<()> {
    let engines = session.client.list_engines().await?.items;
    session.terminal.show(&engines, || {
        let rows = engines.iter().map(|engine| {
            let options: Vec<_> =
                engine.options.iter().map(|option| format!("{}: {}", option.name, option.accepted)).collect();
            let versions = engine.versions.join(", ");
            [engine.name.clone(), versions, engine.default_version.clone(), engine.port.to_string(), options.join("; ")]
        });
        table(["engine", "versions", "default", "port", "options"], rows)
    })
}

pub(super) async fn cluster(session: &Session) -> anyhow::Result<()> {
    let cluster = session.client.get_cluster().await?;
    session.terminal.show(&cluster, || {
        pairs(&[
            ("cluster", cluster.cluster.clone()),
            ("zone", cluster.zone.clone()),
            ("region", or_dash(cluster.region.as_ref())),
            ("addresses", cluster.addresses.join(", ")),
            ("version", cluster.version.clone()),
        ])
    })
}
