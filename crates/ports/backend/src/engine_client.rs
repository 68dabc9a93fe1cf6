//! A client of the local database server, for a member's own verbs.

use async_trait::async_trait;

use crate::error::Result;

/// The client. It connects when first used and again after the connection was lost.
#[async_trait]
pub trait EngineClient: Send + Sync {
    /// Runs a statement and returns its rows as text. [`ErrorKind::Unavailable`](crate::ErrorKind) if the server does
    /// not take connections, [`ErrorKind::Invalid`](crate::ErrorKind) with the server's own words if it refused the
    /// statement.
    async fn query(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>>;
}
