//! Everything of one machine put together: adapters into ports, ports into apps.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use om_agent::{Agent, AgentPorts, AgentSettings, Alone};
use om_backend::{OneAgent, Orchestrator, Runtime, VolumeProvider};
use om_cli::{ControlDbKind, UpSettings, VolumeKind};
use om_control::{Control, Ports, Settings};
use om_controldb::ControlDb;
use om_dns::DnsServer;
use om_docker::DockerEngine;
use om_etcd::EtcdDb;
use om_http::{Endpoint, Listener};
use om_local::LocalVolumes;
use om_model::ClusterName;

use crate::plane::Line;
use crate::state::StateDir;

/// Where Docker looks for plugins.
const PLUGINS: &str = "/run/docker/plugins";

/// One machine's cluster, not yet serving.
pub(crate) struct Cluster {
    pub(crate) state: StateDir,
    pub(crate) runtime: Runtime,
    pub(crate) control: Arc<Control>,
    pub(crate) agent: Agent,
    pub(crate) docker: Arc<DockerEngine>,
    pub(crate) dns: Arc<DnsServer>,
    pub(crate) plugin: Listener,
}

/// The name of the cluster's volume plugin in Docker: each cluster on a machine has one of its own.
pub(crate) fn driver(settings: &UpSettings) -> String {
    format!("openmanage-{}", settings.cluster)
}

impl Cluster {
    /// Puts it together. Nothing outside the state directory is touched but the plugin's socket.
    pub(crate) async fn assemble(settings: &UpSettings, state: StateDir) -> Result<Self> {
        let runtime = om_system::runtime();
        let program = state.member_program()?;
        let db = control_db(&settings.control_db, &settings.cluster, &state).await?;
        let docker = Arc::new(DockerEngine::new(om_docker::Settings {
            subnet: settings.subnet.map(|subnet| format!("{}/{}", subnet.address, subnet.prefix)),
            volume_driver: driver(settings),
            ..om_docker::Settings::new(settings.cluster.clone())
        }));
        let kind = match settings.volumes {
            VolumeKind::Images => om_local::Kind::Images,
            VolumeKind::Directories => om_local::Kind::Directories,
        };
        let volumes: Arc<dyn VolumeProvider> = Arc::new(LocalVolumes::new(state.volumes(), kind));
        let dns = Arc::new(name_server(&settings.cluster));
        let line = Arc::new(Line::default());
        let agent_ports = AgentPorts {
            control: line.clone(),
            host: Arc::new(om_host::SystemHost::detect()?),
            volumes: volumes.clone(),
            channel: Arc::new(om_membersocket::MemberSocket),
            runtime: runtime.clone(),
            prober: Arc::new(Alone),
            voters: Arc::new(Alone),
        };
        std::fs::create_dir_all(state.mounts()).context("cannot make the folder for mounts")?;
        let agent_settings = AgentSettings {
            mounts: state.mounts(),
            program,
            state: state.root().to_owned(),
            addresses: None,
            cluster: None,
        };
        let agent = Agent::new(agent_ports, agent_settings);
        let ports = Ports {
            db,
            runtime: runtime.clone(),
            orchestrator: docker.clone(),
            agents: Arc::new(OneAgent { agent: Arc::new(agent.clone()), volumes, names: dns.clone() }),
            names: dns.clone(),
            seal: Arc::new(om_tls::KeyFileSeal::open_or_create(&state.seal_key())?),
            authority: Arc::new(om_tls::RcgenAuthority),
        };
        let control = Control::new(ports, control_settings(settings));
        line.connect(control.clone());
        let plugin = bind_plugin(&driver(settings)).await?;
        Ok(Self { state, runtime, control, agent, docker, dns, plugin })
    }

    /// Makes the members' network and answers DNS on its gateway, for the containers: our zone, and others by forwarding.
    pub(crate) async fn open_network(&self) -> om_backend::Result<SocketAddr> {
        let network = self.docker.network().await?;
        self.dns.listen(SocketAddr::new(network.gateway, 53), true).await
    }
}

fn control_settings(settings: &UpSettings) -> Settings {
    let mut addresses: Vec<IpAddr> = settings.listen.iter().map(SocketAddr::ip).collect();
    addresses.dedup();
    Settings {
        zone: settings.cluster.default_zone(),
        cluster: settings.cluster.clone(),
        region: settings.region.clone(),
        zones: Vec::new(),
        server_addresses: addresses,
        addresses: om_control::Addressing::Orchestrator,
        detection: om_control::Detection::default(),
        server: settings.cluster.to_string(),
        several_nodes: false,
    }
}

/// The control database of that kind.
pub(crate) async fn control_db(
    kind: &ControlDbKind,
    cluster: &ClusterName,
    state: &StateDir,
) -> Result<Arc<dyn ControlDb>> {
    match kind {
        ControlDbKind::Sqlite => {
            let path = state.database();
            let db = om_sqlite::SqliteDb::open(&path)
                .with_context(|| format!("cannot open the control database {}", path.display()))?;
            Ok(Arc::new(db))
        }
        ControlDbKind::Etcd(endpoints) => Ok(Arc::new(etcd(cluster, endpoints).await?)),
    }
}

/// The control database in etcd, below a prefix of the cluster's own.
pub(crate) async fn etcd(cluster: &ClusterName, endpoints: &[String]) -> Result<EtcdDb> {
    let prefix = format!("openmanage/{cluster}/");
    EtcdDb::connect(endpoints, &prefix, om_etcd::Options::default())
        .await
        .with_context(|| format!("cannot use etcd at {}", endpoints.join(", ")))
}

/// The name server of the cluster's zone, not yet listening.
pub(crate) fn name_server(cluster: &ClusterName) -> DnsServer {
    let resolv_conf = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    DnsServer::new(om_dns::Settings {
        zone: cluster.default_zone(),
        ttl: om_dns::DEFAULT_TTL,
        upstreams: om_dns::nameservers(&resolv_conf),
    })
}

/// The volume plugin's socket, where Docker looks for it.
pub(crate) async fn bind_plugin(driver: &str) -> Result<Listener> {
    std::fs::create_dir_all(PLUGINS).with_context(|| format!("cannot make {PLUGINS}"))?;
    let path = PathBuf::from(PLUGINS).join(format!("{driver}.sock"));
    Ok(Listener::bind(&Endpoint::Unix { path, mode: 0o600 }).await?)
}
