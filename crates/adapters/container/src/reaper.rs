//! Reaping: every process that ends in the container is collected here, ours and orphans.
//!
//! **Invariant:** nothing else waits for children, and a pid is in the table from before the reaper can see its end
//! (both hold the table's lock). So no exit status goes astray, and a pid in the table is never a stranger's.

use std::collections::HashMap;
use std::io;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, kill_process_group, wait};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

/// Children of ours that have not been collected, each with who wants to know its exit code.
#[derive(Clone, Default)]
pub(crate) struct Reaper {
    table: Arc<Mutex<HashMap<Pid, oneshot::Sender<i32>>>>,
}

impl Reaper {
    /// Starts a program, as the leader of a process group of its own.
    pub(crate) fn spawn(&self, command: &mut Command) -> io::Result<(Child, Pid, oneshot::Receiver<i32>)> {
        let mut table = self.lock();
        let child = command.spawn()?;
        let pid = Pid::from_child(&child);
        let (tell, told) = oneshot::channel();
        table.insert(pid, tell);
        Ok((child, pid, told))
    }

    /// Signals a child of ours; nothing if it has been collected.
    pub(crate) fn signal(&self, pid: Pid, signal: Signal) {
        if self.lock().contains_key(&pid) {
            // The child is ours and not collected: the signal arrives, or it is a zombie and needs none.
            let _ = kill_process(pid, signal);
        }
    }

    /// Kills a child of ours with its whole process group; nothing if it has been collected.
    pub(crate) fn kill_group(&self, pid: Pid) {
        if self.lock().contains_key(&pid) {
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }

    /// Collects whatever ends, for ever.
    pub(crate) fn reap(&self) -> io::Result<impl Future<Output = ()> + Send + 'static> {
        let mut ended = signal(SignalKind::child())?;
        let reaper = self.clone();
        Ok(async move {
            loop {
                reaper.collect();
                if ended.recv().await.is_none() {
                    return;
                }
            }
        })
    }

    fn collect(&self) {
        let mut table = self.lock();
        // Until there is none that has ended, or none at all. One signal may stand for many ends.
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            if let Some(tell) = table.remove(&pid) {
                // Nobody may want to know any more.
                let _ = tell.send(code(status));
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Pid, oneshot::Sender<i32>>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The exit code, or 128 + the signal's number, as shells have it.
fn code(status: WaitStatus) -> i32 {
    status.exit_status().or_else(|| status.terminating_signal().map(|signal| 128 + signal)).unwrap_or(1)
}
