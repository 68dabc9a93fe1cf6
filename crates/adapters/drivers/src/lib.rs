//! Clients of the local database server, one module per engine, behind [`om_backend::EngineClient`].
//!
//! Main pieces: [`client_for`] (the client of an engine by name), [`postgresql`].
//!
//! **Architecture invariant:** clients connect over the unix socket only, and never look a name up.

#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, reason = "an adapter of the system: its time-outs and pauses are real")]

pub mod postgresql;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use om_backend::{EngineClient, ErrorKind, PortError, Result, Tasks};

/// The client for the engine called `engine`, on the socket where that engine's server listens.
///
/// # Errors
/// [`ErrorKind::Invalid`] if this release has no client for it.
pub fn client_for(engine: &str, tasks: Arc<dyn Tasks>) -> Result<Arc<dyn EngineClient>> {
    match engine {
        "postgresql" => Ok(Arc::new(postgresql::LocalPostgresql::new(om_engines::postgresql::SOCKET_DIR, tasks))),
        _ => {
            Err(PortError::new(ErrorKind::Invalid, "connect to", engine, "this release has no client for that engine"))
        }
    }
}
