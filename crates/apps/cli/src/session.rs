//! Which server, with which token.
//!
//! **Invariant:** the admin token of this machine goes to this machine's server only: by its own address, a loopback
//! address, or a name in its zone as its own DNS server answers it. Any other server gets a token only from a file named.

use std::fs;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use async_trait::async_trait;
use om_client::{Client, ClientSettings, ResolveName, ServerAddress};
use serde::{Deserialize, Serialize};

use crate::args::Global;
use crate::terminal::Terminal;
use crate::{Environment, LookUp};

/// The file in the state directory that tells where the server is.
pub const SERVER_FILE: &str = "server.json";
/// The file in the state directory that holds the admin token, mode 0600.
pub const TOKEN_FILE: &str = "admin.token";

/// The content of [`SERVER_FILE`], written by the server when it listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerFile {
    /// Where the API is.
    pub url: String,
    /// The cluster's name.
    pub cluster: String,
    /// The zone it owns.
    pub zone: String,
    /// Where its DNS server answers this host, if it does.
    #[serde(default)]
    pub dns: Option<SocketAddr>,
    /// The file with the certificate of the authority that signed the server's, if it speaks TLS.
    #[serde(default)]
    pub ca: Option<PathBuf>,
}

/// A server to talk to, and a terminal to talk on.
pub(crate) struct Session {
    pub(crate) client: Client,
    pub(crate) terminal: Terminal,
    pub(crate) local: Option<ServerFile>,
    pub(crate) environment: Environment,
}

impl Session {
    /// Finds the server and the token. `plain_default`: `http` for an address without a scheme (the original's way).
    pub(crate) fn open(global: &Global, environment: Environment, plain_default: bool) -> anyhow::Result<Self> {
        let state = global.state.clone().unwrap_or_else(|| environment.state_dir.clone());
        let local = server_file(&state)?;
        let server = address(global.server.as_deref(), local.as_ref(), plain_default)?;
        // Without our own DNS server the name is whoever's the machine's resolver says: a stranger may own the domain.
        let zone = local.as_ref().filter(|file| file.dns.is_some() && server.is_in_zone(&file.zone));
        let ours = global.server.is_none() || server.is_loopback() || zone.is_some();
        let token = match &global.token_file {
            Some(path) => {
                Some(read_token(path)?.with_context(|| format!("there is no token file {}", path.display()))?)
            }
            None if ours => read_token(&state.join(TOKEN_FILE))?,
            None => None,
        };
        let ca = local.as_ref().filter(|_| ours).and_then(|file| file.ca.as_ref()).map(fs::read_to_string).transpose();
        let resolver = zone
            .and_then(|file| file.dns)
            .map(|dns| Arc::new(OwnDns { dns, look_up: Arc::clone(&environment.look_up) }) as Arc<dyn ResolveName>);
        let settings = ClientSettings {
            server,
            token,
            ca: ca.context("the server's certificate authority cannot be read")?,
            resolver,
            runtime: environment.runtime.clone(),
        };
        let terminal = Terminal::new(global.output, global.quiet);
        Ok(Self { client: Client::new(settings)?, terminal, local, environment })
    }

    /// The addresses of `host` by this machine's own DNS server, if the name is in its zone.
    pub(crate) async fn resolve(&self, host: &str) -> Option<Result<Vec<IpAddr>, String>> {
        let file =
            self.local.as_ref().filter(|file| host.ends_with(&format!(".{}", file.zone)) || host == file.zone)?;
        Some(self.environment.look_up.look_up(file.dns?, host).await)
    }
}

/// The server's own DNS server, as the client's resolver.
struct OwnDns {
    dns: SocketAddr,
    look_up: Arc<dyn LookUp>,
}

#[async_trait]
impl ResolveName for OwnDns {
    async fn resolve(&self, host: &str) -> Result<Vec<IpAddr>, String> {
        self.look_up.look_up(self.dns, host).await
    }
}

/// The server file of the state directory, if there is one.
pub(crate) fn server_file(state: &Path) -> anyhow::Result<Option<ServerFile>> {
    let path = state.join(SERVER_FILE);
    match fs::read(&path) {
        Ok(text) => {
            let file = serde_json::from_slice(&text);
            Ok(Some(
                file.with_context(|| format!("{} is damaged; restart the server to write it anew", path.display()))?,
            ))
        }
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

fn address(given: Option<&str>, local: Option<&ServerFile>, plain_default: bool) -> anyhow::Result<ServerAddress> {
    let Some(given) = given else {
        let text = local.map_or("127.0.0.1", |file| file.url.as_str());
        return Ok(text.parse::<ServerAddress>()?);
    };
    let address = given.parse::<ServerAddress>()?;
    if address.is_loopback() {
        return Ok(address);
    }
    // A name of our own zone is our own server, and we know what it speaks.
    let own = local.filter(|file| address.is_in_zone(&file.zone)).map(|file| file.url.starts_with("https://"));
    Ok(match own {
        Some(https) => address.or_scheme(https),
        None if plain_default => address.or_scheme(false),
        None => address,
    })
}

fn read_token(path: &Path) -> anyhow::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            bail!(
                "the token in {} may be read by its owner only: run this as that user (root), or name a file with --token-file",
                path.display()
            )
        }
        Err(error) => Err(error).with_context(|| format!("cannot read the token in {}", path.display())),
    }
}

#[cfg(test)]
mod tests;
