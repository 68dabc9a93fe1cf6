//! The limits of values and pages, and the checks with which every backend keeps to them.

use crate::{Error, ErrorKind, Key, Result};

/// Largest value, in bytes: what the smallest backend (DynamoDB items, 400 KB with their keys) can hold with room to spare.
pub const VALUE_MAX: usize = 256 * 1024;
/// Most entries a page of [`ControlDb::list`](crate::ControlDb::list) has.
pub const PAGE_MAX: usize = 1000;

/// For backends: refuses a value that is too large, before anything is written.
///
/// # Errors
/// [`ErrorKind::Invalid`] above [`VALUE_MAX`] bytes.
pub fn check_value(operation: &'static str, key: &Key, value: &[u8]) -> Result<()> {
    if value.len() <= VALUE_MAX {
        return Ok(());
    }
    let detail = format!("value has {} bytes; accepted: at most {VALUE_MAX}", value.len());
    Err(Error::new(ErrorKind::Invalid, operation, key, detail))
}

/// For backends: refuses a page size outside the limits.
///
/// # Errors
/// [`ErrorKind::Invalid`] unless it is 1 to [`PAGE_MAX`].
pub fn check_page_limit(prefix: &Key, limit: usize) -> Result<()> {
    if (1..=PAGE_MAX).contains(&limit) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Invalid, "list", prefix, format!("limit is {limit}; accepted: 1 to {PAGE_MAX}")))
}
