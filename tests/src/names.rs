//! DNS, seen from outside: by Debian's `dig`.

use std::process::Command;

/// The answers of `server` (`address` or `address#port`) for `name` and record type `kind`, sorted, one a line.
///
/// # Errors
/// What dig said, if the server did not answer.
pub fn ask(server: &str, name: &str, kind: &str) -> Result<Vec<String>, String> {
    let (address, port) = server.split_once('#').unwrap_or((server, "53"));
    let arguments = ["+short", "+time=2", "+tries=1", "-p", port, &format!("@{address}"), name, kind];
    let output = Command::new("dig").args(arguments).output().expect("dig can be run");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        return Err(format!("{server} about {name} {kind}: {text}"));
    }
    let mut answers: Vec<String> = text.lines().filter(|line| !line.starts_with(';')).map(str::to_owned).collect();
    answers.sort();
    Ok(answers)
}

/// The status word of the answer: `NOERROR`, `NXDOMAIN`, `REFUSED`.
///
/// # Errors
/// What dig said, if the server did not answer.
pub fn status(server: &str, name: &str, kind: &str, transport: &str) -> Result<String, String> {
    let (address, port) = server.split_once('#').unwrap_or((server, "53"));
    let arguments = [transport, "+time=2", "+tries=1", "-p", port, &format!("@{address}"), name, kind];
    let output = Command::new("dig").args(arguments).output().expect("dig can be run");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let word = text.split("status: ").nth(1).and_then(|rest| rest.split(',').next());
    word.map(str::to_owned).ok_or(text)
}
