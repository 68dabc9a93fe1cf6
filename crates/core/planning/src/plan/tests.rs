//! Plans as they are reviewed: one line a step.

mod golden;
pub(crate) mod moves;
mod refusals;
