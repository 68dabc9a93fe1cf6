//! The machine an agent runs on: mounts, loop devices, and the kernel's facts about them.
//!
//! [`SystemHost`] implements the `Host` port on Linux. `mount` makes and takes away mounts, `loopdev` speaks to the loop
//! driver, `ext4` makes, checks and grows file systems, `mountinfo` reads what is mounted in which namespace, `quiesce`
//! freezes file systems and ends them, `holders` ends containers that keep one mounted, `address` and `announce` give the
//! node addresses, `sever` ends TCP connections, `files` writes control files, `patience` bounds the waiting for storage that hangs.
//!
//! **Invariant:** nothing here is unmounted lazily, and an image that backs a loop device is never checked, formatted or
//! mounted a second time. So "not mounted" means that the superblock is gone.

#![deny(unsafe_op_in_unsafe_fn)]

mod address;
mod announce;
mod ext4;
mod files;
mod holders;
mod loopdev;
mod mount;
mod mountinfo;
mod patience;
mod quiesce;
mod sever;
mod system;

pub use system::SystemHost;
