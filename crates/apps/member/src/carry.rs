//! Carries an engine's actions out.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::{Either, select};
use om_backend::process::{Account, Command};
use om_backend::{EngineClient, ErrorKind, PortError, Result};
use om_engines::{Action, Machine, Next, Outcome};

use crate::board::Board;
use crate::lease::Lease;
use crate::ports::Ports;

/// The hands of one engine's verbs.
pub(crate) struct Carrier<'a> {
    pub(crate) ports: &'a Ports,
    pub(crate) board: &'a Board,
    /// Nothing is carried out without it.
    pub(crate) lease: &'a Lease,
    /// The engine's user in this image.
    pub(crate) account: Account,
    /// The client of the local server.
    pub(crate) client: std::sync::Arc<dyn EngineClient>,
}

impl Carrier<'_> {
    /// Carries a verb to its end. It may be dropped at any point: what it was running is ended.
    pub(crate) async fn drive<T>(&self, mut machine: Box<dyn Machine<Output = T>>) -> std::result::Result<T, String> {
        let mut last = Outcome::Begin;
        loop {
            match machine.next(last) {
                Next::Do(action) => last = self.carry_out(action).await,
                Next::Finished(value) => return Ok(value),
                Next::Failed(reason) => return Err(reason),
            }
        }
    }

    async fn carry_out(&self, action: Action) -> Outcome {
        // Between this and the beginning of the action nothing else gets its turn.
        self.lease.held(&*self.ports.clock).await;
        let files = &self.ports.files;
        match action {
            Action::MakeDir { path, mode } => done(files.make_dir(&path, &self.account, mode).await),
            Action::WriteFile { path, content, mode } => done(files.write(&path, &content, &self.account, mode).await),
            Action::GrantFile { path, mode } => {
                let account = Account { uid: 0, gid: self.account.gid };
                done(files.grant(&path, &account, mode).await)
            }
            Action::ReadFile { path } => files.read(&path).await.map_or_else(failed, Outcome::File),
            Action::EmptyDir { path } => done(files.empty_dir(&path).await),
            Action::Link { path, target } => done(files.link(&path, &target).await),
            Action::Run { argv, env, as_engine, within } => self.run(argv, env, as_engine, within).await,
            Action::Query { sql } => self.client.query(&sql).await.map_or_else(failed, Outcome::Rows),
            Action::StartServer { argv, env } => self.start_server(argv, env).await,
            Action::SignalServer { signal } => done(self.ports.processes.signal_server(signal).await),
            Action::AwaitServerExit { within } => self.await_exit(within).await,
            Action::Pause { length } => {
                self.ports.clock.sleep(length).await;
                Outcome::Done
            }
            Action::Report { text } => {
                self.board.tell(text);
                Outcome::Done
            }
        }
    }

    async fn run(
        &self,
        argv: Vec<String>,
        env: BTreeMap<String, String>,
        as_engine: bool,
        within: Duration,
    ) -> Outcome {
        let account = as_engine.then(|| self.account.clone());
        match self.ports.processes.run(&Command { argv, env, account }, within).await {
            Ok(ended) => Outcome::Ran { code: ended.code, stdout: ended.stdout, stderr: ended.stderr },
            Err(error) => failed(error),
        }
    }

    async fn start_server(&self, argv: Vec<String>, env: BTreeMap<String, String>) -> Outcome {
        if self.ports.processes.server_running() {
            return Outcome::Done;
        }
        self.board.started();
        let command = Command { argv, env, account: Some(self.account.clone()) };
        done(self.ports.processes.start_server(&command).await)
    }

    async fn await_exit(&self, within: Duration) -> Outcome {
        // A server that is stopped cannot end: that time is not held against it.
        let patience = std::pin::pin!(self.lease.sleep(&*self.ports.clock, within));
        match select(self.ports.processes.server_exit(), patience).await {
            Either::Left(_) => Outcome::Done,
            Either::Right(_) => Outcome::TimedOut,
        }
    }
}

fn done(result: Result<()>) -> Outcome {
    result.map_or_else(failed, |()| Outcome::Done)
}

fn failed(error: PortError) -> Outcome {
    if error.kind == ErrorKind::TimedOut { Outcome::TimedOut } else { Outcome::Failed(error.to_string()) }
}
