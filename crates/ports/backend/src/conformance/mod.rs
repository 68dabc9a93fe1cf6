//! Conformance suites: what every implementation of a port must do, fakes and real adapters alike.
//!
//! Each suite takes an implementation and panics, with a sentence, at the first thing it does wrong.

pub mod host;
pub mod orchestrator;
pub mod volume;
