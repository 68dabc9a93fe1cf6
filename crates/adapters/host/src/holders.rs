//! Ending, or stopping, those who keep a file system mounted in other mount namespaces: containers.
//!
//! **Invariant:** nobody in our own mount namespace is ever signalled, nor PID 1 of this host, nor a process other than
//! the one that was looked at: a pidfd is opened first, and the looking counts only if it still stands for a live process.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use om_backend::{ErrorKind, PortError, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::mount::failed;
use crate::mountinfo::{self, Entry};
use crate::quiesce;

/// How long they may take to be gone. A writer that waits in a frozen file system, or for storage that hangs, cannot end.
const GONE_WITHIN: Duration = Duration::from_secs(3);
/// When a file system that was shut down is thawed for those who wait in it.
const THAWED_AFTER: Duration = Duration::from_millis(50);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Where we are ourselves.
struct Us {
    mounts: u64,
    pids: Option<u64>,
}

impl Us {
    fn new() -> io::Result<Self> {
        let pids = mountinfo::namespace_of(std::process::id(), "pid");
        Ok(Self { mounts: mountinfo::own_namespace()?, pids })
    }
}

#[allow(clippy::disallowed_methods, reason = "waits for the kernel, on a thread where blocking is allowed")]
pub(crate) fn kill(device: (u32, u32)) -> Result<()> {
    let wrong = |error: io::Error| failed("find the holders in", Path::new("/proc"), &error);
    let since = Instant::now();
    let mut thawed = false;
    loop {
        let left = kill_once(device).map_err(wrong)?;
        let Some(holder) = left else { return Ok(()) };
        if since.elapsed() > GONE_WITHIN {
            let detail =
                format!("process {holder} still has it mounted {} s after it was killed", GONE_WITHIN.as_secs());
            let subject = format!("the holders of device {}:{}", device.0, device.1);
            return Err(PortError::new(ErrorKind::TimedOut, "kill", subject, detail)
                .advise("a process that waits for its storage, or for a frozen file system, ends when that answers"));
        }
        if !thawed && since.elapsed() > THAWED_AFTER {
            thawed = true;
            // All of them have been killed by now. Beside us: it may hang.
            std::thread::spawn(move || quiesce::thaw_if_ended(device));
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Kills every holder there is now; one of them, if there was any.
fn kill_once(device: (u32, u32)) -> io::Result<Option<u32>> {
    let ours = mountinfo::own_of(device)?;
    let us = Us::new()?;
    let mut one = None;
    for pid in mountinfo::processes()? {
        if !holds(pid, device, &ours, &us)? {
            continue;
        }
        one = Some(pid);
        // The first process of a PID namespace takes all others along, also those that have not begun to be.
        if let Some(first) = first_of_namespace(pid, &us)? {
            signal_if(first, Signal::KILL, &us, |first| {
                Ok(mountinfo::namespace_of(first, "pid") == mountinfo::namespace_of(pid, "pid"))
            })?;
        }
        signal_if(pid, Signal::KILL, &us, |pid| holds(pid, device, &ours, &us))?;
    }
    Ok(one)
}

/// How often it is looked for processes that were not there the time before.
const STOP_ROUNDS: u32 = 5;

/// Sends SIGSTOP to everybody in the PID namespaces of the holders but their first processes. A PID namespace of ours is left
/// alone: nobody would continue those in it.
pub(crate) fn stop(device: (u32, u32)) -> Result<()> {
    let mut stopped = BTreeSet::new();
    for _ in 0..STOP_ROUNDS {
        let before = stopped.len();
        stop_once(device, &mut stopped).map_err(|error| failed("stop the holders in", Path::new("/proc"), &error))?;
        if stopped.len() == before {
            break;
        }
    }
    Ok(())
}

fn stop_once(device: (u32, u32), stopped: &mut BTreeSet<u32>) -> io::Result<()> {
    let (ours, us) = (mountinfo::own_of(device)?, Us::new()?);
    let mut held = BTreeMap::new();
    let mut namespaces = BTreeSet::new();
    let processes = mountinfo::processes()?;
    for pid in &processes {
        let (Some(mounts), Some(pids)) = (mountinfo::namespace_of(*pid, "mnt"), mountinfo::namespace_of(*pid, "pid"))
        else {
            continue;
        };
        if mounts == us.mounts || Some(pids) == us.pids || namespaces.contains(&pids) {
            continue;
        }
        let holds = match held.get(&mounts) {
            Some(known) => *known,
            // Had this process vanished, another of its mount namespace would have to be asked.
            None => match mountinfo::keeps_mounted(*pid, device, &ours)? {
                Some(holds) => *held.entry(mounts).or_insert(holds),
                None => continue,
            },
        };
        if holds {
            namespaces.insert(pids);
        }
    }
    let inside = |pid: u32| {
        Ok(mountinfo::namespace_of(pid, "pid").is_some_and(|pids| namespaces.contains(&pids)) && !is_first(pid))
    };
    for pid in processes {
        if inside(pid)? {
            signal_if(pid, Signal::STOP, &us, inside)?;
            stopped.insert(pid);
        }
    }
    Ok(())
}

/// True for PID 1 of a PID namespace directly below ours, that of a container. Those further below are not in charge.
fn is_first(pid: u32) -> bool {
    ids(pid).is_none_or(|ids| ids.len() <= 2 && ids.last() == Some(&1))
}

/// True if the process keeps the file system mounted in a namespace that is not ours.
fn holds(pid: u32, device: (u32, u32), ours: &[Entry], us: &Us) -> io::Result<bool> {
    match mountinfo::namespace_of(pid, "mnt") {
        Some(namespace) if namespace != us.mounts => Ok(mountinfo::keeps_mounted(pid, device, ours)?.unwrap_or(false)),
        _ => Ok(false),
    }
}

/// The first process of the PID namespace that `pid` is in; `None` if that is ours, or nobody is there any more.
fn first_of_namespace(pid: u32, us: &Us) -> io::Result<Option<u32>> {
    let Some(namespace) = mountinfo::namespace_of(pid, "pid").filter(|found| Some(*found) != us.pids) else {
        return Ok(None);
    };
    let inside = |candidate: &u32| {
        mountinfo::namespace_of(*candidate, "pid") == Some(namespace) && innermost_id(*candidate) == Some(1)
    };
    Ok(mountinfo::processes()?.into_iter().find(inside))
}

/// The process's id in the PID namespace it is in.
fn innermost_id(pid: u32) -> Option<u32> {
    ids(pid)?.last().copied()
}

/// The process's ids, from that in our PID namespace to that in its own.
fn ids(pid: u32) -> Option<Vec<u32>> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    ids.split_whitespace().map(|id| id.parse().ok()).collect()
}

/// Signals `pid` if `check` holds of it and it is outside our mount namespace.
fn signal_if(pid: u32, signal: Signal, us: &Us, check: impl Fn(u32) -> io::Result<bool>) -> io::Result<()> {
    let Some(id) = i32::try_from(pid).ok().and_then(Pid::from_raw).filter(|_| pid != 1) else { return Ok(()) };
    let opened = match pidfd_open(id, PidfdFlags::empty()) {
        Err(Errno::SRCH) => return Ok(()),
        opened => opened?,
    };
    let outside = mountinfo::namespace_of(pid, "mnt").is_some_and(|namespace| namespace != us.mounts);
    // While the process we opened lives, its id is nobody else's: what was read is about it.
    if !outside || !check(pid)? || ended(&opened)? {
        return Ok(());
    }
    match pidfd_send_signal(&opened, signal) {
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn ended(process: &OwnedFd) -> io::Result<bool> {
    let mut look = [PollFd::new(process, PollFlags::IN)];
    Ok(poll(&mut look, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))? > 0)
}
