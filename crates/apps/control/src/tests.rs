//! The control code over fakes: what it promises to those who ask it.

mod claims;
mod events;
mod loss;
mod loss_beside;
mod nodes;
mod operations;
mod queue;
mod repair;
mod requests;
mod secrets;
pub(crate) mod world;
mod zone;
