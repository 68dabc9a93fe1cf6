//! Errors as answers.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use om_api::{Code, PROBLEM_JSON, Problem};
use om_control::ControlError;
use om_model::{FieldError, Invalid};

/// A request that was not done: the problem to answer with.
#[derive(Debug)]
pub(crate) struct Refused(pub(crate) Box<Problem>);

/// Short for what handlers return.
pub(crate) type Answer<T> = Result<T, Refused>;

impl Refused {
    /// One refused field.
    pub(crate) fn field(field: &str, problem: impl Into<String>, accepted: impl Into<String>) -> Self {
        FieldError::new(field, problem, accepted).into()
    }
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self(Box::new(problem))
    }
}

impl From<FieldError> for Refused {
    fn from(error: FieldError) -> Self {
        Problem::invalid(&Invalid::from(error)).into()
    }
}

impl From<Invalid> for Refused {
    fn from(invalid: Invalid) -> Self {
        Problem::invalid(&invalid).into()
    }
}

impl From<ControlError> for Refused {
    fn from(error: ControlError) -> Self {
        problem_of(&error).into()
    }
}

/// The control code's error on the wire.
pub(crate) fn problem_of(error: &ControlError) -> Problem {
    match error {
        ControlError::Invalid(invalid) => Problem::invalid(invalid),
        ControlError::NotFound { what, name, next } => {
            let problem = Problem::new(Code::NotFound, format!("{what} {name:?} does not exist"));
            match next {
                Some(next) => problem.next(next),
                None => problem,
            }
        }
        ControlError::Conflict { detail, next } => Problem::new(Code::Conflict, detail).next(next),
        ControlError::Unavailable(detail) => Problem::new(Code::Unavailable, detail).next("try again in a moment"),
        ControlError::Broken(detail) => {
            tracing::error!(detail, "a request failed");
            Problem::new(Code::Internal, detail).next("look at the server's log")
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self.0).expect("a problem is plain data");
        let mut response = (status, [(header::CONTENT_TYPE, PROBLEM_JSON)], body).into_response();
        let headers = response.headers_mut();
        match self.0.code {
            Code::Unauthorized => drop(headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))),
            Code::Unavailable => drop(headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"))),
            _ => {}
        }
        response
    }
}
