//! `openmanage agent`: the agent of a node of a cluster of several: volume plugin, mounts, lease, name server.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use om_agent::{AddressSettings, Agent, AgentPorts, AgentSettings, ClusterSettings};
use om_backend::{Host, PeerRole, VolumeProvider};
use om_cli::{AgentRole, SharedVolumes};
use om_dns::DnsServer;
use om_host::SystemHost;
use om_http::{Endpoint, Listener};
use om_remote::{AgentParts, Identity, RemoteAgents, RemoteControlPlane, VolumeTraits, agent_router, peer_of};

use crate::cluster::{bind_plugin, name_server};
use crate::joining;
use crate::process::Serving;
use crate::serving::Endings;
use crate::state::StateDir;
use crate::storage::StorageClient;
use crate::up::{HOST_DNS, start_log};

/// How long requests under way may take when the process ends.
const DRAIN: Duration = Duration::from_secs(5);
/// Where Swarm's managers answer. Another manager's may be the way by which this node's Docker gets its tasks, also where the
/// node is a manager itself.
const SWARM_PORT: u16 = 2377;

/// Runs until SIGTERM or SIGINT. Members go on without it.
pub(crate) async fn run(role: AgentRole) -> Result<()> {
    start_log();
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "the agent starts");
    let state = StateDir::open(&role.join.state)?;
    let mut serving = Serving::begin(&state, &*om_system::runtime().clock).await?;
    let runtime = om_system::runtime();
    let host = Arc::new(SystemHost::detect()?);
    let identity = joining::identity(&state, &role.join, PeerRole::Agent, host.node().as_str()).await?;
    let volumes = provider(&role, &identity).await?;
    let dns = Arc::new(name_server(&role.join.cluster));
    let remote = Arc::new(RemoteAgents::new(identity.clone(), VolumeTraits::of(&*volumes)));
    let ports = AgentPorts {
        control: Arc::new(RemoteControlPlane::new(&identity, &role.join.servers)?),
        host,
        volumes: volumes.clone(),
        channel: Arc::new(om_membersocket::MemberSocket),
        runtime: runtime.clone(),
        prober: Arc::new(om_probe::NetProber::default()),
        voters: remote,
    };
    let agent = Agent::new(ports, settings(&role, &state)?);
    // Before everything else: the lease of the agent before this one runs out.
    let keeping = agent.clone();
    runtime.tasks.spawn("agent", Box::pin(async move { keeping.run().await }));

    let at = SocketAddr::new(role.join.address, role.port);
    let endpoint = Endpoint::MutualTls { address: at, tls: identity.server_config(), identify: peer_of };
    let own = Listener::bind(&endpoint).await?;
    // Docker finds a plugin by its socket; with it there before Docker asks, a node is ready again at once.
    let plugin = bind_plugin(&format!("openmanage-{}", role.join.cluster)).await?;
    listen_dns(&dns, &role).await?;
    let shared: Arc<Agent> = Arc::new(agent.clone());
    let router = agent_router(AgentParts { agent: shared.clone(), voter: shared, volumes, names: dns });
    serving.serves()?;
    tracing::info!(%at, "the agent serves");

    let endings = Endings::new()?;
    let own = own.serve(router, endings.told(), DRAIN);
    let plugin = plugin.serve(agent.plugin_router(), endings.told(), DRAIN);
    tokio::select! {
        _ = async { futures::join!(own, plugin) } => {}
        renewed = joining::keep(identity, &state, &role.join, runtime) => renewed?,
    }
    tracing::info!("ended; members go on");
    Ok(())
}

async fn provider(role: &AgentRole, identity: &Arc<Identity>) -> Result<Arc<dyn VolumeProvider>> {
    Ok(match &role.volumes {
        SharedVolumes::SharedFile { pool, server_side_copy } => {
            let settings = om_sharedfile::Settings { pool: pool.clone(), server_side_copy: *server_side_copy };
            let volumes = om_sharedfile::SharedFileVolumes::new(settings);
            volumes.probe().await.with_context(|| format!("cannot use the pool {}", pool.display()))?;
            Arc::new(volumes)
        }
        SharedVolumes::Nbd { storage } => {
            let line = StorageClient::new(identity, storage)?;
            // Credentials of what is attached: gone with the machine's power, as the attachments are.
            let folder = PathBuf::from("/run/openmanage").join(role.join.cluster.as_str()).join("nbd");
            let settings = om_nbd::Settings { state: folder, storage_host: line.host.clone() };
            Arc::new(om_nbd::NbdVolumes::new(settings, Arc::new(line)))
        }
    })
}

fn settings(role: &AgentRole, state: &StateDir) -> Result<AgentSettings> {
    for folder in [state.mounts(), state.volumes()] {
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let addresses = role.addresses.as_ref().map(|(interface, range, prefix)| AddressSettings {
        interface: interface.clone(),
        prefix: *prefix,
        range: IpAddr::V4(range.first)..=IpAddr::V4(range.last),
    });
    Ok(AgentSettings {
        mounts: state.mounts(),
        program: state.member_program()?,
        state: state.root().to_owned(),
        addresses,
        cluster: Some(ClusterSettings {
            address: role.join.address,
            agent: SocketAddr::new(role.join.address, role.port),
            zone: role.zone.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            lease_term: role.lease_term,
            orchestrator_port: Some(SWARM_PORT),
        }),
    })
}

async fn listen_dns(dns: &DnsServer, role: &AgentRole) -> Result<()> {
    let mut addresses = role.dns_listen.clone();
    if addresses.is_empty() {
        addresses = vec![HOST_DNS];
    }
    for address in addresses {
        let bound = dns.listen(address, false).await;
        bound.with_context(|| format!("cannot answer DNS at {address} (--dns-listen chooses another address)"))?;
    }
    Ok(())
}
