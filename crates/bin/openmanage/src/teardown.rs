//! `openmanage cluster teardown`: everything of ours on this machine is removed: services, network, zone, state.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures::StreamExt;
use om_backend::{Host, NameService, Orchestrator};
use om_cli::{ControlDbKind, UpSettings};
use om_control::{Control, Submission};
use om_controldb::PAGE_MAX;
use om_model::{OperationState, ServiceName};
use om_planning::{Change, VolumeFate};

use crate::background;
use crate::cluster::{Cluster, etcd};
use crate::process::{Present, Serving};
use crate::state::StateDir;

/// Carries it out. Refused while services or volumes are there, unless `delete_volumes`.
pub(crate) async fn run(state: &Path, delete_volumes: bool, yes: bool) -> Result<()> {
    let Some(dir) = StateDir::existing(state)? else {
        println!("there is nothing of openmanage at {}", state.display());
        return Ok(());
    };
    if delete_volumes && !yes {
        bail!("this deletes every service and volume of the cluster; add --yes to go on");
    }
    if Present::of(&dir)?.is_some() {
        background::down(dir.root()).await?;
    }
    let _ours = Serving::begin(&dir, &*om_system::runtime().clock).await?;
    match dir.settings()? {
        // Whatever subnet the network has, it is removed.
        Some(settings) => {
            remove_cluster(&UpSettings { subnet: None, ..settings }, dir.clone(), delete_volumes).await?;
        }
        // Where it never served, nothing outside the directory was made. One that served tells by this file.
        None if dir.announced() => bail!("{} lacks settings.json: start it once more, then repeat", state.display()),
        None => {}
    }
    refuse_while_mounted(dir.root()).await?;
    std::fs::remove_dir_all(dir.root()).with_context(|| format!("cannot remove {}", dir.root().display()))?;
    println!("nothing of the cluster is left on this machine");
    Ok(())
}

/// Removing a folder goes down into what is mounted below it.
async fn refuse_while_mounted(root: &Path) -> Result<()> {
    let mounts = om_host::SystemHost::detect()?.mounts(root).await?;
    match mounts.iter().find(|mount| mount.target != root) {
        Some(mount) => bail!("{} is still mounted: unmount it, then repeat", mount.target.display()),
        None => Ok(()),
    }
}

/// Removes what lies outside the state directory.
async fn remove_cluster(settings: &UpSettings, dir: StateDir, delete_volumes: bool) -> Result<()> {
    let cluster = Cluster::assemble(settings, dir).await?;
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
    match &settings.control_db {
        // Its file goes with the directory.
        ControlDbKind::Sqlite => Ok(()),
        // The key that its secrets are sealed with goes: the next cluster of this name could do nothing with them.
        ControlDbKind::Etcd(endpoints) => {
            etcd(&settings.cluster, endpoints).await?.erase().await.context("cannot empty the control database")
        }
    }
}

async fn remove_services(control: &Arc<Control>, delete_volumes: bool) -> Result<()> {
    let (services, _) = control.services(None, PAGE_MAX).await?;
    let kept = control.volumes().await?;
    if !delete_volumes && (!services.is_empty() || !kept.is_empty()) {
        let names: Vec<_> = services.iter().map(|service| service.name.to_string()).collect();
        bail!(
            "there are services ({}) and {} volumes; delete them first, or all of them with --delete-volumes \
             (the server was ended: `openmanage up` starts it again)",
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
