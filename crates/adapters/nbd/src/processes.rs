//! Processes, found and ended by what the kernel says of them. Blocking.
//!
//! **Invariant:** a signal goes to a process whose command line was read after a file descriptor for it was held; so
//! never to another one that got its number. And "ended" means all its threads: what one of them had handed to the kernel
//! is written by then, or never will be.

use std::fs;
use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use om_backend::{ErrorKind, PortError, Result};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags, Signal};

/// Where these programs lie; a service's PATH may lack some.
const PATH: &str = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin";
/// How often we look whether a program that is to put itself into the background has done so.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// A running process.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    /// The words it was started with.
    pub(crate) words: Vec<String>,
    handle: OwnedFd,
}

/// The words a process was started with, or none if it has ended. A process that was killed keeps them in those of its
/// threads that have not ended, the first of them perhaps having done so.
fn words_of(pid: i32) -> Option<Vec<String>> {
    let folder = Path::new("/proc").join(pid.to_string());
    let read = |path: &Path| fs::read(path.join("cmdline")).ok().filter(|line| !line.is_empty());
    let line = read(&folder)
        .or_else(|| fs::read_dir(folder.join("task")).ok()?.filter_map(|task| read(&task.ok()?.path())).next())?;
    let line = String::from_utf8_lossy(&line).into_owned();
    Some(line.trim_end_matches('\0').split('\0').map(str::to_owned).collect())
}

/// All processes running `program` whose words pass the test.
pub(crate) fn find(program: &str, test: impl Fn(&[String]) -> bool) -> Result<Vec<Process>> {
    let wrong = |error: io::Error| PortError::new(ErrorKind::Unavailable, "look for", program, error);
    let fits = |words: &[String]| {
        words.first().is_some_and(|first| Path::new(first).file_name().is_some_and(|name| name == program))
            && test(words)
    };
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").map_err(wrong)? {
        let name = entry.map_err(wrong)?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        if !words_of(pid).is_some_and(|words| fits(&words)) {
            continue;
        }
        let Some(handle) = Pid::from_raw(pid).and_then(|pid| {
            // It ended while we looked.
            rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok()
        }) else {
            continue;
        };
        // Read again: the number may have gone to another process before we held it.
        let words = words_of(pid).filter(|words| fits(words));
        let process = words.map(|words| Process { pid, words, handle });
        found.extend(process.filter(|process| !process.ended_within(Duration::ZERO)));
    }
    Ok(found)
}

impl Process {
    /// True once the last of its threads has ended.
    fn ended_within(&self, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let left = Timespec::try_from(left).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 });
            match rustix::event::poll(&mut [PollFd::new(&self.handle, PollFlags::IN)], Some(&left)) {
                Ok(ready) => return ready > 0,
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return false,
            }
        }
    }

    fn send(&self, signal: Signal) {
        // It fails only where the process has ended, which is what we wait for next.
        let _ = rustix::process::pidfd_send_signal(&self.handle, signal);
    }

    /// Asks it to end, and kills it when it has not done so in time.
    pub(crate) fn end(&self, gracefully: Duration) -> Result<()> {
        self.send(Signal::TERM);
        if self.ended_within(gracefully) { Ok(()) } else { self.kill() }
    }

    /// Kills it, and waits until it is gone.
    pub(crate) fn kill(&self) -> Result<()> {
        const GONE_WITHIN: Duration = Duration::from_secs(5);
        self.send(Signal::KILL);
        if self.ended_within(GONE_WITHIN) {
            return Ok(());
        }
        let subject = format!("process {} ({})", self.pid, self.words.first().map_or("", String::as_str));
        let detail = format!("it is not gone after {} s: a write of its waits for its disk", GONE_WITHIN.as_secs());
        Err(PortError::new(ErrorKind::TimedOut, "end", subject, detail).advise("see to that disk; then try again"))
    }
}

/// Hands the listening socket that is its standard input to the program that it becomes, as systemd hands sockets over.
const HAND_OVER: &str = r#"exec 3<&0 </dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec "$0" "$@""#;

/// Starts a program that puts itself into the background once it is ready, and waits until then.
pub(crate) fn start(
    program: &str,
    package: &str,
    words: &[String],
    socket: Option<TcpListener>,
    within: Duration,
) -> Result<()> {
    let wrong = |kind, detail: String| PortError::new(kind, "start", program, detail);
    let missing = |detail| wrong(ErrorKind::Unavailable, detail).advise(format!("install the package {package}"));
    let mut command = match socket {
        None => Command::new(program),
        Some(socket) => {
            let mut shell = Command::new("sh");
            shell.args(["-c", HAND_OVER, program]).stdin(OwnedFd::from(socket));
            shell
        }
    };
    command.args(words).env("PATH", PATH).env("LC_ALL", "C").current_dir("/");
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| missing(error.to_string()))?;
    let until = Instant::now() + within;
    let status = loop {
        match child.try_wait().map_err(|error| wrong(ErrorKind::Unavailable, error.to_string()))? {
            Some(status) => break status,
            None if Instant::now() < until => pause(),
            None => {
                drop(child.kill());
                drop(child.wait());
                return Err(wrong(ErrorKind::TimedOut, format!("it is not ready after {} s", within.as_secs())));
            }
        }
    };
    // What the shell says of a program that is not there.
    const NOT_FOUND: i32 = 127;
    match status.code() {
        Some(0) => return Ok(()),
        Some(NOT_FOUND) => return Err(missing("it is not installed".to_owned())),
        _ => {}
    }
    let mut said = String::new();
    if let Some(mut from) = child.stderr.take() {
        drop(io::Read::read_to_string(&mut from, &mut said));
    }
    Err(wrong(ErrorKind::Unavailable, said.trim().replace('\n', "; ")))
}

fn pause() {
    std::thread::sleep(LOOK_EVERY);
}

#[cfg(test)]
mod tests;
