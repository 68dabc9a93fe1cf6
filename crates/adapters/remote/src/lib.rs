//! The ports between servers, agents and storage hosts, over HTTP/1.1 with JSON bodies and mutual TLS.
//!
//! - [`Identity`]: a process's own certificate and key, and the authority it trusts; both sides of a TLS handshake. A
//!   renewed certificate is used by the next connection.
//! - [`join()`] and [`keep_renewed`]: how a process comes to its identity and keeps it; [`joining_router`] is the server's
//!   side, [`RemoteJoining`] the client's.
//! - [`control_plane_router`] and [`RemoteControlPlane`]: the servers, as agents see them. The client goes on to the next
//!   server when one does not answer.
//! - [`agent_router`] and [`RemoteAgents`]: the agents, as servers and other agents see them.
//! - [`json_router`] and [`JsonLine`]: plain JSON calls under the same trust, for what has no port of its own.
//!
//! One POST per call under `/v1/node-protocol/`; a failed call is answered with the port's own error, and whatever goes
//! wrong on the way becomes [`Unavailable`](om_backend::ErrorKind) or [`TimedOut`](om_backend::ErrorKind).
//!
//! **Architecture invariants:** a client speaks to no server but one whose certificate the cluster's authority signed for
//! the role, and where it matters the name, that it expects; a router answers no client without the role it asks for, and
//! an agent claims and reports as itself only. Every call ends within its limit.

#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, reason = "an adapter of the network: its time-outs and tasks are real")]

mod agents;
mod certificate;
mod control_plane;
mod dial;
mod folder;
mod identity;
mod joining;
mod json;
mod line;
mod renewing;
mod servers;
mod serving;
mod volumes;
mod wire;

#[cfg(test)]
mod tests;

pub use agents::{AgentParts, RemoteAgents, agent_router};
pub use certificate::peer_of;
pub use control_plane::{RemoteControlPlane, control_plane_router};
pub use identity::Identity;
pub use joining::{Joiner, RemoteJoining, join, joining_router};
pub use json::{JsonCall, JsonLine, json_router};
pub use renewing::keep_renewed;
pub use serving::allow;
pub use volumes::VolumeTraits;
