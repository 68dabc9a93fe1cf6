//! Plans as they are reviewed: one line a step.

mod golden;
mod refusals;
