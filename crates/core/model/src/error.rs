//! Errors of validation: which field, what is wrong, what would be accepted.

use serde::{Deserialize, Serialize};

/// One field that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{field}: {problem}; accepted: {accepted}")]
pub struct FieldError {
    /// The field as the user wrote it, for example `replicas` or `settings.max_connections`.
    pub field: String,
    /// What is wrong with the value given.
    pub problem: String,
    /// The values that would be accepted, in words.
    pub accepted: String,
}

impl FieldError {
    /// A refusal of `field`.
    pub fn new(field: impl Into<String>, problem: impl Into<String>, accepted: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into(), accepted: accepted.into() }
    }
}

/// Every field that was refused, at least one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invalid(Vec<FieldError>);

impl Invalid {
    /// The refusals, in the order they were found.
    pub fn fields(&self) -> &[FieldError] {
        &self.0
    }

    /// `Ok` when nothing was refused.
    ///
    /// # Errors
    /// All refusals together, so that a user mends them in one go.
    pub fn unless_empty(found: Vec<FieldError>) -> Result<(), Self> {
        if found.is_empty() { Ok(()) } else { Err(Self(found)) }
    }
}

impl From<FieldError> for Invalid {
    fn from(one: FieldError) -> Self {
        Self(vec![one])
    }
}

impl std::fmt::Display for Invalid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, field) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{field}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Invalid {}
