//! The control code over fakes: what it promises to those who ask it.

mod claims;
mod events;
mod operations;
mod ownership;
mod queue;
mod repair;
mod requests;
mod secrets;
mod world;
mod zone;
