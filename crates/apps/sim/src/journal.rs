//! A real incident, run again: the events that a cluster's server noted become what befalls a simulated cluster.
//!
//! [`Journal`] is what was noted, as `openmanage events --output json` or the API give it; `schedule` is what can be done
//! again of it, and when; `acts` does it; `comparison` holds what the simulated servers note against the journal.
//!
//! **Invariant:** what cannot be done again is named, never left out in silence.

mod acts;
mod comparison;
mod schedule;

use std::sync::Arc;

use om_model::Event;
use serde::{Deserialize, Serialize};

use crate::fleet::users::subject;
use crate::fleet::{Fleet, Size};
use crate::run::{Options, Outcome, play};
use crate::weather::Rates;

pub use comparison::Comparison;
pub use schedule::{Act, Schedule};

/// Why a text is no journal.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Not what the CLI or the API gives.
    #[error("event {number} is not as `openmanage events --output json` gives it: {reason}")]
    Format {
        /// Which, from one.
        number: usize,
        /// What is wrong.
        reason: String,
    },
    /// Nothing in it.
    #[error("there are no events in it: write it with `openmanage events --output json`")]
    Empty,
}

/// An event as the API gives it. Kinds are words here: a journal may be of another version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its place in the sequence.
    #[serde(default)]
    pub cursor: String,
    /// When, RFC 3339.
    pub at: String,
    /// What kind of thing.
    pub kind: String,
    /// The service concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The member concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// The operation concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// What happened, in words.
    pub message: String,
}

/// What a cluster's server noted, oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journal {
    /// Events, and when each was in milliseconds after the first.
    entries: Vec<(u64, Entry)>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Whole {
    Page { items: Vec<Entry> },
    List(Vec<Entry>),
}

impl Journal {
    /// Reads what the CLI (an event per line) or the API (a page, or a list) gives.
    ///
    /// # Errors
    /// [`ReadError`] says which event is not as it should be.
    pub fn read(text: &str) -> Result<Self, ReadError> {
        let entries = match serde_json::from_str(text) {
            Ok(Whole::Page { items } | Whole::List(items)) => items,
            Err(_) => lines(text)?,
        };
        Self::of(entries)
    }

    fn of(entries: Vec<Entry>) -> Result<Self, ReadError> {
        let timed = entries.into_iter().enumerate().map(|(index, entry)| {
            let at: jiff::Timestamp = entry.at.parse().map_err(|error: jiff::Error| ReadError::Format {
                number: index + 1,
                reason: format!("{} is no time: {error}", entry.at),
            })?;
            Ok((at.as_millisecond(), entry))
        });
        let mut timed = timed.collect::<Result<Vec<_>, ReadError>>()?;
        timed.sort_by_key(|(at, _)| *at);
        let first = timed.first().ok_or(ReadError::Empty)?.0;
        let since = |at: i64| u64::try_from(at - first).unwrap_or(0);
        let mut journal = Self { entries: timed.into_iter().map(|(at, entry)| (since(at), entry)).collect() };
        journal.rename();
        Ok(journal)
    }

    /// What the servers of a simulated cluster noted.
    ///
    /// # Errors
    /// [`ReadError::Empty`] if they noted nothing.
    pub fn noted(events: &[Event]) -> Result<Self, ReadError> {
        Self::of(events.iter().enumerate().map(|(index, event)| entry(index, event)).collect())
    }

    /// As the CLI gives it: an event per line.
    pub fn text(&self) -> String {
        let line = |(_, entry): &(u64, Entry)| serde_json::to_string(entry).unwrap_or_default() + "\n";
        self.entries.iter().map(line).collect()
    }

    /// The first service becomes the one that simulated clients write to.
    fn rename(&mut self) {
        let Some(name) = self.entries.iter().find_map(|(_, entry)| entry.service.clone()) else { return };
        let known = subject();
        if name == known.as_str() {
            return;
        }
        for (_, entry) in &mut self.entries {
            let of_service = entry.service.as_ref() == Some(&name);
            for text in [&mut entry.service, &mut entry.member].into_iter().flatten() {
                if *text == name || (of_service && text.starts_with(&format!("{name}-"))) {
                    *text = text.replacen(&name, known.as_str(), 1);
                }
            }
            if of_service {
                entry.message = entry.message.replace(&name, known.as_str());
            }
        }
    }

    /// What can be done again.
    pub fn schedule(&self) -> Schedule {
        Schedule::of(self)
    }
}

fn lines(text: &str) -> Result<Vec<Entry>, ReadError> {
    let numbered = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let read = |(index, line)| {
        serde_json::from_str(line).map_err(|error| ReadError::Format { number: index + 1, reason: error.to_string() })
    };
    numbered.map(read).collect()
}

fn entry(index: usize, event: &Event) -> Entry {
    let at = i64::try_from(event.at.as_millis()).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    let kind = serde_json::to_value(event.kind).ok().and_then(|kind| kind.as_str().map(str::to_owned));
    Entry {
        cursor: format!("{index:032x}"),
        at: format!("{:.3}", at.unwrap_or(jiff::Timestamp::MAX)),
        kind: kind.unwrap_or_default(),
        service: event.service.as_ref().map(ToString::to_string),
        member: event.member.as_ref().map(ToString::to_string),
        operation: event.operation.as_ref().map(ToString::to_string),
        message: event.message.clone(),
    }
}

/// A journal that was run again.
#[derive(Clone, Debug)]
pub struct Replay {
    /// What came of the run.
    pub outcome: Outcome,
    /// The journal against what the simulated servers noted.
    pub comparison: Comparison,
}

/// Runs a journal again: nothing goes wrong but what it tells of; all invariants are checked, and all must become well.
pub fn replayed(journal: &Journal, options: &Options) -> Replay {
    let schedule = journal.schedule();
    let options =
        Options { rates: Rates::CALM, storm: schedule.length(), size: Some(Size::default()), for_good: 0, ..*options };
    let outcome = play(&options, |fleet: &Arc<Fleet>| {
        fleet.env.beside(fleet.clone().writers(options.storm));
        fleet.enact(&schedule);
    });
    let comparison = Comparison::of(journal, Journal::noted(&outcome.events).ok().as_ref());
    Replay { outcome, comparison }
}

#[cfg(test)]
mod tests;
