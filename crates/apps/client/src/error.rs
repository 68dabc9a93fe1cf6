//! What went wrong between us and the server, and what to do next.

use om_api::{Code, Problem};

/// A failed call.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The server answered with a problem.
    #[error("{0}")]
    Problem(Box<Problem>),
    /// The server was not reached, or the connection broke. A write may have been accepted.
    #[error("cannot reach the server at {server}: {detail}\n{next}")]
    Unreachable {
        /// Its address.
        server: String,
        /// What the network said.
        detail: String,
        /// What to do next.
        next: String,
    },
    /// The answer is not one of this API.
    #[error(
        "the server at {server} gave an answer that is not OpenManage's: {detail}\nis it OpenManage, and of a release that fits this client?"
    )]
    Protocol {
        /// Its address.
        server: String,
        /// What is wrong with the answer.
        detail: String,
    },
    /// The client's own settings are no good.
    #[error("{0}")]
    Settings(String),
}

impl ClientError {
    /// The server's code, if it answered.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Problem(problem) => Some(problem.code),
            _ => None,
        }
    }

    /// True if the same request may succeed later.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Problem(problem) => matches!(problem.code, Code::Unavailable | Code::TimedOut),
            Self::Unreachable { .. } => true,
            Self::Protocol { .. } | Self::Settings(_) => false,
        }
    }

    pub(crate) fn unreachable(server: &crate::ServerAddress, error: &reqwest::Error) -> Self {
        let detail = innermost(error);
        let next = if error.is_connect() && detail.contains("refused") {
            "is the server running? start it with `openmanage up`".to_owned()
        } else if error.is_connect() && server.is_https() && !detail.contains("resolve") {
            format!("is it TLS that is spoken there? if not, write http://{}:{}", server.host(), server.port())
        } else if error.is_connect() {
            "check the address, and that the name can be resolved: `openmanage dns resolve NAME`".to_owned()
        } else if error.is_timeout() {
            "it took too long; look at `openmanage operations list` before repeating a change".to_owned()
        } else {
            "the connection broke; look at `openmanage operations list` before repeating a change".to_owned()
        };
        Self::Unreachable { server: server.to_string(), detail, next }
    }
}

/// The cause at the bottom: the outer ones only repeat the URL.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
