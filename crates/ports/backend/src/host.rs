//! The machine an agent runs on: mounts, and the kernel's facts about them.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use om_model::{Incarnation, NodeId};

use crate::error::Result;

/// What to mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Bind-mount this directory.
    Directory(PathBuf),
    /// Loop-mount this image; make an ext4 file system first if `format` and no signature of any file system is found.
    Image {
        /// The image file.
        path: PathBuf,
        /// Whether a file system may be made on it.
        format: bool,
        /// Whether the loop device goes past the page cache (direct I/O).
        direct: bool,
    },
    /// A small tmpfs, mode 0700, for [control files](om_engines::member::CONTROL_DIR).
    Memory {
        /// Its greatest size in bytes.
        size: u64,
    },
    /// Bind-mount this file read-only onto an (empty) file at the target.
    ReadOnlyFile(PathBuf),
}

/// A mount, as the kernel has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Where.
    pub target: PathBuf,
    /// The file system's device number: the same for every mount of one file system, different for every tmpfs.
    pub device: (u32, u32),
    /// The file system's type.
    pub kind: String,
}

/// A file to put on a control tmpfs.
#[derive(Clone, PartialEq, Eq)]
pub struct ControlFile {
    /// Its path below the tmpfs.
    pub path: String,
    /// Its content.
    pub content: Vec<u8>,
    /// Its mode.
    pub mode: u32,
}

/// The machine. A call that waits for storage is given up after a while with
/// [`ErrorKind::TimedOut`](crate::ErrorKind), and may still have its effect later; [`Host::mounts`],
/// [`Host::held_elsewhere`] and [`Host::shut_down`] wait for no storage.
#[async_trait]
pub trait Host: Send + Sync {
    /// The node's name.
    fn node(&self) -> NodeId;

    /// Which life of the node this is: the kernel's boot id, and the start of PID 1.
    fn incarnation(&self) -> Incarnation;

    /// Mounts `source` at `target`, which is made if need be. Done also if `target` is a mount already.
    async fn mount(&self, source: &Source, target: &Path) -> Result<()>;

    /// Unmounts `target`, never lazily, and removes the empty directory (or file) it was on; a loop device goes with it.
    /// Done also if it is not mounted. [`ErrorKind::Refused`](crate::ErrorKind) while busy.
    async fn unmount(&self, target: &Path) -> Result<()>;

    /// Mounts at or below `folder`, in the kernel's order (parents first).
    async fn mounts(&self, folder: &Path) -> Result<Vec<Mount>>;

    /// A process in another mount namespace in which the file system with this device number is mounted, if there is
    /// one. While there is, its mount is not gone.
    async fn held_elsewhere(&self, device: (u32, u32)) -> Result<Option<u32>>;

    /// Removes the empty directories in `folder` whose names begin with `prefix` and on which nothing is mounted: what a
    /// crash between making a mount's directory and mounting leaves. Whatever is not empty stays.
    async fn remove_empty(&self, folder: &Path, prefix: &str) -> Result<()>;

    /// Makes the file system at `target` as large as its device; mounting an image that has grown does so too.
    /// [`ErrorKind::Refused`](crate::ErrorKind) where the kernel does not let us while it is mounted.
    async fn grow_file_system(&self, target: &Path) -> Result<()>;

    /// Ends the file system at `target` at once, for everybody who has it mounted: what is not written yet never is, the
    /// journal is not flushed, every later access fails (`FS_IOC_SHUTDOWN`, no log flush). Done also if it is ended or
    /// not mounted. It still has to be unmounted. [`ErrorKind::Refused`](crate::ErrorKind) where the kernel cannot, or for part
    /// of a file system that the machine uses elsewhere too.
    async fn shut_down(&self, target: &Path) -> Result<()>;

    /// Stops all writing to the file system at `target` (`FIFREEZE`), writers wait; done also if it is frozen or not
    /// mounted. What is written is flushed first: where the storage hangs, so does this. Thaw before unmounting.
    /// [`ErrorKind::Refused`](crate::ErrorKind) for part of a file system that the machine uses elsewhere too.
    async fn freeze(&self, target: &Path) -> Result<()>;

    /// The reverse of [`Self::freeze`]. Done also if it is not frozen or not mounted.
    async fn thaw(&self, target: &Path) -> Result<()>;

    /// Sends SIGSTOP to every process of the other PID namespaces whose processes have the file system with this device number
    /// mounted, except their first ones (which may continue them). Does not wait for them to stop: one that is frozen
    /// (`docker pause`) will, before it runs an instruction of its own. One that was just being forked may be missed; asked
    /// again and again, none is.
    async fn stop_holders(&self, device: (u32, u32)) -> Result<()>;

    /// Kills every process outside our own mount namespace that has the file system with this device number mounted, with
    /// all others of its PID namespace. Returns once none is left, or [`ErrorKind::TimedOut`](crate::ErrorKind): a process
    /// that waits in a frozen file system cannot end. One that was shut down is thawed for them.
    async fn kill_holders(&self, device: (u32, u32)) -> Result<()>;

    /// Gives the node `address` on `interface`, and tells the neighbours. Done also if the node has it (they are told again).
    async fn add_address(&self, interface: &str, address: (IpAddr, u8)) -> Result<()>;

    /// Takes `address` from the node. Done also if it does not have it.
    async fn remove_address(&self, interface: &str, address: IpAddr) -> Result<()>;

    /// The addresses that `interface` has.
    async fn addresses(&self, interface: &str) -> Result<Vec<IpAddr>>;

    /// Ends every TCP connection from this machine to `port` of `peer` at once, whosever it is, as if it had been reset; one
    /// that is just being made too. Done also if there is none; those that `peer` made stay. Waits neither for `peer` nor
    /// for storage. After a failure some may be ended; repeating is safe, but also ends what was made since.
    /// [`ErrorKind::Refused`](crate::ErrorKind) where the kernel cannot.
    async fn sever(&self, peer: IpAddr, port: u16) -> Result<()>;

    /// Writes files below `folder`, each to a temporary name and renamed; folders are made.
    async fn write_files(&self, folder: &Path, files: &[ControlFile]) -> Result<()>;

    /// A small file's content, if it exists.
    async fn read_file(&self, path: &Path) -> Result<Option<Vec<u8>>>;

    /// Syncs the file system at `target`.
    async fn sync(&self, target: &Path) -> Result<()>;
}
