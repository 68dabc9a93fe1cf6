//! Verbs as state machines without I/O: actions go out, outcomes come in.

use std::collections::BTreeMap;
use std::time::Duration;

/// Something to be carried out in a member's container, as root unless `as_engine` says otherwise. Paths are absolute
/// paths in the container.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each variant's own words name its fields")]
pub enum Action {
    /// Make a directory and its parents, owned by the engine's user, with this mode. Done also if it exists.
    MakeDir { path: String, mode: u32 },
    /// Write a file whole (to a temporary name, synced, renamed), owned by the engine's user, with this mode.
    WriteFile { path: String, content: String, mode: u32 },
    /// Give an existing file to `root:<engine's group>` with this mode. For secrets, which the engine reads only.
    GrantFile { path: String, mode: u32 },
    /// Read a file; [`Outcome::File`].
    ReadFile { path: String },
    /// Remove everything in a directory, keeping the directory. Done also if it does not exist.
    EmptyDir { path: String },
    /// Make a symbolic link, replacing a former one.
    Link { path: String, target: String },
    /// Run a program to its end; [`Outcome::Ran`]. It is ended after `within`.
    Run { argv: Vec<String>, env: BTreeMap<String, String>, as_engine: bool, within: Duration },
    /// Ask the local database server; [`Outcome::Rows`].
    Query { sql: String },
    /// Start the database server as the engine's user, if it is not running.
    StartServer { argv: Vec<String>, env: BTreeMap<String, String> },
    /// Send the database server a signal.
    SignalServer { signal: Signal },
    /// Wait until the database server has exited; [`Outcome::TimedOut`] if it has not.
    AwaitServerExit { within: Duration },
    /// Do nothing for a while.
    Pause { length: Duration },
    /// Say what is going on: shown to the user as the member's progress, and logged.
    Report { text: String },
}

/// Signals that engines use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGHUP.
    Hangup,
    /// SIGINT.
    Interrupt,
    /// SIGQUIT.
    Quit,
    /// SIGTERM.
    Terminate,
    /// SIGKILL.
    Kill,
}

/// What came of the last action.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each variant's own words name its fields")]
pub enum Outcome {
    /// There was none: the machine begins.
    Begin,
    /// Done, with nothing to tell.
    Done,
    /// The file's content; `None` if there is no such file.
    File(Option<String>),
    /// The program exited with this code (128 + the signal's number if a signal ended it).
    Ran { code: i32, stdout: String, stderr: String },
    /// The rows, each a list of columns as text.
    Rows(Vec<Vec<Option<String>>>),
    /// It took too long.
    TimedOut,
    /// It could not be done: why.
    Failed(String),
}

/// What a machine wants next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next<T> {
    /// Carry this out and come back with its outcome.
    Do(Action),
    /// The verb is finished.
    Finished(T),
    /// The verb cannot be finished: why, and what to do.
    Failed(String),
}

/// A verb in progress.
pub trait Machine: Send {
    /// What the verb yields.
    type Output;

    /// Takes the outcome of the last action ([`Outcome::Begin`] at first) and says what is next.
    fn next(&mut self, last: Outcome) -> Next<Self::Output>;
}

/// Carries `machine` to its end with `carry_out` for its actions; for tests.
///
/// # Errors
/// The machine's own failure; or that it wanted more than `limit` actions.
pub fn run_to_end<T>(
    machine: &mut dyn Machine<Output = T>,
    limit: usize,
    mut carry_out: impl FnMut(&Action) -> Outcome,
) -> Result<T, String> {
    let mut last = Outcome::Begin;
    for _ in 0..limit {
        match machine.next(last) {
            Next::Do(action) => last = carry_out(&action),
            Next::Finished(value) => return Ok(value),
            Next::Failed(reason) => return Err(reason),
        }
    }
    Err(format!("not finished after {limit} actions"))
}
