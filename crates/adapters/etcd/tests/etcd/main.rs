//! Tests of the control database over a real etcd: Debian's etcd-server, started by each test.

#![allow(clippy::disallowed_methods, reason = "a test against the real thing, in real time")]

mod conformance;
mod faults;
mod server;
mod silence;
