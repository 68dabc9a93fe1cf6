//! Errors on the wire: `application/problem+json` (RFC 9457) with a stable code and what to do next.

use om_model::{FieldError, Invalid};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The stable word of an error: programs decide by it, never by the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// 400: the request is not well-formed.
    Malformed,
    /// 401: no token, or not the right one.
    Unauthorized,
    /// 404: there is no such path.
    NoSuchPath,
    /// 404: the thing does not exist.
    NotFound,
    /// 405: the path does not take this method.
    MethodNotAllowed,
    /// 409: refused in the state things are in.
    Conflict,
    /// 413: the body is too large.
    TooLarge,
    /// 415: the body is not JSON.
    UnsupportedMediaType,
    /// 422: fields were refused; `fields` says which, why, and what would be accepted.
    Invalid,
    /// 500: something is broken; a person must look.
    Internal,
    /// 503: cannot be done now; try again.
    Unavailable,
    /// 504: took too long; a write may have been accepted.
    TimedOut,
    /// A code that this release does not know.
    #[serde(other)]
    Unknown,
}

impl Code {
    /// The HTTP status that goes with it.
    pub const fn status(self) -> u16 {
        match self {
            Self::Malformed => 400,
            Self::Unauthorized => 401,
            Self::NoSuchPath | Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::Conflict => 409,
            Self::TooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::Invalid => 422,
            Self::Internal | Self::Unknown => 500,
            Self::Unavailable => 503,
            Self::TimedOut => 504,
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Self::Malformed => "The request is malformed",
            Self::Unauthorized => "A valid token is needed",
            Self::NoSuchPath => "There is no such path",
            Self::NotFound => "Not found",
            Self::MethodNotAllowed => "The path does not take this method",
            Self::Conflict => "Refused in the present state",
            Self::TooLarge => "The request is too large",
            Self::UnsupportedMediaType => "The body is not JSON",
            Self::Invalid => "Some fields were refused",
            Self::Internal | Self::Unknown => "Something is broken",
            Self::Unavailable => "Cannot be done now",
            Self::TimedOut => "Took too long",
        }
    }

    /// The code as it is written on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Unauthorized => "unauthorized",
            Self::NoSuchPath => "no-such-path",
            Self::NotFound => "not-found",
            Self::MethodNotAllowed => "method-not-allowed",
            Self::Conflict => "conflict",
            Self::TooLarge => "too-large",
            Self::UnsupportedMediaType => "unsupported-media-type",
            Self::Invalid => "invalid",
            Self::Internal => "internal",
            Self::Unavailable => "unavailable",
            Self::TimedOut => "timed-out",
            Self::Unknown => "unknown",
        }
    }
}

/// A field that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldProblem {
    /// The field, as a path: `volumes.data`.
    pub field: String,
    /// What is wrong with the value given.
    pub problem: String,
    /// The values that would be accepted, in words.
    pub accepted: String,
}

/// An error, RFC 9457.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// A name for the kind of problem: `urn:openmanage:problem:<code>`.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// The kind in words.
    #[serde(default)]
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened, to what, and why.
    pub detail: String,
    /// The stable word for the kind.
    pub code: Code,
    /// Fields that were refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldProblem>,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl Problem {
    /// A problem of kind `code`.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:openmanage:problem:{}", code.as_str()),
            title: code.title().to_owned(),
            status: code.status(),
            detail: detail.into(),
            code,
            fields: Vec::new(),
            next: None,
        }
    }

    /// With advice on what to do next.
    #[must_use]
    pub fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }

    /// Fields that were refused.
    pub fn invalid(invalid: &Invalid) -> Self {
        let mut problem = Self::new(Code::Invalid, invalid.to_string());
        problem.fields = invalid.fields().iter().map(FieldProblem::from).collect();
        problem
    }
}

impl From<&FieldError> for FieldProblem {
    fn from(error: &FieldError) -> Self {
        Self { field: error.field.clone(), problem: error.problem.clone(), accepted: error.accepted.clone() }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.detail)?;
        self.next.as_ref().map_or(Ok(()), |next| write!(f, "\n{next}"))
    }
}

impl std::error::Error for Problem {}
