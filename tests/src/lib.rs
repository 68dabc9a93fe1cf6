//! The harness of the end-to-end tests: the real programs, real containers, real databases, on this machine.
//!
//! Main pieces: [`World`] (one running `openmanage up` with a cluster, state folder, port, subnet and DNS address of its
//! own, so that it runs beside others), [`docker`], [`names`] (DNS) and [`client`] (psql) to look at it from outside,
//! [`leftovers`] (what must not remain), [`runner`] (cases one after the other, in order, against one world), [`testbed`]
//! (several hosts on this machine, with a network and storage that can be cut), [`fleet`] (a cluster of three nodes on them).
//!
//! **Invariant:** nothing that a run made outlives it, however it ends: the world removes it when it is dropped, and a
//! run that was killed is cleared away by the next one.

// A test waits and looks again by the real clock, and reads the output of real processes beside it.
#![allow(clippy::disallowed_methods, reason = "tests run in real time, outside every port")]

pub mod cli;
pub mod client;
pub mod docker;
pub mod etcd;
pub mod fleet;
pub mod http;
pub mod leftovers;
pub mod names;
pub mod runner;
pub mod testbed;
pub mod world;

use std::time::{Duration, Instant};

pub use runner::Case;
pub use world::World;

/// Asks `look` until it yields something, for at most `limit`.
///
/// # Panics
/// If it never does, with what it said last.
#[track_caller]
pub fn eventually<T>(limit: Duration, what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let began = Instant::now();
    loop {
        match look() {
            Ok(found) => return found,
            Err(last) if began.elapsed() > limit => panic!("{what}: not within {limit:?}; last seen: {last}"),
            Err(_) => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}

/// `Ok` if the two are equal, else what was expected and what was seen: for [`eventually`].
///
/// # Errors
/// Both, in words.
pub fn same<T: PartialEq + std::fmt::Debug>(seen: T, expected: T) -> Result<(), String> {
    if seen == expected { Ok(()) } else { Err(format!("{seen:?} instead of {expected:?}")) }
}
