//! The built-in name server: authoritative for the cluster's zone, over UDP and TCP.
//!
//! - [`DnsServer`]: the server, and the [`om_backend::NameService`] port. It answers from a table built once per
//!   publication and swapped whole (`table`, `answer`, `wire`); `udp` and `tcp` carry it, `forward` asks others for
//!   what containers want to know of the rest of the world, `epochs` keeps answers from going back.
//! - [`resolve`]: asks one server for the addresses of one name.
//! - [`nameservers`]: the servers that a `resolv.conf` names, to forward to.
//!
//! **Architecture invariant:** names of the zone never leave: they are answered here or not at all. And at one server
//! an answer of a former holder of a member never follows one of a later holder.

#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, reason = "an adapter of the network: sockets need real time-outs, tasks and ids")]

mod answer;
mod epochs;
mod exchange;
mod forward;
mod resolve;
mod server;
mod table;
mod tcp;
mod udp;
mod wire;

#[cfg(test)]
mod tests;

pub use forward::nameservers;
pub use resolve::resolve;
pub use server::{DEFAULT_TTL, DnsServer, Settings};
