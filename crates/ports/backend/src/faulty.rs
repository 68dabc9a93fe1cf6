//! Ports with faults: decorators that let somebody else decide, before and after every call, whether it fails.
//!
//! A call that fails *before* had no effect; one that fails *after* had its effect, and the caller does not know: the
//! two halves of a time-out. Every call passes two awaits, so that a simulator can also end the caller there.

mod db;
mod ports;

use async_trait::async_trait;

pub use db::FaultyDb;
pub use ports::{FaultyAgent, FaultyControlPlane, FaultyNames, FaultyOrchestrator, FaultyVolumes};

/// Where in a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The effect has not happened.
    Before,
    /// The effect has happened.
    After,
}

/// Who decides.
#[async_trait]
pub trait Faults: Send + Sync {
    /// Asked at each moment of each call; the call is named `port.method subject`. A reason makes it fail.
    async fn at(&self, moment: Moment, call: &str) -> Option<String>;
}
