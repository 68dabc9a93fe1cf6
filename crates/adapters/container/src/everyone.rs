//! All processes of the container at once: stopped past the end of the node's lease, continued when it is back.
//!
//! **Invariant:** only PID 1 does this. For any other process "everyone" would be the whole machine.

use std::fs;
use std::io;
use std::time::Duration;

use om_backend::{ErrorKind, PortError, Result};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, getpid, kill_process_group};
use tokio::time::sleep;

use crate::processes::cannot;

/// How often it is looked again whether all have stopped: they do when they next run.
const ROUNDS: u32 = 500;
const APART: Duration = Duration::from_millis(2);

/// Signals every process that we see but ourselves.
pub(crate) fn signal(signal: Signal) -> io::Result<()> {
    if getpid() != Pid::INIT {
        return Err(io::Error::other("this is not PID 1 of a container"));
    }
    // kill(2) takes the negated group; -1 stands for everyone.
    match kill_process_group(Pid::INIT, signal) {
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Stops every process. Once is not enough: one that was being forked may have been missed.
pub(crate) async fn stop() -> Result<()> {
    let failed = |error: io::Error| cannot("stop", "all processes", &error);
    let mut running = None;
    for _ in 0..ROUNDS {
        signal(Signal::STOP).map_err(failed)?;
        running = one_running().map_err(failed)?;
        if running.is_none() {
            return Ok(());
        }
        sleep(APART).await;
    }
    let detail = format!("process {} goes on", running.unwrap_or_default());
    Err(PortError::new(ErrorKind::TimedOut, "stop", "all processes", detail))
}

/// A process of which a thread can still come to run without having stopped first.
fn one_running() -> io::Result<Option<i32>> {
    for process in fs::read_dir("/proc")? {
        let process = process?;
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        if pid == Pid::INIT.as_raw_nonzero().get() {
            continue;
        }
        // Gone meanwhile, it does not run.
        let Ok(threads) = fs::read_dir(process.path().join("task")) else { continue };
        let stat = |thread: io::Result<fs::DirEntry>| fs::read_to_string(thread.ok()?.path().join("stat")).ok();
        if threads.filter_map(stat).any(|stat| runs(&stat)) {
            return Ok(Some(pid));
        }
    }
    Ok(None)
}

/// Whether a thread with this stat runs or may. One in an uninterruptible wait (D) sees its signals before it leaves the
/// kernel; stopped (T, t) and ended (Z, X) ones run no more.
fn runs(stat: &str) -> bool {
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    !matches!(state, Some('T' | 't' | 'Z' | 'X' | 'x' | 'D'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_stopped_the_ended_and_those_in_the_kernel_do_not_run() {
        for (state, running) in [('R', true), ('S', true), ('T', false), ('t', false), ('Z', false), ('D', false)] {
            assert_eq!(runs(&format!("7 (a) T (b) {state} 1 7")), running, "{state}");
        }
    }

    #[tokio::test]
    async fn the_machine_is_not_a_container() {
        let error = stop().await.expect_err("we are not PID 1");
        assert!(error.to_string().contains("not PID 1"), "{error}");
    }
}
