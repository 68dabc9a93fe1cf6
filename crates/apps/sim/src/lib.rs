//! The simulator: the real control code, agents and member programs over a simulated world, from one seed.
//!
//! What both kinds of runs share: [`executor`] (tasks, processes and virtual time; nothing else decides what runs when),
//! [`chance`], [`trace`], [`weather`] (what goes wrong at single steps), [`env`](mod@env) (the four together).
//!
//! A whole cluster: [`run`] (one run from a seed), [`fleet`] (the cluster, its users, what befalls it, what must be so in
//! the end) over [`machine`], [`net`], [`storage`], [`swarm`], [`docker`], [`container`], [`records`]; [`lines`] are the ways between
//! processes, [`ledger`] is what was promised.
//!
//! One server over fakes: [`faults`] (what goes wrong at which await), [`cluster`] (one server process over a world that
//! outlives it), [`kit`] (the test kit that every kind of operation passes: crash, fail, cancel and repeat at every await).
//!
//! **Architecture invariant:** the same seed gives the same trace, byte for byte. Nothing here reads a clock, spawns a
//! thread, or iterates over a hash map.

#![forbid(unsafe_code)]

pub mod chance;
pub mod check;
pub mod clock;
pub mod cluster;
pub mod container;
pub mod docker;
pub mod env;
pub mod executor;
pub mod faults;
pub mod fleet;
pub mod kit;
pub mod ledger;
pub mod lines;
pub mod machine;
pub mod names;
pub mod net;
pub mod records;
pub mod run;
pub mod storage;
pub mod swarm;
pub mod town;
pub mod trace;
pub mod weather;
