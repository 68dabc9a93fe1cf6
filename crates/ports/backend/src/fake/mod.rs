//! In-memory implementations of the ports, for tests and the simulator. They pass the [conformance](crate::conformance)
//! suites.
//!
//! Orchestrator, agent and volumes share one [`World`], so that starting a deployment mounts its volumes and a member
//! that runs answers for itself, as in the real one.

pub mod agent;
pub mod control_plane;
pub mod crypto;
pub mod host;
pub mod names;
pub mod nodes;
pub mod orchestrator;
pub mod volumes;
pub mod voters;
pub mod world;

pub use agent::FakeAgent;
pub use control_plane::FakeControlPlane;
pub use crypto::{FakeAuthority, FakeSeal};
pub use host::FakeHost;
pub use names::FakeNames;
pub use nodes::{FakeAgents, keep_reporting};
pub use orchestrator::FakeOrchestrator;
pub use volumes::FakeVolumes;
pub use voters::FakeVoters;
pub use world::{FakeNode, World};
