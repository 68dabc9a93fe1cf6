//! `openmanage storage`: the storage host of network block devices, and an agent's line to it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use async_trait::async_trait;
use om_backend::{ErrorKind, PeerIdentity, PeerRole, PortError};
use om_cli::StorageRole;
use om_http::{Endpoint, Listener};
use om_nbd::{Call, Storage, StorageLine, StorageSettings};
use om_remote::{Identity, JsonCall, JsonLine, json_router, peer_of};
use serde_json::Value;

use crate::joining;
use crate::process::Serving;
use crate::serving::Endings;
use crate::state::StateDir;
use crate::up::start_log;

/// How long requests under way may take when the process ends.
const DRAIN: Duration = Duration::from_secs(5);
/// Exports that should run and do not are looked for this often.
const MEND_EVERY: Duration = Duration::from_secs(1);
/// The folder of calls, and the one call there is in it: its kind is in its body.
const FOLDER: &str = "storage";
const CALL: &str = "call";

/// Runs until SIGTERM or SIGINT. Exports go on without it.
pub(crate) async fn run(role: StorageRole) -> Result<()> {
    start_log();
    let state = StateDir::open(&role.join.state)?;
    let mut serving = Serving::begin(&state, &*om_system::runtime().clock).await?;
    let runtime = om_system::runtime();
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let identity = joining::identity(&state, &role.join, PeerRole::Storage, &host).await?;
    let settings = StorageSettings {
        pool: role.pool.clone(),
        listen: role.join.address,
        ports: role.export_ports.0..=role.export_ports.1,
    };
    let storage = Storage::open(settings).await.with_context(|| format!("cannot use {}", role.pool.display()))?;
    let at = SocketAddr::new(role.join.address, role.port);
    let endpoint = Endpoint::MutualTls { address: at, tls: identity.server_config(), identify: peer_of };
    let listener = Listener::bind(&endpoint).await?;
    let service = Arc::new(Service(storage.clone()));
    let router = json_router(FOLDER, &[PeerRole::Server, PeerRole::Agent], service);
    serving.serves()?;
    tracing::info!(%at, "the storage serves");

    let mend = async {
        loop {
            if let Err(error) = storage.mend().await {
                tracing::warn!(%error, "cannot look after the exports");
            }
            runtime.clock.sleep(MEND_EVERY).await;
        }
    };
    let endings = Endings::new()?;
    tokio::select! {
        _ = listener.serve(router, endings.told(), DRAIN) => {}
        () = mend => {}
        renewed = joining::keep(identity, &state, &role.join, runtime.clone()) => renewed?,
    }
    tracing::info!("ended; exports go on");
    Ok(())
}

/// The storage, as it is called over the network.
struct Service(Storage);

#[async_trait]
impl JsonCall for Service {
    async fn call(&self, _: &PeerIdentity, _: &str, args: Value) -> om_backend::Result<Value> {
        let invalid = |error| PortError::new(ErrorKind::Invalid, "read", "a call of the storage", error);
        let call: Call = serde_json::from_value(args).map_err(invalid)?;
        // An answer as a whole, with its own kind of error, goes into the body: `Ok` or `Err`.
        serde_json::to_value(self.0.answer(call).await).map_err(invalid)
    }
}

/// An agent's line to the storage.
pub(crate) struct StorageClient {
    line: JsonLine,
    /// Where the exports are.
    pub(crate) host: String,
}

impl StorageClient {
    /// The storage at `url`.
    pub(crate) fn new(identity: &Identity, url: &str) -> Result<Self> {
        let at = url.strip_prefix("https://").unwrap_or(url).trim_end_matches('/');
        let (host, _) = at.rsplit_once(':').with_context(|| format!("--storage {url}: https://HOST:PORT is needed"))?;
        Ok(Self { line: JsonLine::of_role(identity, FOLDER, PeerRole::Storage, at), host: host.to_owned() })
    }
}

#[async_trait]
impl StorageLine for StorageClient {
    async fn call(&self, _: &str, body: Value) -> om_backend::Result<Value> {
        self.line.post(CALL, &body).await
    }
}
