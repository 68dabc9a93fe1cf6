//! Processes of a container, as its PID 1 has them.

use std::sync::{Arc, Weak};
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use om_backend::process::{Account, Command, Ended};
use om_backend::{ErrorKind, Files, PortError, Processes, Result, Tasks};
use om_engines::Signal;
use om_member::Ports;

use super::{Client, Container, Made, Server, clock_of};
use crate::storage::Change;

/// The container's ports, which the container itself holds.
#[derive(Clone)]
struct Own(Weak<Container>);

/// The ports of the member program in the container.
pub(super) fn ports(own: Weak<Container>, made: &Made) -> Ports {
    let (shared, log, client) = (Arc::new(Own(own.clone())), own.clone(), own);
    Ports {
        files: shared.clone(),
        processes: shared,
        clock: clock_of(made),
        connect: Arc::new(move |_| Ok(Arc::new(Client(client.clone())))),
        say: Arc::new(move |text| log.upgrade().iter().for_each(|container| container.say(text))),
    }
}

impl Own {
    fn get(&self) -> Result<Arc<Container>> {
        let gone = || PortError::new(ErrorKind::Unavailable, "use", "the container", "it is gone");
        self.0.upgrade().ok_or_else(gone)
    }
}

#[async_trait]
impl Files for Own {
    async fn account(&self, user: &str) -> Result<Account> {
        self.get()?.account(user).await
    }
    async fn make_dir(&self, path: &str, account: &Account, mode: u32) -> Result<()> {
        self.get()?.make_dir(path, account, mode).await
    }
    async fn write(&self, path: &str, content: &str, account: &Account, mode: u32) -> Result<()> {
        self.get()?.write(path, content, account, mode).await
    }
    async fn grant(&self, path: &str, account: &Account, mode: u32) -> Result<()> {
        self.get()?.grant(path, account, mode).await
    }
    async fn read(&self, path: &str) -> Result<Option<String>> {
        self.get()?.read(path).await
    }
    async fn empty_dir(&self, path: &str) -> Result<()> {
        self.get()?.empty_dir(path).await
    }
    async fn link(&self, path: &str, target: &str) -> Result<()> {
        self.get()?.link(path, target).await
    }
}

#[async_trait]
impl Processes for Own {
    async fn run(&self, command: &Command, within: Duration) -> Result<Ended> {
        let container = self.get()?;
        container.runs().await;
        let name = command.argv.first().map(|path| path.rsplit('/').next().unwrap_or(path)).unwrap_or_default();
        let program = std::pin::pin!(container.program(name));
        let late = std::pin::pin!(container.made.env.sleep(within));
        match futures::future::select(program, late).await {
            futures::future::Either::Left((ended, _)) => Ok(ended),
            futures::future::Either::Right(_) => {
                Err(PortError::new(ErrorKind::TimedOut, "run", name, "it did not end in time"))
            }
        }
    }

    async fn start_server(&self, _: &Command) -> Result<()> {
        let container = self.get()?;
        container.runs().await;
        if let Some(other) = container.rival() {
            let (own, on) = (container.made.pid, &container.made.node);
            container.made.ledger.violated(&format!("containers {other} and {own} on {on} write to one volume"));
        }
        let own = container.clone();
        let number = {
            let mut state = container.lock();
            if matches!(state.server, Server::Starting(_) | Server::Up(_)) {
                return Err(PortError::new(ErrorKind::Refused, "start", "the server", "it runs"));
            }
            let number = container.made.env.now().as_micros() as u64;
            state.server = Server::Starting(number);
            number
        };
        container.made.process.spawn("server", Box::pin(async move { own.recover(number).await }));
        Ok(())
    }

    async fn signal_server(&self, signal: Signal) -> Result<()> {
        let container = self.get()?;
        if !self.server_running() {
            return Ok(());
        }
        let own = container.clone();
        let end = async move {
            if signal != Signal::Kill {
                own.runs().await;
                // What it has not written yet it writes before it ends.
                let checkpoint = Change::Write("/data/data/checkpoint".into(), String::new());
                drop(own.change(checkpoint).await);
            }
            own.server_ends(0);
        };
        container.made.process.spawn("end", Box::pin(end));
        Ok(())
    }

    async fn server_exit(&self) -> i32 {
        let Ok(container) = self.get() else { return 1 };
        std::future::poll_fn(|context| {
            let mut state = container.lock();
            match state.server {
                Server::Starting(_) | Server::Up(_) => {
                    state.waiting.push(context.waker().clone());
                    Poll::Pending
                }
                Server::Ended(code) => Poll::Ready(code),
                Server::Down => Poll::Ready(0),
            }
        })
        .await
    }

    fn server_running(&self) -> bool {
        self.0.upgrade().is_some_and(|container| {
            let server = container.lock().server;
            matches!(server, Server::Starting(_) | Server::Up(_))
        })
    }

    async fn stop_all(&self) -> Result<()> {
        let container = self.get()?;
        let mut state = container.lock();
        state.pauses += u64::from(!state.stopped);
        state.stopped = true;
        Ok(())
    }

    async fn continue_all(&self) -> Result<()> {
        let container = self.get()?;
        container.lock().stopped = false;
        container.made.host.continue_container(container.made.pid);
        Ok(())
    }
}
