//! Encryption at rest for secrets.

use crate::error::Result;

/// Seals and opens secrets with a key that never enters the control database. `context` (the record's key) is bound
/// into the seal, so that a sealed secret moved to another record does not open.
pub trait Seal: Send + Sync {
    /// Encrypts `plain`.
    fn seal(&self, context: &str, plain: &[u8]) -> Result<Vec<u8>>;

    /// Decrypts what [`Self::seal`] made. [`ErrorKind::Invalid`](crate::ErrorKind) if it was made with another key or
    /// context, or was changed.
    fn open(&self, context: &str, sealed: &[u8]) -> Result<Vec<u8>>;
}
