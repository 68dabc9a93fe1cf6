//! The catalog of engines: one module per engine, everything the platform knows about it.
//!
//! An engine is declarations (versions, ports, settings, secrets, order) and verbs. A verb is a [`Machine`]: a state
//! machine without I/O that says which [`Action`] comes next and is told its [`Outcome`]. The program that runs as PID 1
//! in every member's container carries the actions out; so does the simulator, with the same code.
//!
//! Main pieces: [`Engine`] (the port every engine fills), [`catalog`] (all engines), [`machine`] (actions and outcomes),
//! [`script`] (machines as straight-line code), [`member`] (what a member is told about itself), [`postgresql`].
//!
//! **Architecture invariant:** no engine's name appears outside its own module and [`catalog`]; no verb does I/O.

#![forbid(unsafe_code)]

pub mod catalog;
pub mod engine;
pub mod machine;
pub mod member;
pub mod postgresql;
pub mod script;

pub use engine::{ChangeClass, Connection, Engine, SecretKind, SecretSpec, Topology, Version};
pub use machine::{Action, Machine, Next, Outcome, Signal, run_to_end};
pub use member::{Health, MemberConfig, Peer, Role};
