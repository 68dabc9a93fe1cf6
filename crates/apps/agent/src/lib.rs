//! The agent of a node: the Docker volume plugin, mounts, fencing, and the node's members as the servers see them.
//!
//! [`Agent`] does the work (`mounting` has the protocol of design §5, step by step; `clearing` its reverse), `plugin`
//! speaks Docker's volume plugin protocol, `member` answers the servers. `survey` rebuilds from the kernel's mounts what
//! is mounted here; there is no state file and nothing is remembered between calls.
//!
//! **Architecture invariants:** nothing is touched before the claim is won. A volume's mount is taken down or handed to
//! another container only while no other mount namespace holds it. Docker is never asked anything from inside a Mount.

#![forbid(unsafe_code)]

mod agent;
mod clearing;
mod locks;
mod member;
mod mounting;
mod plugin;
mod survey;

pub use agent::{Agent, AgentPorts, AgentSettings};

#[cfg(test)]
mod tests;
