//! Programs run to their end, with a limit, their output as the result.

use std::process::{Command, Stdio};

/// Seconds that any program may take: what is cut off hangs, and a test must not hang with it.
const LIMIT: &str = "120";

/// Runs a program on the machine. Yields its output, trimmed.
///
/// # Errors
/// The program and what it printed on its standard error, if it failed or took more than two minutes.
pub fn run(words: &[&str]) -> Result<String, String> {
    let mut command = Command::new("timeout");
    command.args(["--kill-after=5", LIMIT]).args(words).stdin(Stdio::null());
    let output = command.output().map_err(|error| format!("{}: {error}", words[0]))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(format!("{}: {} {}", words.join(" "), output.status, text(&output.stderr)))
    }
}

/// The same, where failure means that the test bed is broken.
///
/// # Panics
/// If the program fails.
#[track_caller]
pub(super) fn must(words: &[&str]) -> String {
    run(words).unwrap_or_else(|error| panic!("{error}"))
}
