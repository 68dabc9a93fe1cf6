//! A service's output as lines.

use bollard::container::LogOutput;
use bollard::errors::Error;
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};
use om_backend::{LogLine, Result};

use crate::client::failed;

/// Longest line handed on whole; a longer one is cut there.
const LINE_MAX: usize = 64 << 10;

/// What has come of a line without its end, for each of the outputs.
#[derive(Default)]
struct Open {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

fn line(stderr: bool, bytes: &mut Vec<u8>) -> LogLine {
    let text = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    let line = LogLine { stderr, text: String::from_utf8_lossy(text).into_owned() };
    bytes.clear();
    line
}

impl Open {
    fn take(&mut self, stderr: bool, piece: &[u8]) -> Vec<LogLine> {
        let open = if stderr { &mut self.stderr } else { &mut self.stdout };
        let mut ready = Vec::new();
        for byte in piece {
            if *byte != b'\n' {
                open.push(*byte);
            }
            if *byte == b'\n' || open.len() >= LINE_MAX {
                ready.push(line(stderr, open));
            }
        }
        ready
    }

    /// What is left without a line end when the output ends is a line too.
    fn end(&mut self) -> Vec<LogLine> {
        let outputs = [(false, &mut self.stdout), (true, &mut self.stderr)];
        outputs.into_iter().filter(|(_, open)| !open.is_empty()).map(|(stderr, open)| line(stderr, open)).collect()
    }
}

/// Lines of `source`, the output of the deployment `name`; a failure ends them.
pub(crate) fn lines<S>(name: String, source: S) -> BoxStream<'static, Result<LogLine>>
where
    S: Stream<Item = std::result::Result<LogOutput, Error>> + Send + 'static,
{
    let reading = (Open::default(), Some(Box::pin(source)));
    let pieces = stream::unfold((name, reading), async |(name, (mut open, source))| {
        let mut source = source?;
        let (ready, source) = match source.next().await {
            Some(Ok(LogOutput::StdErr { message })) => (open.take(true, &message), Some(source)),
            Some(Ok(other)) => (open.take(false, &other.into_bytes()), Some(source)),
            Some(Err(error)) => {
                let mut ready: Vec<_> = open.end().into_iter().map(Ok).collect();
                ready.push(Err(failed("read the output of", &name, error)));
                return Some((ready, (name, (open, None))));
            }
            None => (open.end(), None),
        };
        Some((ready.into_iter().map(Ok).collect(), (name, (open, source))))
    });
    pieces.flat_map(stream::iter).boxed()
}

#[cfg(test)]
mod tests;
