//! Docker Engine as the orchestrator, over its unix socket.
//!
//! [`DockerEngine`] implements the `Orchestrator` port: one container per deployment (`container` says what it looks
//! like), on one bridge network per cluster (`network`). [`build_image`] makes an engine's image from the
//! distribution's packages, for sites without a container registry.
//!
//! **Invariant:** everything made here carries the cluster's label, and nothing without it is ever changed or removed.

#![forbid(unsafe_code)]

mod build;
mod client;
mod container;
mod deployments;
mod image;
mod logs;
mod network;
mod run;

pub use build::{build_image, build_image_at};
pub use client::{DockerEngine, Settings};
