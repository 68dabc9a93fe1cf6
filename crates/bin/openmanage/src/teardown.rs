//! `openmanage cluster teardown`: everything of ours on this machine is removed: services, network, zone, state.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures::StreamExt;
use om_backend::{NameService, Orchestrator};
use om_cli::{ControlDbKind, UpSettings, VolumeKind};
use om_control::{Control, Submission};
use om_model::{OperationState, ServiceName};
use om_planning::{Change, VolumeFate};

use crate::background;
use crate::cluster::Cluster;
use crate::state::StateDir;

/// Carries it out. Refused while services or volumes are there, unless `delete_volumes`.
pub(crate) async fn run(state: &Path, delete_volumes: bool, yes: bool) -> Result<()> {
    if !state.exists() {
        println!("there is nothing at {}", state.display());
        return Ok(());
    }
    let dir = StateDir::open(state)?;
    if delete_volumes && !yes {
        bail!("this deletes every service and volume of the cluster; add --yes to go on");
    }
    if background::running(&dir).is_some() {
        background::down(dir.root()).await?;
    }
    let cluster = Cluster::assemble(&settings(&dir)?).await?;
    cluster.open_network().await.context("cannot reach the members' network")?;
    let Cluster { control, agent, docker, dns, plugin, .. } = cluster;
    // Docker asks the plugin whenever a container stops, so it is served meanwhile; and operations are carried out.
    let plugin = plugin.serve(agent.plugin_router(), std::future::pending(), Duration::ZERO);
    tokio::select! {
        removed = remove_services(&control, delete_volumes) => removed?,
        () = control.clone().run() => bail!("ended early"),
        _ = plugin => bail!("the volume plugin ended early"),
    }
    dns.withdraw().await?;
    docker.teardown().await.context("cannot remove the members' network")?;
    drop(control);
    std::fs::remove_dir_all(dir.root()).with_context(|| format!("cannot remove {}", dir.root().display()))?;
    println!("nothing of the cluster is left on this machine");
    Ok(())
}

/// As `up` was started last: the state directory says it.
fn settings(dir: &StateDir) -> Result<UpSettings> {
    let server = dir.server().context("cannot tell which cluster this is")?;
    Ok(UpSettings {
        state: dir.root().to_owned(),
        cluster: server.cluster.parse()?,
        region: None,
        listen: Vec::new(),
        dns_listen: Vec::new(),
        subnet: None,
        control_db: ControlDbKind::Sqlite,
        volumes: VolumeKind::Images,
        detach: false,
    })
}

async fn remove_services(control: &Arc<Control>, delete_volumes: bool) -> Result<()> {
    let (services, _) = control.services(None, om_controldb::PAGE_MAX).await?;
    let kept = control.volumes().await?;
    if !delete_volumes && (!services.is_empty() || !kept.is_empty()) {
        let names: Vec<_> = services.iter().map(|service| service.name.to_string()).collect();
        bail!(
            "there are services ({}) and {} volumes; delete them first, or all of them with --delete-volumes",
            names.join(", "),
            kept.len()
        );
    }
    for service in services {
        println!("deleting {} and its volumes", service.name);
        remove_service(control, service.name).await?;
    }
    for volume in control.volumes().await? {
        println!("deleting volume {}", volume.id);
        control.delete_volume(&volume.id.to_string()).await?;
    }
    Ok(())
}

async fn remove_service(control: &Arc<Control>, service: ServiceName) -> Result<()> {
    let change = Change::Delete { volumes: VolumeFate::Delete };
    let submission = Submission { service: service.clone(), change, idempotency_key: None, deadline: None };
    let accepted = control.submit(submission).await?;
    let mut progress = control.follow_operation(&accepted.operation.id).await?;
    while let Some(operation) = progress.next().await {
        let operation = operation?;
        if operation.state.ended() && operation.state != OperationState::Succeeded {
            bail!("service {service} was not deleted: {}", operation.reason.unwrap_or_default());
        }
    }
    Ok(())
}
