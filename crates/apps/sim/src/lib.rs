//! The simulator: the real control code over a simulated world, from one seed.
//!
//! Main pieces: [`executor`] (tasks and virtual time, nothing else decides what runs when), [`faults`] (what goes wrong
//! at which await), [`cluster`] (one server process over a world that outlives it), [`kit`] (the test kit that every
//! kind of operation passes: crash, fail, cancel and repeat at every await).
//!
//! **Architecture invariant:** the same seed gives the same trace, byte for byte. Nothing here reads a clock, spawns a
//! thread, or iterates over a hash map.

#![forbid(unsafe_code)]

pub mod chance;
pub mod check;
pub mod cluster;
pub mod executor;
pub mod faults;
pub mod kit;
