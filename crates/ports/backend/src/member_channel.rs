//! The channel to a member: requests to the program that runs as PID 1 in its container, over the socket on its volume.
//!
//! On the socket: one JSON [`Request`] on a line, answered by one JSON [`Reply`] on a line; then the connection closes.

use std::path::Path;

use async_trait::async_trait;
use om_engines::Health;
use serde::{Deserialize, Serialize};

use crate::error::Result;

/// Where the member program stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MemberPhase {
    /// Bringing the server up: initialising, copying, recovering.
    Starting,
    /// The server runs.
    Running,
    /// The running server is being mended (seeded anew).
    Mending,
    /// The server is being stopped.
    Stopping,
}

/// What a member says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberStatus {
    /// Where it stands.
    pub phase: MemberPhase,
    /// What it is doing, or what went wrong last, for people.
    pub detail: String,
    /// The last probe's finding; none before the first.
    pub health: Option<Health>,
    /// The configuration the server runs.
    pub configuration: u64,
    /// True if part of that configuration waits for a restart.
    pub restart_pending: bool,
    /// How often the server was started in this container.
    pub starts: u32,
}

/// A request on the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// Tell your status.
    Status,
    /// Read your configuration again and take it up as far as a reload can.
    Reload,
    /// Restart the database server, not the container.
    RestartServer,
}

/// The answer on the socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// Done; this is the status now.
    Status(MemberStatus),
    /// Could not be done: why.
    Failed(String),
}

/// The channel, on the node where the member runs.
#[async_trait]
pub trait MemberChannel: Send + Sync {
    /// Asks the member whose control folder is `control`. [`ErrorKind::Unavailable`](crate::ErrorKind) while the program
    /// is not up.
    async fn ask(&self, control: &Path, request: Request) -> Result<MemberStatus>;
}
