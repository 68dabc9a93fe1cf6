//! What can come of a request.

use om_backend::PortError;
use om_model::Invalid;
use om_planning::Refusal;

/// Why a request was not carried out. Nothing was touched, unless it says so.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Fields of the request are not acceptable.
    #[error("{0}")]
    Invalid(#[from] Invalid),
    /// Something named in the request does not exist.
    #[error("{what} {name} does not exist{}", .next.as_ref().map(|next| format!(" ({next})")).unwrap_or_default())]
    NotFound {
        /// What kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
        /// What to do next.
        next: Option<String>,
    },
    /// The request does not fit the state things are in.
    #[error("{detail} ({next})")]
    Conflict {
        /// What is in the way.
        detail: String,
        /// What to do next.
        next: String,
    },
    /// Something needed does not answer; try again. A write may have been applied: asking twice is asking once.
    #[error("{0}")]
    Unavailable(String),
    /// Stored data is not what it should be. A person must look.
    #[error("{0}")]
    Broken(String),
}

impl ControlError {
    pub(crate) fn not_found(what: &'static str, name: impl ToString) -> Self {
        Self::NotFound { what, name: name.to_string(), next: None }
    }

    pub(crate) fn service(name: impl ToString) -> Self {
        let next = Some("`openmanage list` shows the services there are".into());
        Self::NotFound { what: "service", name: name.to_string(), next }
    }
}

impl From<om_controldb::Error> for ControlError {
    fn from(error: om_controldb::Error) -> Self {
        use om_controldb::ErrorKind;
        match error.kind {
            ErrorKind::Unavailable => Self::Unavailable(error.to_string()),
            ErrorKind::Conflict => {
                Self::Conflict { detail: error.to_string(), next: "somebody changed it meanwhile: try again".into() }
            }
            ErrorKind::Invalid | ErrorKind::Corrupt => Self::Broken(error.to_string()),
        }
    }
}

impl From<PortError> for ControlError {
    fn from(error: PortError) -> Self {
        use om_backend::ErrorKind;
        match error.kind {
            ErrorKind::Unavailable | ErrorKind::TimedOut | ErrorKind::Exhausted => Self::Unavailable(error.to_string()),
            ErrorKind::NotFound => Self::NotFound { what: "object", name: error.to_string(), next: error.next },
            ErrorKind::Refused => {
                Self::Conflict { detail: error.detail, next: error.next.unwrap_or_else(|| "try again later".into()) }
            }
            ErrorKind::Invalid => Self::Broken(error.to_string()),
        }
    }
}

impl From<Refusal> for ControlError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Invalid(invalid) => Self::Invalid(invalid),
            Refusal::Conflict { detail, next } => Self::Conflict { detail, next },
            Refusal::NotFound(name) => Self::service(name),
        }
    }
}
