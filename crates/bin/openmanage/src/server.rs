//! `openmanage server`: the API, the control code and the line to the agents of a cluster of several nodes.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context, Result};
use om_backend::{Agents, Fencing, NameService, Network, NodeAgent, VolumeProvider};
use om_cli::{ServerFile, ServerRole};
use om_control::{Addressing, Control, Detection, Ports, Settings};
use om_http::{Endpoint, Listener};
use om_model::NodeId;
use om_remote::{Identity, RemoteAgents, VolumeTraits, control_plane_router, joining_router, peer_of};
use om_server::{ServerSettings, Tokens};
use om_tls::{KeyFileSeal, RcgenAuthority};

use crate::cluster::{control_db, name_server};
use crate::process::Serving;
use crate::serving::Endings;
use crate::state::StateDir;
use crate::up::{HOST_DNS, start_log};

/// How long requests under way may take when the process ends.
const DRAIN: Duration = Duration::from_secs(5);

/// Runs until SIGTERM or SIGINT. Members, agents and other servers go on without it.
pub(crate) async fn run(role: ServerRole) -> Result<()> {
    start_log();
    let state = StateDir::open(&role.state)?;
    let mut serving = Serving::begin(&state, &*om_system::runtime().clock).await?;
    let runtime = om_system::runtime();
    let agents = Arc::new(LateAgents::default());
    let names: Arc<dyn NameService> = Arc::new(name_server(&role.cluster));
    let authority = Arc::new(RcgenAuthority);
    let ports = Ports {
        db: control_db(&role.control_db, &role.cluster, &state).await?,
        runtime: runtime.clone(),
        orchestrator: Arc::new(om_swarm::SwarmOrchestrator::new(swarm(&role))),
        agents: agents.clone(),
        names,
        seal: Arc::new(KeyFileSeal::open_or_create(&state.seal_key())?),
        authority: authority.clone(),
    };
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let control = Control::new(ports, settings(&role, &host));
    let identity = identity(&control, &host).await?;
    agents.become_these(RemoteAgents::new(identity.clone(), traits(&role)));

    let endpoint = Endpoint::MutualTls { address: role.listen, tls: identity.server_config(), identify: peer_of };
    let listener = Listener::bind(&endpoint).await?;
    announce(&control, &role, &state).await?;
    let place = format!("{} on the server's machine", state.token_file().display());
    let api = ServerSettings {
        tokens: Tokens::new(&state.token(&runtime)?, place),
        runtime: runtime.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let router = om_server::router(control.clone(), api)
        .merge(control_plane_router(control.clone()))
        .merge(joining_router(control.clone()));
    serving.serves()?;

    let endings = Endings::new()?;
    tokio::select! {
        _ = listener.serve(router, endings.told(), DRAIN) => {}
        () = control.clone().run() => {}
        () = om_remote::keep_renewed(identity, None, control, authority, runtime) => {}
    }
    tracing::info!("ended; members go on");
    Ok(())
}

fn settings(role: &ServerRole, host: &str) -> Settings {
    let addresses = match role.addresses {
        Some(range) => Addressing::Static { first: range.first, last: range.last },
        None => Addressing::Node,
    };
    Settings {
        cluster: role.cluster.clone(),
        zone: role.cluster.default_zone(),
        region: role.region.clone(),
        zones: Vec::new(),
        server_addresses: vec![role.listen.ip()],
        addresses,
        detection: Detection { budget: role.detection_budget },
        server: host.to_owned(),
        several_nodes: true,
    }
}

fn swarm(role: &ServerRole) -> om_swarm::Settings {
    // Members are on the nodes' own network; what Swarm is told of it are words for people.
    let network = Network { subnet: (role.listen.ip(), 32), gateway: role.listen.ip() };
    om_swarm::Settings {
        volume_driver: format!("openmanage-{}", role.cluster),
        ..om_swarm::Settings::new(role.cluster.clone(), network)
    }
}

/// What the servers need to know of the volumes that the agents mount.
fn traits(role: &ServerRole) -> VolumeTraits {
    let (fencing, single_writer_by) = match role.volumes.as_str() {
        "nbd" => (Fencing::AtOnce, "one export process per epoch"),
        _ => (Fencing::AfterLease, "a new generation of the image once the lease is over"),
    };
    VolumeTraits { name: role.volumes.clone(), single_writer_by: single_writer_by.to_owned(), fencing }
}

/// This server's own certificate, by the cluster's authority, which the first server founds.
async fn identity(control: &Control, host: &str) -> Result<Arc<Identity>> {
    let issued = control.server_identity(host).await.context("cannot make this server's certificate")?;
    let authority = control.authority_certificate().await.context("cannot read the cluster's authority")?;
    Ok(Identity::new(&issued.certificate, &issued.key, &authority)?)
}

/// Tells the command line on this machine where the server is.
async fn announce(control: &Control, role: &ServerRole, state: &StateDir) -> Result<()> {
    let ca = state.authority();
    let certificate = control.authority_certificate().await.context("cannot read the cluster's authority")?;
    state.write(&ca, certificate.as_bytes(), 0o644)?;
    state.announce(&ServerFile {
        url: format!("https://{}", role.listen),
        cluster: role.cluster.to_string(),
        zone: role.cluster.default_zone().to_string(),
        dns: Some(HOST_DNS),
        ca: Some(ca),
    })?;
    tracing::info!(listen = %role.listen, state = %state.root().display(), "the server serves");
    Ok(())
}

/// The agents, once this server has an identity to call them as. The control code, which makes that identity, holds them.
#[derive(Default)]
struct LateAgents(OnceLock<RemoteAgents>);

impl LateAgents {
    fn become_these(&self, agents: RemoteAgents) {
        drop(self.0.set(agents));
    }

    fn these(&self) -> &RemoteAgents {
        self.0.get().expect("no agent is called before the server has its identity")
    }
}

impl Agents for LateAgents {
    fn agent(&self, node: &NodeId, at: SocketAddr) -> Arc<dyn NodeAgent> {
        self.these().agent(node, at)
    }

    fn volumes(&self, node: &NodeId, at: SocketAddr) -> Arc<dyn VolumeProvider> {
        self.these().volumes(node, at)
    }

    fn names(&self, node: &NodeId, at: SocketAddr) -> Arc<dyn NameService> {
        self.these().names(node, at)
    }
}
