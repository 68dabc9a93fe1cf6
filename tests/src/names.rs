//! DNS, seen from outside: by Debian's `dig`.

use std::net::UdpSocket;
use std::process::Command;
use std::time::Duration;

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

/// How many addresses `server` (an address) has for `name`, asked with one datagram: cheap enough to ask a thousand
/// times a second. None also if it does not answer.
///
/// # Panics
/// If this machine has no socket to ask with.
pub fn answers(server: &str, name: &str) -> u16 {
    let mut question = vec![0x27, 0x04, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        question.push(u8::try_from(label.len()).expect("a label is short"));
        question.extend(label.bytes());
    }
    question.extend([0, 0, 1, 0, 1]);
    let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
    socket.set_read_timeout(Some(Duration::from_millis(500))).expect("a time-out can be set");
    let mut answer = [0; 512];
    let asked = socket.send_to(&question, (server, 53)).and_then(|_| socket.recv(&mut answer));
    if asked.is_ok_and(|length| length >= 12) { u16::from_be_bytes([answer[6], answer[7]]) } else { 0 }
}
