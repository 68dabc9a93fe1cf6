//! How an agent or a storage program comes to its identity: kept from an earlier start, or by joining with a token.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use om_backend::{PeerRole, Runtime};
use om_cli::JoinSettings;
use om_remote::{Identity, Joiner, RemoteJoining};
use om_tls::RcgenAuthority;

use crate::state::StateDir;

/// Where the identity is kept.
fn folder(state: &StateDir) -> PathBuf {
    state.root().join("identity")
}

/// The identity of `name` in the cluster.
pub(crate) async fn identity(
    state: &StateDir,
    settings: &JoinSettings,
    role: PeerRole,
    name: &str,
) -> Result<Arc<Identity>> {
    let folder = folder(state);
    if let Some(kept) = Identity::open(&folder)? {
        let peer = kept.peer();
        if peer.role != role || peer.name != name {
            bail!("{} is the identity of {peer}, not of {role}/{name}: name another --state", folder.display());
        }
        return Ok(kept);
    }
    let Some(token) = &settings.token else {
        bail!(
            "this machine has not joined the cluster: make a token on a server (`openmanage node token --role {role}`) and \
             pass it with --token or in OPENMANAGE_JOIN_TOKEN"
        );
    };
    let joiner = Joiner { servers: &settings.servers, token, role, name, folder: &folder };
    om_remote::join(joiner, &RcgenAuthority).await.context("cannot join the cluster")
}

/// Keeps the identity's certificate from running out. Does not return.
pub(crate) async fn keep(
    identity: Arc<Identity>,
    state: &StateDir,
    settings: &JoinSettings,
    runtime: Runtime,
) -> Result<()> {
    let joining = Arc::new(RemoteJoining::new(&identity, &settings.servers)?);
    om_remote::keep_renewed(identity, Some(folder(state)), joining, Arc::new(RcgenAuthority), runtime).await;
    Ok(())
}
