//! What the member program needs of its container: processes and files.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use om_engines::Signal;

use crate::error::Result;

/// A user in the container's `/etc/passwd`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// A program to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// Its environment, beside PATH.
    pub env: BTreeMap<String, String>,
    /// Who runs it; root when absent.
    pub account: Option<Account>,
}

/// How a program ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Exit code, or 128 + the signal's number.
    pub code: i32,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

/// Processes of the container. The implementation is PID 1: it also reaps orphans.
#[async_trait]
pub trait Processes: Send + Sync {
    /// Runs to the end; [`ErrorKind::TimedOut`](crate::ErrorKind) after `within`, its whole process group killed.
    async fn run(&self, command: &Command, within: Duration) -> Result<Ended>;

    /// Starts the database server, its output going to the container's. One at a time: refused while it runs.
    async fn start_server(&self, command: &Command) -> Result<()>;

    /// Signals the server's main process. Done also if it is not running.
    async fn signal_server(&self, signal: Signal) -> Result<()>;

    /// The exit code once the server has exited (at once if it is not running).
    async fn server_exit(&self) -> i32;

    /// True while the server runs.
    fn server_running(&self) -> bool;

    /// Stops every process of the container but this one (SIGSTOP), also those it did not start. Returns once none runs;
    /// one that waits for storage stops before it comes to itself again.
    async fn stop_all(&self) -> Result<()>;

    /// Lets them go on (SIGCONT). Done also if none is stopped.
    async fn continue_all(&self) -> Result<()>;
}

/// How much of a file system is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Bytes that can still be written.
    pub free: u64,
    /// Bytes in all.
    pub total: u64,
}

/// Files of the container.
#[async_trait]
pub trait Files: Send + Sync {
    /// The account of `user`, from `/etc/passwd`.
    async fn account(&self, user: &str) -> Result<Account>;
    /// Makes a directory and its parents; owner and mode are those of the last.
    async fn make_dir(&self, path: &str, account: &Account, mode: u32) -> Result<()>;
    /// Writes a file whole: temporary name, sync, rename, sync of the folder.
    async fn write(&self, path: &str, content: &str, account: &Account, mode: u32) -> Result<()>;
    /// Changes owner and mode.
    async fn grant(&self, path: &str, account: &Account, mode: u32) -> Result<()>;
    /// A file's content, if it exists.
    async fn read(&self, path: &str) -> Result<Option<String>>;
    /// Removes everything in a directory.
    async fn empty_dir(&self, path: &str) -> Result<()>;
    /// Makes or replaces a symbolic link.
    async fn link(&self, path: &str, target: &str) -> Result<()>;

    /// How much room is left where `path` is; `None` where that cannot be told.
    async fn room(&self, path: &str) -> Result<Option<Room>> {
        let _ = path;
        Ok(None)
    }
}
