//! The whole API over the real control code and fakes.

mod contract;
mod guards;
mod refusals;
mod walk;
mod world;
