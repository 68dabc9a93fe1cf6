//! The control code: everything a server decides and does, over ports.
//!
//! Main pieces, in the order a request meets them:
//! - [`submit`](Control::submit) accepts a change: checked, given an identity, put into its service's queue;
//! - `executor` takes the head of each queue, plans it, and carries the steps out one by one (`steps`), so that it can be
//!   killed between any two instructions and another process goes on;
//! - `claims` decides who may mount what: the server's half of design §5;
//! - `names` derives the DNS zone from the records and publishes it;
//! - `repair` starts what should run and does not;
//! - `nodes` and `reports` keep the records of nodes and the roster; `detection` finds out which are lost and has their
//!   members recovered; `reach` finds the agent to ask; `leader` has one server do all this where there are several.
//!
//! **Architecture invariants:** state lives in the control database only, so that any process can take over at any
//! moment; every write to it is conditional; time, tasks and chance come from ports; nothing here knows an adapter.

#![forbid(unsafe_code)]

mod addresses;
mod claims;
mod control;
mod detection;
mod error;
mod events;
mod executor;
mod joining;
mod kinds;
mod leader;
mod members;
mod names;
mod nodes;
mod operations;
mod reach;
mod reads;
mod repair;
mod reports;
mod secrets;
mod steps;
mod store;
mod submit;

pub use control::{Addressing, Control, Detection, Ports, Settings};
pub use error::ControlError;
pub use events::NumberedEvent;
pub use kinds::ServiceOperation;
pub use members::MemberView;
pub use nodes::{Drain, NodeView};
pub use submit::{Accepted, Submission};

#[cfg(test)]
mod tests;
