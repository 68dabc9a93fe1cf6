//! The `nbd` volume provider: block devices over the network, one client at a time.
//!
//! Two halves. [`Storage`] runs on the storage host: it owns a folder of images (`pool`) and runs one export process per
//! volume and epoch (`export`), with a credential and a port of its own. [`NbdVolumes`] is the provider on a node: it asks
//! Storage for an export and runs a daemon that shows it as a file (`daemon`), which the host adapter loop-mounts.
//! Between them goes a [`Call`] over a [`StorageLine`], which the program provides (mutual TLS). `processes` finds and
//! ends processes by what the kernel says of them.
//!
//! **One writer holds** because a volume is written through an export process only, an epoch's process is ended for good
//! before the next epoch's is started, and the credential is the epoch's alone: a late write meets a closed port, or a
//! process that does not know its key.
//!
//! **Invariant:** the export processes and the daemons are found in `/proc`, never in a file that has to be trusted. So
//! Storage and the agent may be killed, restarted and upgraded while members write. Their systemd units have to say
//! `KillMode=process`.
//!
//! Needs the packages `qemu-utils` (`qemu-nbd`) on the storage host and `qemu-system-common` (`qemu-storage-daemon`) on the
//! nodes, and FUSE in the nodes' kernel; no kernel module for NBD.
//!
//! The loop device on the daemon's file must not go past the page cache, or QEMU mixes writes up (`daemon`).
//!
//! After a cut of the link, reading and writing go on when TCP next tries, which may be as long after the heal as the cut
//! was long (at most two minutes). With the sysctl `net.ipv4.tcp_rto_max_ms=1000` (Linux 6.15) on nodes and storage host it
//! is within a second.
//!
//! A volume that grows is larger from the next attach on: NBD cannot tell a client of a new size
//! ([`VolumeProvider::grows_in_use`](om_backend::VolumeProvider::grows_in_use)).

#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, reason = "an adapter of the system: its time-outs, pauses and keys are real")]

mod daemon;
mod export;
mod line;
mod os;
mod pool;
mod processes;
mod storage;
mod volumes;

pub use line::{Call, Exported, PATH, StorageLine};
pub use storage::{Storage, StorageSettings};
pub use volumes::{NbdVolumes, Settings};
