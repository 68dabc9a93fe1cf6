//! Plans: what to do, as a pure function of what is wanted and what is.
//!
//! Main pieces: [`Change`] (what was asked for), [`Observed`] (what is), [`plan()`] (the steps from one to the other, with
//! reasons), [`rollback()`] (the steps back), [`Step`] (one idempotent thing to do). The executor has no choices to make:
//! it carries steps out in order. [`placement`] chooses nodes for members, [`detection`] decides which nodes are lost.
//!
//! **Architecture invariant:** planning does no I/O and reads no clock; the same arguments give the same plan.

#![forbid(unsafe_code)]

mod change;
pub mod detection;
#[cfg(test)]
mod example;
pub mod placement;
mod plan;
mod rollback;
mod step;

pub use change::{Change, VolumeFate};
pub use plan::{Observed, Plan, PlannedStep, Refusal, plan, possible_neighbours};
pub use rollback::rollback;
pub use step::Step;
