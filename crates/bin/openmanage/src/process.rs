//! The process that serves from a state directory: at most one, known by the lock it holds.
//!
//! Main pieces: [`Serving`] (held by that process while it lives), [`Present`] (that process as others see it).
//!
//! **Invariant:** the lock is the kernel's and ends with the process, however that ends. What the file says counts only
//! while somebody holds the lock: a number left by a crash or from before a reboot may be anybody's by now.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use om_backend::Clock;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use rustix::time::Timespec;

use crate::state::StateDir;

/// The second line of the file, once the process serves.
const SERVES: &str = "serves";
const TRIES: u32 = 10;
const TRY_AGAIN: Duration = Duration::from_millis(10);

/// The state directory is this process's.
pub(crate) struct Serving {
    file: File,
}

impl Serving {
    /// Takes the state directory for this process.
    pub(crate) async fn begin(state: &StateDir, clock: &dyn Clock) -> Result<Self> {
        let path = state.process();
        let opened = OpenOptions::new().create(true).truncate(false).write(true).mode(0o644).open(&path);
        let mut file = opened.with_context(|| format!("cannot write {}", path.display()))?;
        let mut tries = 0;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                // Whoever only looks holds it for a moment too.
                Err(TryLockError::WouldBlock) if tries < TRIES => tries += 1,
                Err(TryLockError::WouldBlock) => bail!(
                    "openmanage runs already from {}; end it with `openmanage down`, or name another state directory",
                    state.root().display()
                ),
                Err(TryLockError::Error(error)) => {
                    return Err(error).with_context(|| format!("cannot lock {}", path.display()));
                }
            }
            clock.sleep(TRY_AGAIN).await;
        }
        file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()))?;
        Ok(Self { file })
    }

    /// Tells that it serves now.
    pub(crate) fn serves(&mut self) -> Result<()> {
        writeln!(self.file, "{SERVES}").context("cannot tell that this process serves")
    }
}

/// The process that has the state directory.
pub(crate) struct Present {
    /// Its number.
    pub(crate) pid: Pid,
    /// True once it serves.
    pub(crate) serves: bool,
    handle: OwnedFd,
}

impl Present {
    /// The process that has `state` now, if there is one.
    pub(crate) fn of(state: &StateDir) -> Result<Option<Self>> {
        let path = state.process();
        let Ok(mut file) = File::open(&path) else { return Ok(None) };
        match file.try_lock_shared() {
            // Given back when the file is closed, below.
            Ok(()) => return Ok(None),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot look at the lock on {}", path.display()));
            }
        }
        let mut text = String::new();
        file.read_to_string(&mut text).with_context(|| format!("cannot read {}", path.display()))?;
        let mut lines = text.lines();
        let pid = lines.next().and_then(|line| line.parse().ok()).and_then(Pid::from_raw);
        // No number yet: it has just taken the lock. No such process any more: it has just ended.
        let Some(pid) = pid else { return Ok(None) };
        let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else { return Ok(None) };
        Ok(Some(Self { pid, serves: lines.next() == Some(SERVES), handle }))
    }

    /// Asks it to end.
    pub(crate) fn end(&self) -> Result<()> {
        match pidfd_send_signal(&self.handle, Signal::TERM) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error).with_context(|| format!("cannot end process {}", self.pid.as_raw_nonzero())),
        }
    }

    /// True once it has ended, and with it everything it held.
    pub(crate) fn ended(&self) -> Result<bool> {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        Ok(poll(&mut [PollFd::new(&self.handle, PollFlags::IN)], Some(&now))? > 0)
    }
}

#[cfg(test)]
mod tests;
