//! The command line, as a user or a script calls it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::World;

/// What a call came to.
#[derive(Debug)]
pub struct Called {
    /// The exit code; 128 + the signal's number when a signal ended it.
    pub code: i32,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Called {
    /// What this output tells.
    pub fn of(output: &Output) -> Self {
        use std::os::unix::process::ExitStatusExt;
        Self {
            code: output.status.code().unwrap_or_else(|| 128 + output.status.signal().unwrap_or(0)),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// What it printed, if it succeeded.
    ///
    /// # Panics
    /// If it failed, with what it said.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "failed:\n{}{}", self.stdout, self.stderr);
        self.stdout
    }

    /// What it complained about.
    ///
    /// # Panics
    /// If it succeeded, or crashed instead of complaining.
    #[track_caller]
    pub fn refused(self) -> String {
        assert!(self.code != 0, "succeeded:\n{}", self.stdout);
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        assert!(self.code < 128 && !self.stderr.trim().is_empty(), "no word of why: {self:?}");
        self.stderr
    }
}

impl World {
    /// The CLI with these arguments, told where the server of this world is.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(self.server_flags()).arg("--state").arg(&self.state);
        command.args(arguments).stdin(Stdio::null());
        command
    }

    /// Calls the CLI and waits for it.
    ///
    /// # Panics
    /// If it cannot be run at all.
    #[track_caller]
    pub fn call(&self, arguments: &[&str]) -> Called {
        Called::of(&self.command(arguments).output().expect("the CLI can be run"))
    }

    /// Calls the CLI several times at once and waits for all.
    ///
    /// # Panics
    /// If it cannot be run at all.
    pub fn call_at_once(&self, calls: &[Vec<&str>]) -> Vec<Called> {
        let begin =
            |arguments: &Vec<&str>| self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let begun: Vec<_> = calls.iter().map(|arguments| begin(arguments).expect("the CLI can be run")).collect();
        begun.into_iter().map(|call| Called::of(&call.wait_with_output().expect("the CLI ends"))).collect()
    }

    /// Calls the CLI for JSON.
    ///
    /// # Panics
    /// If it fails, or prints something else.
    #[track_caller]
    pub fn json(&self, arguments: &[&str]) -> Value {
        let printed = self.call(&[&["--output", "json"], arguments].concat()).ok();
        serde_json::from_str(&printed)
            .unwrap_or_else(|error| panic!("{arguments:?} printed no JSON ({error}):\n{printed}"))
    }

    /// The values of a call that prints one a line.
    ///
    /// # Panics
    /// As [`Self::json`].
    #[track_caller]
    pub fn rows_of_lines(&self, arguments: &[&str]) -> Vec<Value> {
        let printed = self.call(&[&["--output", "json"], arguments].concat()).ok();
        let value = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        printed.lines().map(value).collect()
    }

    /// Calls the CLI and reads along what it prints.
    ///
    /// # Panics
    /// If it cannot be run.
    pub fn follow(&self, arguments: &[&str]) -> Following {
        let mut child = self.command(arguments).stdout(Stdio::piped()).spawn().expect("the CLI can be run");
        let printed = BufReader::new(child.stdout.take().expect("stdout is a pipe"));
        let (send, lines) = channel();
        std::thread::spawn(move || printed.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        Following { child, lines }
    }

    /// The rows of a listing.
    ///
    /// # Panics
    /// As [`Self::json`].
    #[track_caller]
    pub fn rows(&self, arguments: &[&str]) -> Vec<Value> {
        match self.json(arguments) {
            Value::Array(rows) => rows,
            Value::Object(mut page) => match page.remove("items") {
                Some(Value::Array(rows)) => rows,
                _ => panic!("{arguments:?} printed no list: {page:?}"),
            },
            other => panic!("{arguments:?} printed no list: {other}"),
        }
    }
}

/// A call that goes on; ended when dropped.
pub struct Following {
    child: Child,
    lines: Receiver<String>,
}

impl Following {
    /// The next line that has these words in it.
    ///
    /// # Panics
    /// If none comes within 20 seconds.
    #[track_caller]
    pub fn until(&mut self, words: &str) -> String {
        let began = Instant::now();
        let mut seen = Vec::new();
        loop {
            let left = Duration::from_secs(20).saturating_sub(began.elapsed());
            match self.lines.recv_timeout(left) {
                Ok(line) if line.contains(words) => return line,
                Ok(line) => seen.push(line),
                Err(error) => panic!("{words:?} does not come ({error}); what came: {seen:#?}"),
            }
        }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
