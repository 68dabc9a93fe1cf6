//! The one error of all ports: what was tried, on what, what came of it, and what to do next.

use serde::{Deserialize, Serialize};

/// What kind of failure, hence what the caller does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorKind {
    /// The thing does not exist.
    NotFound,
    /// The request can never succeed as it is.
    Invalid,
    /// Refused because of the state things are in: somebody else holds it, it is in use, it belongs to somebody else.
    Refused,
    /// No room, no memory, no free address.
    Exhausted,
    /// Could not be reached, or failed for now. **The effect may or may not have happened**: repeat it, steps are
    /// idempotent.
    Unavailable,
    /// No answer in time. As for [`ErrorKind::Unavailable`], the effect is unknown.
    TimedOut,
}

/// A failed call of a port.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("cannot {action} {subject}: {detail}{}", .next.as_ref().map(|next| format!(" ({next})")).unwrap_or_default())]
pub struct PortError {
    /// What kind.
    pub kind: ErrorKind,
    /// What was tried, as a verb: `mount`, `create container`.
    pub action: String,
    /// On what.
    pub subject: String,
    /// What came of it.
    pub detail: String,
    /// What to do next, for a person.
    pub next: Option<String>,
}

/// Short for results of ports.
pub type Result<T> = std::result::Result<T, PortError>;

impl PortError {
    /// `action` on `subject` failed.
    pub fn new(kind: ErrorKind, action: impl ToString, subject: impl ToString, detail: impl ToString) -> Self {
        Self { kind, action: action.to_string(), subject: subject.to_string(), detail: detail.to_string(), next: None }
    }

    /// With advice on what to do next.
    #[must_use]
    pub fn advise(mut self, next: impl ToString) -> Self {
        self.next = Some(next.to_string());
        self
    }

    /// True if repeating the call may help.
    pub fn may_pass(&self) -> bool {
        matches!(self.kind, ErrorKind::Unavailable | ErrorKind::TimedOut)
    }
}
