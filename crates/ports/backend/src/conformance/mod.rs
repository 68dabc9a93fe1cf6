//! Conformance suites: what every implementation of a port must do, fakes and real adapters alike.
//!
//! Each suite takes an implementation and panics, with a sentence, at the first thing it does wrong.

#![allow(clippy::unwrap_used, reason = "a suite reports by panicking")]

pub mod host;
pub mod orchestrator;
pub mod volume;
