//! `openmanage up`: server, agent and name server in one process, until it is told to end. Members go on without it.

use std::future::pending;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result};
use futures::future::join_all;
use om_backend::{ErrorKind, Orchestrator, Runtime};
use om_cli::{ServerFile, UpSettings};
use om_dns::DnsServer;
use om_docker::DockerEngine;
use om_http::{Endpoint, Listener};
use om_server::{ServerSettings, Tokens};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::cluster::Cluster;
use crate::process::Serving;
use crate::settings;
use crate::state::StateDir;

/// How long requests under way may take when the process ends.
const DRAIN: Duration = Duration::from_secs(5);
/// While Docker is away, this often it is looked for.
const DOCKER_AGAIN: Duration = Duration::from_secs(2);
/// Where the name server answers the host unless told otherwise: a loopback address nobody else uses.
pub(crate) const HOST_DNS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(127, 0, 0, 27)), 53);

/// Runs until SIGTERM or SIGINT.
pub(crate) async fn run(settings: UpSettings) -> Result<()> {
    start_log();
    let state = StateDir::open(&settings.state)?;
    let mut serving = Serving::begin(&state, &*om_system::runtime().clock).await?;
    let kept = state.settings()?;
    let subnet = kept.as_ref().and_then(|kept| kept.subnet);
    let settings = settings::settle(kept, settings)?;
    let cluster = Cluster::assemble(&settings, state).await?;
    // Ports are taken first: one that is not free is reported before anything is served.
    let mut api = Vec::new();
    for address in &settings.listen {
        api.push(Listener::bind(&endpoint(&cluster, *address).await?).await?);
    }
    let host_dns = listen_dns(&cluster, &settings.dns_listen).await?;
    // The subnet asked for holds for later starts only once the network has it.
    cluster.state.keep_settings(&UpSettings { subnet, ..settings.clone() })?;
    let network = open_network_now(&cluster).await?;
    if network {
        cluster.state.keep_settings(&settings)?;
    }
    announce(&cluster, &settings, &api, host_dns).await?;

    let place = format!("{} on the server's machine", cluster.state.token_file().display());
    let router = om_server::router(
        cluster.control.clone(),
        ServerSettings {
            tokens: Tokens::new(&cluster.state.token(&cluster.runtime)?, place),
            runtime: cluster.runtime.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
    );
    serving.serves()?;
    serve(cluster, api, router, network).await?;
    tracing::info!("ended; members go on");
    Ok(())
}

/// Serves until told to end, then lets requests under way finish.
async fn serve(cluster: Cluster, api: Vec<Listener>, router: axum::Router, network: bool) -> Result<()> {
    let (stop, stopping) = watch::channel(false);
    let until = || {
        let mut stopping = stopping.clone();
        async move {
            // An error means that the sender is gone, which is a reason to end too.
            let _ = stopping.wait_for(|stop| *stop).await;
        }
    };
    let api = join_all(api.into_iter().map(|listener| listener.serve(router.clone(), until(), DRAIN)));
    let Cluster { plugin, agent, control, docker, dns, runtime, .. } = cluster;
    let plugin = plugin.serve(agent.plugin_router(), until(), DRAIN);
    let ending = async {
        let ended = told_to_end().await;
        // Nobody listening any more is as good as told.
        let _ = stop.send(true);
        ended
    };
    let later = async {
        if !network {
            open_network_later(&docker, &dns, &runtime).await;
        }
        pending::<()>().await;
    };
    tokio::select! {
        (_, _, ended) = async { futures::join!(api, plugin, ending) } => ended,
        () = control.run() => Ok(()),
        () = later => Ok(()),
    }
}

async fn told_to_end() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for signals")?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("told to end");
    Ok(())
}

/// Plain HTTP on loopback addresses; TLS with a certificate of the cluster's own authority elsewhere.
async fn endpoint(cluster: &Cluster, address: SocketAddr) -> Result<Endpoint> {
    if address.ip().is_loopback() {
        return Ok(Endpoint::Tcp(address));
    }
    let issued = cluster.control.server_certificate().await.context("cannot make the server's certificate")?;
    Ok(Endpoint::Tls { address, certificate: issued.certificate, key: issued.key })
}

async fn listen_dns(cluster: &Cluster, addresses: &[SocketAddr]) -> Result<SocketAddr> {
    let addresses = if addresses.is_empty() { &[HOST_DNS][..] } else { addresses };
    let mut first = None;
    for address in addresses {
        let bound = cluster.dns.listen(*address, false).await;
        let bound = bound.context("cannot answer DNS on this host (--dns-listen chooses another address)")?;
        first.get_or_insert(bound);
    }
    first.context("no address to answer DNS on")
}

/// True if the network is open; false if Docker is away, which is no reason not to start.
async fn open_network_now(cluster: &Cluster) -> Result<bool> {
    match cluster.open_network().await {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.kind, ErrorKind::Unavailable | ErrorKind::TimedOut) => {
            tracing::warn!(%error, "going on without Docker; it is looked for again and again");
            Ok(false)
        }
        Err(error) => Err(error).context("cannot open the members' network"),
    }
}

async fn open_network_later(docker: &DockerEngine, dns: &DnsServer, runtime: &Runtime) {
    let mut said = String::new();
    loop {
        runtime.clock.sleep(DOCKER_AGAIN).await;
        let opened = match docker.network().await {
            Ok(network) => dns.listen(SocketAddr::new(network.gateway, 53), true).await.map(drop),
            Err(error) => Err(error),
        };
        match opened {
            Ok(()) => return tracing::info!("Docker answers; the members' network is open"),
            // Said once per reason: this may go on for days.
            Err(error) if error.to_string() == said => {}
            Err(error) => {
                tracing::warn!(%error, "the members' network is not open yet");
                said = error.to_string();
            }
        }
    }
}

async fn announce(cluster: &Cluster, settings: &UpSettings, api: &[Listener], dns: SocketAddr) -> Result<()> {
    let address = api.first().and_then(Listener::local_addr).context("no address to listen on (--listen)")?;
    let plain = address.ip().is_loopback();
    let scheme = if plain { "http" } else { "https" };
    let ca = (!plain).then(|| cluster.state.authority());
    if let Some(path) = &ca {
        let certificate = cluster.control.authority_certificate().await.context("cannot read the authority")?;
        cluster.state.write(path, certificate.as_bytes(), 0o644)?;
    }
    cluster.state.announce(&ServerFile {
        url: format!("{scheme}://{address}"),
        cluster: settings.cluster.to_string(),
        zone: settings.cluster.default_zone().to_string(),
        dns: Some(dns),
        ca,
    })?;
    tracing::info!(%address, %dns, state = %cluster.state.root().display(), "openmanage serves");
    Ok(())
}

/// Logs to the standard error; `RUST_LOG` chooses what.
pub(crate) fn start_log() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env();
    let filter = filter.unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false);
    // A second start in one process would find it set, and that is as good.
    drop(log.try_init());
}
