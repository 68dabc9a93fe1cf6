//! The hook through which names of our zone are asked of OpenManage's own DNS server.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;

/// Resolves the server's name.
#[async_trait]
pub trait ResolveName: Send + Sync {
    /// The addresses of `host`; an error in words if it has none.
    async fn resolve(&self, host: &str) -> Result<Vec<IpAddr>, String>;
}

/// [`ResolveName`] as the HTTP library wants it.
pub(crate) struct Adapter(pub(crate) Arc<dyn ResolveName>);

impl reqwest::dns::Resolve for Adapter {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let resolver = Arc::clone(&self.0);
        Box::pin(async move {
            let found = resolver.resolve(name.as_str()).await?;
            if found.is_empty() {
                return Err(format!("cannot resolve {}: it has no address", name.as_str()).into());
            }
            // Port 0 stands for the port of the URL.
            let addresses: reqwest::dns::Addrs = Box::new(found.into_iter().map(|ip| SocketAddr::new(ip, 0)));
            Ok(addresses)
        })
    }
}
