//! Programs that run to their end, and the one database server.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Command as StdCommand, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::{Either, join, select};
use om_backend::process::{Command, Ended, Processes};
use om_backend::{ErrorKind, PortError, Result, Tasks};
use om_engines::Signal;
use rustix::process::{Pid, Signal as KernelSignal};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use crate::everyone;
use crate::reaper::Reaper;

/// Most of a program's output that is kept; the rest is read and dropped.
const OUTPUT_KEPT: usize = 1 << 20;
/// How long output is awaited from a program that has ended: another process may hold the other end.
const OUTPUT_LINGERS: Duration = Duration::from_secs(2);
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The processes of the container.
pub struct ContainerProcesses {
    reaper: Reaper,
    tasks: Arc<dyn Tasks>,
    server: Arc<watch::Sender<Server>>,
    starting: Mutex<()>,
}

/// The database server: its pid while it runs, and how it last ended.
#[derive(Clone, Copy, Default)]
struct Server {
    pid: Option<Pid>,
    code: i32,
}

impl ContainerProcesses {
    /// Begins to reap, on a task of `tasks`. Once in a process.
    ///
    /// # Errors
    /// The signal handler cannot be set.
    pub fn new(tasks: Arc<dyn Tasks>) -> io::Result<Self> {
        let reaper = Reaper::default();
        tasks.spawn("reaper", Box::pin(reaper.reap()?));
        let server = Arc::new(watch::Sender::new(Server::default()));
        Ok(Self { reaper, tasks, server, starting: Mutex::new(()) })
    }
}

#[async_trait]
impl Processes for ContainerProcesses {
    async fn run(&self, command: &Command, within: Duration) -> Result<Ended> {
        let name = program(command)?;
        let failed = |error: io::Error| cannot("run", name, &error);
        let mut prepared = prepare(command, name);
        prepared.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let (mut child, pid, told) = self.reaper.spawn(&mut prepared).map_err(failed)?;
        // From here on, whatever happens (also that the caller loses interest), the group does not outlive this call.
        let group = Group { reaper: &self.reaper, pid };
        let stdout = receiver(child.stdout.take().map(OwnedFd::from)).map_err(failed)?;
        let stderr = receiver(child.stderr.take().map(OwnedFd::from)).map_err(failed)?;
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = {
            let reading = join(read(stdout, &mut out), read(stderr, &mut err));
            timeout(within, end_of(told, reading)).await
        };
        drop(group);
        let Ok(code) = code else {
            return Err(PortError::new(
                ErrorKind::TimedOut,
                "run",
                name,
                format!("ended after {} s", within.as_secs()),
            ));
        };
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(Ended { code, stdout: text(out), stderr: text(err) })
    }

    async fn start_server(&self, command: &Command) -> Result<()> {
        let name = program(command)?;
        let _one_at_a_time = self.starting.lock().unwrap_or_else(PoisonError::into_inner);
        if self.server_running() {
            return Err(PortError::new(ErrorKind::Refused, "start", name, "the server runs already"));
        }
        let mut prepared = prepare(command, name);
        prepared.stdin(Stdio::null());
        let (_, pid, told) = self.reaper.spawn(&mut prepared).map_err(|error| cannot("start", name, &error))?;
        self.server.send_modify(|server| server.pid = Some(pid));
        let server = self.server.clone();
        self.tasks.spawn(
            "server exit",
            Box::pin(async move {
                let code = told.await.unwrap_or(1);
                server.send_modify(|server| *server = Server { pid: None, code });
            }),
        );
        Ok(())
    }

    async fn signal_server(&self, signal: Signal) -> Result<()> {
        let pid = self.server.borrow().pid;
        if let Some(pid) = pid {
            self.reaper.signal(pid, kernel(signal));
        }
        Ok(())
    }

    async fn server_exit(&self) -> i32 {
        let mut server = self.server.subscribe();
        // The sender lives in self: it cannot be gone.
        server.wait_for(|server| server.pid.is_none()).await.map_or(1, |server| server.code)
    }

    fn server_running(&self) -> bool {
        self.server.borrow().pid.is_some()
    }

    async fn stop_all(&self) -> Result<()> {
        everyone::stop().await
    }

    async fn continue_all(&self) -> Result<()> {
        everyone::signal(KernelSignal::CONT).map_err(|error| cannot("continue", "all processes", &error))
    }
}

/// Kills the process group when dropped, if its leader has not been collected.
struct Group<'a> {
    reaper: &'a Reaper,
    pid: Pid,
}

impl Drop for Group<'_> {
    fn drop(&mut self) {
        self.reaper.kill_group(self.pid);
    }
}

fn program(command: &Command) -> Result<&str> {
    let first = command.argv.first().map(String::as_str);
    first.ok_or_else(|| PortError::new(ErrorKind::Invalid, "run", "a program", "its arguments are empty"))
}

fn prepare(command: &Command, name: &str) -> StdCommand {
    let mut prepared = StdCommand::new(name);
    let path = BTreeMap::from([("PATH".to_owned(), PATH.to_owned())]);
    prepared.args(&command.argv[1..]).env_clear().envs(path).envs(&command.env).current_dir("/").process_group(0);
    if let Some(account) = &command.account {
        // The group first: `uid` gives up the right to change it. Supplementary groups are dropped with it.
        prepared.gid(account.gid).uid(account.uid);
    }
    prepared
}

fn receiver(end: Option<OwnedFd>) -> io::Result<Receiver> {
    Receiver::from_owned_fd(end.ok_or_else(|| io::Error::other("no pipe to the program"))?)
}

/// The exit code, with the output read to its end, or for as long as it lingers.
async fn end_of(told: oneshot::Receiver<i32>, reading: impl Future) -> i32 {
    match select(told, std::pin::pin!(reading)).await {
        Either::Left((code, reading)) => {
            // Past this time the rest of the output is somebody else's.
            let _ = timeout(OUTPUT_LINGERS, reading).await;
            code
        }
        Either::Right((_, told)) => told.await,
    }
    // The reaper keeps the sending end until the process has ended.
    .unwrap_or(1)
}

async fn read(mut from: Receiver, kept: &mut Vec<u8>) {
    let mut buffer = [0; 8192];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let room = OUTPUT_KEPT.saturating_sub(kept.len());
        kept.extend_from_slice(&buffer[..length.min(room)]);
    }
}

pub(crate) fn cannot(action: &str, name: &str, error: &io::Error) -> PortError {
    match error.kind() {
        io::ErrorKind::NotFound => PortError::new(ErrorKind::NotFound, action, name, "the image has no such program")
            .advise("choose an image that holds the database server"),
        _ => PortError::new(ErrorKind::Unavailable, action, name, error),
    }
}

fn kernel(signal: Signal) -> KernelSignal {
    match signal {
        Signal::Hangup => KernelSignal::HUP,
        Signal::Interrupt => KernelSignal::INT,
        Signal::Quit => KernelSignal::QUIT,
        Signal::Terminate => KernelSignal::TERM,
        Signal::Kill => KernelSignal::KILL,
    }
}
