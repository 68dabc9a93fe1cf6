//! A container's output as lines.

use std::collections::VecDeque;
use std::pin::Pin;

use bollard::container::LogOutput;
use bollard::errors::Error;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};
use om_backend::{LogLine, Result};

use crate::client::failed;

/// Longest line handed on whole; a longer one is cut there.
const LINE_MAX: usize = 64 << 10;

/// Cuts the pieces of both outputs into lines.
#[derive(Default)]
struct Lines {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    ready: VecDeque<LogLine>,
}

fn line(stderr: bool, bytes: &[u8]) -> LogLine {
    let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    LogLine { stderr, text: String::from_utf8_lossy(bytes).into_owned() }
}

impl Lines {
    fn take(&mut self, stderr: bool, piece: &[u8]) {
        let open = if stderr { &mut self.stderr } else { &mut self.stdout };
        for byte in piece {
            if *byte != b'\n' {
                open.push(*byte);
            }
            if *byte == b'\n' || open.len() >= LINE_MAX {
                self.ready.push_back(line(stderr, open));
                open.clear();
            }
        }
    }

    /// The output has ended: what is left without a line end is a line too.
    fn end(&mut self) {
        for (stderr, open) in [(false, &mut self.stdout), (true, &mut self.stderr)] {
            if !open.is_empty() {
                self.ready.push_back(line(stderr, &std::mem::take(open)));
            }
        }
    }
}

fn piece(output: LogOutput) -> (bool, Bytes) {
    match output {
        LogOutput::StdErr { message } => (true, message),
        LogOutput::StdOut { message } | LogOutput::StdIn { message } | LogOutput::Console { message } => {
            (false, message)
        }
    }
}

struct Reading<S> {
    source: Pin<Box<S>>,
    lines: Lines,
    ended: bool,
}

/// Lines of `source`, the output of the container `name`.
pub(crate) fn lines<S>(name: String, source: S) -> BoxStream<'static, Result<LogLine>>
where
    S: Stream<Item = std::result::Result<LogOutput, Error>> + Send + 'static,
{
    let reading = Reading { source: Box::pin(source), lines: Lines::default(), ended: false };
    stream::unfold((name, reading), async |(name, mut reading)| {
        loop {
            if let Some(line) = reading.lines.ready.pop_front() {
                return Some((Ok(line), (name, reading)));
            }
            if reading.ended {
                return None;
            }
            match reading.source.next().await {
                Some(Ok(output)) => {
                    let (stderr, bytes) = piece(output);
                    reading.lines.take(stderr, &bytes);
                }
                Some(Err(error)) => {
                    reading.ended = true;
                    reading.lines.end();
                    return Some((Err(failed("read the output of", &name, error)), (name, reading)));
                }
                None => {
                    reading.ended = true;
                    reading.lines.end();
                }
            }
        }
    })
    .boxed()
}

#[cfg(test)]
mod tests;
