//! The member socket: both ends of the line between the agent and the program that runs as PID 1 in a container.
//!
//! Main pieces: [`MemberSocket`] (the agent's end, a [`MemberChannel`](om_backend::MemberChannel)), [`Listener`] (the
//! member program's end). One JSON request on a line, one JSON reply on a line, then the connection closes.
//!
//! **Architecture invariant:** neither end waits for ever, and neither reads more than [`LINE_MAX`] bytes.

#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, reason = "an adapter of the system: its time-outs and pauses are real")]

mod client;
mod listener;
#[cfg(test)]
mod tests;

pub use client::MemberSocket;
pub use listener::{Answer, Listener};

use std::io;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};

/// Longest line.
pub const LINE_MAX: u64 = 256 * 1024;

/// Reads one line; an error if the other end closes before it is whole, or it is too long.
async fn read_line(from: impl AsyncRead + Unpin) -> io::Result<String> {
    let mut line = String::new();
    BufReader::new(from.take(LINE_MAX)).read_line(&mut line).await?;
    if !line.ends_with('\n') {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the other end closed within a line"));
    }
    Ok(line)
}
