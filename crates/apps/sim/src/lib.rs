//! The simulator: the real control code, agents and member programs over a simulated world, from one seed.
//!
//! What both kinds of runs share: [`executor`] (tasks, processes and virtual time; nothing else decides what runs when),
//! [`chance`], [`trace`], [`weather`] (what goes wrong at single steps; [`coverage`]: where it has hit,
//! [`planned`]: what a scenario wants), [`env`](mod@env) (all of them together); [`explain`] makes a trace readable.
//!
//! A whole cluster: [`run`] (one run from a seed), [`many`] (many of them, on all processors), [`fleet`] (the cluster, its users, what befalls it, what must be so in
//! the end) over [`machine`], [`net`], [`storage`], [`swarm`], [`docker`], [`container`], [`records`]; [`lines`] are the ways between
//! processes, [`ledger`] is what was promised. [`scenarios`] are cases by name; [`journal`] runs what a real cluster's events
//! tell of.
//!
//! One server over fakes: [`faults`] (what goes wrong at which await), [`cluster`] (one server process over a world that
//! outlives it), [`kit`] (the test kit that every kind of operation passes: crash, fail, cancel and repeat at every await).
//!
//! **Architecture invariant:** the same seed gives the same trace, byte for byte. Nothing within a run reads a clock,
//! spawns a thread, or iterates over a hash map.

#![forbid(unsafe_code)]

mod audit;
pub mod chance;
pub mod check;
pub mod clock;
pub mod cluster;
pub mod container;
pub mod coverage;
pub mod docker;
pub mod env;
pub mod executor;
pub mod explain;
pub mod faults;
pub mod fleet;
pub mod journal;
pub mod kit;
pub mod ledger;
pub mod lines;
pub mod machine;
pub mod many;
#[cfg(feature = "mutations")]
pub mod mutations;
pub mod names;
pub mod net;
pub mod planned;
pub mod records;
pub mod run;
pub mod scenarios;
pub mod storage;
pub mod swarm;
pub mod town;
pub mod trace;
pub mod weather;
