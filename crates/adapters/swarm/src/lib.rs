//! Docker Swarm as the orchestrator, over the socket of a manager's Docker.
//!
//! [`SwarmOrchestrator`] implements the `Orchestrator` port (`deployments`): one service of at most one replica per
//! deployment (`service` says what it looks like), pinned to its node, on the node's own network. What a deployment does
//! is read off its tasks (`tasks`); `nodes` are the Swarm's; `run` is for
//! tasks in the port's sense, that run once.
//!
//! **Invariants:** everything made here carries the cluster's label, and nothing without it is ever changed or removed.
//! No call waits for a node that the Swarm knows to be down, and removal waits for no node at all: what may still run
//! there is kept from the storage by fencing, not by Swarm.

#![forbid(unsafe_code)]

mod client;
mod deployments;
mod image;
mod logs;
mod nodes;
mod run;
mod service;
mod tasks;

pub use client::{Settings, SwarmOrchestrator};
