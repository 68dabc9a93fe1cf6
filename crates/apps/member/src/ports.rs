//! What the member program needs of the world.

use std::sync::Arc;

use om_backend::{Clock, EngineClient, Files, Processes, Result};

/// Makes the client of the local database server, given the engine's name. It need not be up.
pub type Connect = Arc<dyn Fn(&str) -> Result<Arc<dyn EngineClient>> + Send + Sync>;

/// Says a line to people: the container's log.
pub type Say = Arc<dyn Fn(&str) + Send + Sync>;

/// The world.
#[derive(Clone)]
pub struct Ports {
    /// Files of the container.
    pub files: Arc<dyn Files>,
    /// Processes of the container.
    pub processes: Arc<dyn Processes>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The local database server's client.
    pub connect: Connect,
    /// The container's log.
    pub say: Say,
}
