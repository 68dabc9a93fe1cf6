//! The command line, as a user or a script calls it.

use std::process::{Command, Output, Stdio};

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
