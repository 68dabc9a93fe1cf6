//! The binding protocol (design section 5) as a model small enough to be explored to the last state.
//!
//! Main pieces: [`Protocol`] (which storage, which rules, how much may go wrong), [`State`] (a moment), [`Event`] (what can
//! happen next) and [`Protocol::next`], which says what it leads to. Modules: `claiming` steps 1 and 4, the servers' part;
//! `fencing` step 2; `mounting` step 3, restart and release; `leasing` the lease and its enforcement; `ending` what
//! a node does when its epoch is over; `writing` the way of a write from client to storage and back; `mishaps` what goes
//! wrong. The tests hand the model to a model checker; `docs/protocol.md` tells what it found.
//!
//! **Architecture invariant:** what `om-model` decides (claim, fenced, release, publish) is decided here by the very same
//! code; the model adds only what agents, voters, storage and kernels do.

#![forbid(unsafe_code)]

mod claiming;
mod ending;
mod event;
mod fault;
mod fencing;
mod leasing;
mod mishaps;
mod mounting;
mod properties;
mod protocol;
mod record;
mod set;
mod state;
mod writing;

pub use event::Event;
pub use fault::{Fault, Mishap, Restraint, Storage};
pub use properties::{acknowledged_kept, name_follows_holder, no_stray_eviction, one_writer};
pub use protocol::Protocol;
pub use record::{Life, Record};
pub use set::Set;
pub use state::{Engine, Mount, Node, Seen, State, Store, Turn, Write};

#[cfg(test)]
mod tests;
