//! A process inside a host, seen from the machine.

use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};

use crate::eventually;

/// A process inside a host. Killed when dropped; gone already if its host lost power.
pub struct Process {
    /// Its id, on the machine.
    pub pid: u32,
    /// Where it writes to.
    pub log: PathBuf,
    /// Refers to this very process, even after its id belongs to another.
    handle: OwnedFd,
    /// `nsenter`, which waits for it.
    outer: Child,
}

impl Process {
    /// Takes hold of the program that `outer`, an `nsenter` just started, runs inside.
    ///
    /// # Panics
    /// If it ends before it can be seen.
    pub(super) fn behind(mut outer: Child, log: &Path) -> Self {
        let list = format!("/proc/{0}/task/{0}/children", outer.id());
        let (pid, handle) = eventually(Duration::from_secs(10), "the program inside the host runs", || {
            if let Ok(Some(status)) = outer.try_wait() {
                panic!("it ended at once, {status}: {}", tail(log));
            }
            let children = std::fs::read_to_string(&list).unwrap_or_default();
            let id = children.split_whitespace().next().and_then(|id| id.parse::<i32>().ok());
            let pid = id.and_then(Pid::from_raw).ok_or("no child yet")?;
            let handle = pidfd_open(pid, PidfdFlags::empty()).map_err(|error| error.to_string())?;
            Ok((pid.as_raw_nonzero().get().unsigned_abs(), handle))
        });
        Self { pid, log: log.to_owned(), handle, outer }
    }

    /// Sends a signal; nothing happens if the process has ended.
    pub fn signal(&self, signal: Signal) {
        let _ = pidfd_send_signal(&self.handle, signal);
    }

    /// Stops it: it runs no further instruction until [`Self::resume`].
    pub fn stop(&self) {
        self.signal(Signal::STOP);
    }

    /// Continues it.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
        self.resume_outer();
    }

    /// `nsenter` stops when the program that it waits for does, and would not see its end.
    fn resume_outer(&self) {
        if let Some(outer) = i32::try_from(self.outer.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(outer, Signal::CONT);
        }
    }

    /// Kills it and waits until it is gone.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        if self.runs() {
            self.resume_outer();
        }
        let _ = self.outer.wait();
    }

    /// Asks it to end and waits until it has.
    ///
    /// # Panics
    /// If it does not within 30 seconds.
    pub fn terminate(&mut self) {
        self.signal(Signal::TERM);
        eventually(Duration::from_secs(30), "the process ends when asked", || match self.outer.try_wait() {
            Ok(Some(_)) => Ok(()),
            _ => Err(format!("it still runs: {}", tail(&self.log))),
        });
    }

    /// True while it has not ended.
    pub fn runs(&mut self) -> bool {
        matches!(self.outer.try_wait(), Ok(None))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The last lines of a log.
pub(super) fn tail(log: &Path) -> String {
    let mut text = String::new();
    if let Ok(mut file) = std::fs::File::open(log) {
        let _ = file.read_to_string(&mut text);
    }
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
