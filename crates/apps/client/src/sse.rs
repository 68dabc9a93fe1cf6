//! Reading server-sent events (HTML standard §9.2) from pieces of bytes.

use crate::lines::Lines;

/// An event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SseEvent {
    /// Its id, if one was given.
    pub(crate) id: Option<String>,
    /// Its type; empty for the usual one.
    pub(crate) kind: String,
    /// Its data.
    pub(crate) data: String,
}

/// Puts events together, piece by piece.
#[derive(Default)]
pub(crate) struct Parser {
    lines: Lines,
    event: SseEvent,
    has_data: bool,
}

impl Parser {
    /// Takes a piece and gives the events that it completes; an error if a line has no end.
    pub(crate) fn feed(&mut self, piece: &[u8]) -> Result<Vec<SseEvent>, String> {
        let mut events = Vec::new();
        for line in self.lines.feed(piece)? {
            events.extend(self.line(&line));
        }
        Ok(events)
    }

    fn line(&mut self, line: &str) -> Option<SseEvent> {
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return std::mem::take(&mut self.has_data).then_some(event);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => self.event.id = Some(value.to_owned()),
            "event" => value.clone_into(&mut self.event.kind),
            "data" => {
                if self.has_data {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
                self.has_data = true;
            }
            // Comments (an empty field name) and fields of later standards.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests;
