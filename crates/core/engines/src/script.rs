//! Machines written as straight-line code: a coroutine whose only way to the world is the next [`Action`].
//!
//! Main pieces: [`Script`] (an `async` block that is a [`Machine`]), [`Hands`] (what the block does things with). There
//! is no runtime and no waker: the block waits for exactly one thing, the outcome of the action it asked for.
//!
//! **Invariant:** the same outcomes give the same actions; a script holds nothing but its own variables.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::machine::{Action, Machine, Next, Outcome, Signal};

/// Rows of a query: columns as text.
pub type Rows = Vec<Vec<Option<String>>>;

/// How a program that a script ran has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// Its exit code, or 128 + the signal's number.
    pub code: i32,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

/// A program to run: its arguments and environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// Its environment.
    pub env: BTreeMap<String, String>,
}

/// A verb written as an `async` block.
pub struct Script<T> {
    body: Pin<Box<dyn Future<Output = Result<T, String>> + Send>>,
    slot: Arc<Mutex<Slot>>,
}

/// What passes between the block and whoever drives it.
#[derive(Default)]
struct Slot {
    wanted: Option<Action>,
    outcome: Option<Outcome>,
}

/// What a script does things with. Its failures are sentences: what was tried and what came of it.
#[derive(Clone)]
pub struct Hands {
    slot: Arc<Mutex<Slot>>,
}

impl<T> Script<T> {
    /// The machine that runs `body`.
    pub fn new<F>(body: impl FnOnce(Hands) -> F) -> Self
    where
        F: Future<Output = Result<T, String>> + Send + 'static,
    {
        let slot = Arc::new(Mutex::new(Slot::default()));
        Self { body: Box::pin(body(Hands { slot: slot.clone() })), slot }
    }
}

impl<T> Machine for Script<T> {
    type Output = T;

    fn next(&mut self, last: Outcome) -> Next<T> {
        lock(&self.slot).outcome = Some(last);
        match self.body.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(value)) => Next::Finished(value),
            Poll::Ready(Err(reason)) => Next::Failed(reason),
            Poll::Pending => match lock(&self.slot).wanted.take() {
                Some(action) => Next::Do(action),
                None => Next::Failed("the verb waits for something that is not an action (a defect)".into()),
            },
        }
    }
}

fn lock(slot: &Mutex<Slot>) -> std::sync::MutexGuard<'_, Slot> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hands {
    /// Has `action` carried out.
    pub async fn act(&self, action: Action) -> Outcome {
        let mut action = Some(action);
        std::future::poll_fn(|_| {
            let mut slot = lock(&self.slot);
            if let Some(action) = action.take() {
                // Whatever lies there answered the action before this one, or is the beginning.
                slot.outcome = None;
                slot.wanted = Some(action);
                return Poll::Pending;
            }
            slot.outcome.take().map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    /// Has `action` carried out and takes anything but success as a failure.
    async fn done(&self, action: Action, what: String) -> Result<(), String> {
        match self.act(action).await {
            Outcome::Failed(reason) => Err(format!("{what}: {reason}")),
            Outcome::TimedOut => Err(format!("{what}: it took too long")),
            _ => Ok(()),
        }
    }

    /// [`Action::MakeDir`].
    pub async fn make_dir(&self, path: &str, mode: u32) -> Result<(), String> {
        self.done(Action::MakeDir { path: path.into(), mode }, format!("cannot make the directory {path}")).await
    }

    /// [`Action::WriteFile`].
    pub async fn write(&self, path: &str, content: impl Into<String>, mode: u32) -> Result<(), String> {
        let action = Action::WriteFile { path: path.into(), content: content.into(), mode };
        self.done(action, format!("cannot write {path}")).await
    }

    /// [`Action::GrantFile`].
    pub async fn grant(&self, path: &str, mode: u32) -> Result<(), String> {
        self.done(Action::GrantFile { path: path.into(), mode }, format!("cannot give the server access to {path}"))
            .await
    }

    /// [`Action::ReadFile`]: `None` if there is no such file.
    pub async fn read(&self, path: &str) -> Result<Option<String>, String> {
        match self.act(Action::ReadFile { path: path.into() }).await {
            Outcome::File(content) => Ok(content),
            other => Err(format!("cannot read {path}: {}", unexpected(&other))),
        }
    }

    /// [`Action::EmptyDir`].
    pub async fn empty_dir(&self, path: &str) -> Result<(), String> {
        self.done(Action::EmptyDir { path: path.into() }, format!("cannot empty {path}")).await
    }

    /// Runs a program as the engine's user; a failure only if it could not be run or did not end in time.
    pub async fn run(&self, program: &Program, within: Duration) -> Result<Ran, String> {
        let name = program.argv.first().cloned().unwrap_or_default();
        let action = Action::Run { argv: program.argv.clone(), env: program.env.clone(), as_engine: true, within };
        match self.act(action).await {
            Outcome::Ran { code, stdout, stderr } => Ok(Ran { code, stdout, stderr }),
            Outcome::TimedOut => Err(format!("{name} did not end within {} s", within.as_secs())),
            other => Err(format!("cannot run {name}: {}", unexpected(&other))),
        }
    }

    /// [`Action::Query`].
    pub async fn query(&self, sql: impl Into<String>) -> Result<Rows, String> {
        match self.act(Action::Query { sql: sql.into() }).await {
            Outcome::Rows(rows) => Ok(rows),
            other => Err(unexpected(&other)),
        }
    }

    /// [`Action::StartServer`].
    pub async fn start_server(&self, program: &Program) -> Result<(), String> {
        let action = Action::StartServer { argv: program.argv.clone(), env: program.env.clone() };
        self.done(action, "cannot start the database server".into()).await
    }

    /// [`Action::SignalServer`].
    pub async fn signal(&self, signal: Signal) -> Result<(), String> {
        self.done(Action::SignalServer { signal }, format!("cannot send {signal:?} to the database server")).await
    }

    /// [`Action::AwaitServerExit`]: true once the server has exited.
    pub async fn exited(&self, within: Duration) -> Result<bool, String> {
        match self.act(Action::AwaitServerExit { within }).await {
            Outcome::TimedOut => Ok(false),
            Outcome::Failed(reason) => Err(format!("cannot wait for the database server: {reason}")),
            _ => Ok(true),
        }
    }

    /// [`Action::Pause`].
    pub async fn pause(&self, length: Duration) {
        self.act(Action::Pause { length }).await;
    }

    /// [`Action::Report`].
    pub async fn report(&self, text: impl Into<String>) {
        self.act(Action::Report { text: text.into() }).await;
    }
}

fn unexpected(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Failed(reason) => reason.clone(),
        Outcome::TimedOut => "it took too long".into(),
        other => format!("an answer of the wrong kind: {other:?}"),
    }
}
