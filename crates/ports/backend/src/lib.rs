//! What the control code needs of the world, as traits: orchestrator, volumes, host, names, members, time, chance.
//!
//! Each port is one module: its trait, the plain data that crosses it, and what is known after a time-out. Adapters
//! implement them for one vendor each; [`fake`] implements them in memory, and [`conformance`] holds the suites that
//! fakes and real adapters both pass. [`faulty`] decorates a port with failures.
//!
//! **Architecture invariant:** no vendor's type crosses a port, and no port knows which adapter stands behind it.

#![forbid(unsafe_code)]

pub mod authority;
pub mod conformance;
pub mod control_plane;
pub mod engine_client;
pub mod error;
pub mod fake;
pub mod faulty;
pub mod host;
pub mod joining;
pub mod lease;
pub mod member_channel;
pub mod names;
pub mod node_agent;
pub mod orchestrator;
pub mod process;
pub mod runtime;
pub mod seal;
pub mod volume;

pub use authority::{Authority, CertificateRequest, Issued, PeerIdentity, PeerRole, Requested};
pub use control_plane::{ControlPlane, Grant, MountName, NodeOrders, NodeReport};
pub use engine_client::EngineClient;
pub use error::{ErrorKind, PortError, Result};
pub use host::{Host, Mount, Source};
pub use joining::{JoinRequest, Joined, Joining};
pub use lease::{Prober, Voter, Voters};
pub use member_channel::{MemberChannel, MemberPhase, MemberStatus};
pub use names::NameService;
pub use node_agent::{Agents, NodeAgent, OneAgent, PeerView};
pub use orchestrator::{
    Deployment, DeploymentSpec, DeploymentState, LogLine, Network, Orchestrator, OrchestratorNode, TaskResult,
};
pub use process::{Files, Processes};
pub use runtime::{Clock, Entropy, Runtime, Tasks};
pub use seal::Seal;
pub use volume::{Attachment, Fencing, SnapshotId, VolumeProvider};
