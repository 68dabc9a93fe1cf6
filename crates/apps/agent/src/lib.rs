//! The agent of a node: the Docker volume plugin, mounts, fencing, and the node's members as the servers see them.
//!
//! [`Agent`] does the work. On any machine: `mounting` has the protocol of design §5, step by step, `clearing` its reverse,
//! `plugin` speaks Docker's volume plugin protocol, `member` answers the servers, `survey` rebuilds from the kernel's
//! mounts what is mounted here. In a cluster of several nodes: `fencing` is step 2 and gives members up by force, `lease`
//! keeps the node's lease and votes on others', `watch` looks after other nodes, `report` tells the servers and hears what
//! is over, `addresses` keeps members' own addresses where their mounts are, `roster` knows the other agents. `given_up`
//! keeps what was given up from coming back. [`Alone`] stands for the others where there are none.
//!
//! Everything the agent keeps in memory can be lost. Of its two small files, the roster may be old, for voters that know a newer
//! one refuse; and what was given up lasts no longer than this life of the node.
//!
//! **Architecture invariants:** nothing is touched before the claim is won. A volume's mount is taken down or handed to
//! another container only while no other mount namespace holds it, unless a server said that its epoch is over. Docker is
//! never asked anything from inside a Mount.

#![forbid(unsafe_code)]

mod addresses;
mod agent;
mod alone;
mod clearing;
mod fencing;
mod given_up;
mod lease;
mod locks;
mod member;
mod mounting;
mod plugin;
mod report;
mod roster;
mod survey;
mod watch;

pub use agent::{AddressSettings, Agent, AgentPorts, AgentSettings, ClusterSettings};
pub use alone::Alone;

#[cfg(test)]
mod tests;
