//! What the program that runs as PID 1 in every member's container does: it brings the database server up, watches it,
//! mends it, answers on the member socket, and ends it gracefully.
//!
//! Main pieces: [`Member`] (the life of a member, [`Member::run`] and [`Member::answer`]), [`Ports`] (everything it
//! needs of the world), `carry` (carries an engine's actions out), `lease` (stops everything while the node's
//! lease is over), `board` (what the member tells of itself).
//!
//! **Architecture invariant:** no engine is named here, and nothing of the world is touched but through [`Ports`]: the
//! simulator runs this same code.

#![forbid(unsafe_code)]

mod board;
mod carry;
mod lease;
mod member;
mod ports;
mod room;
#[cfg(test)]
mod tests;

pub use member::Member;
pub use ports::{Connect, Ports, Say};
