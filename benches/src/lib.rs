//! What the benchmarks share.
//!
//! Main pieces: [`Report`] (the Markdown page that a benchmark prints: what, where, when, how), [`Figures`] (medians and
//! percentiles), [`process`] (what a process costs), [`containers`] (Docker's own containers to compare with), [`http`]
//! (a client that costs next to nothing), [`etcd`] (the peer's server), [`fleets`] (for those on a whole cluster), [`machine`] (where it ran, on which core).
//!
//! **Invariant:** a benchmark measures its peer in the same run, asserts no time, and leaves nothing behind; its
//! [`World`](om_tests::World) and its guards remove what they made when they are dropped, and the next run removes what a
//! killed one left.

#![allow(clippy::disallowed_methods, reason = "a benchmark measures real time")]

pub mod containers;
pub mod etcd;
mod figures;
pub mod fleets;
pub mod http;
pub mod machine;
pub mod process;
mod report;

pub use figures::Figures;
pub use report::Report;
