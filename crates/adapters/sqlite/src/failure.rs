//! What SQLite's errors mean for the control database's callers.
//!
//! **Invariant:** a full or failing disk is [`ErrorKind::Unavailable`], since the same call may work later; only what a
//! person must look at is [`ErrorKind::Corrupt`].

use om_controldb::{Error, ErrorKind};
use rusqlite::{ErrorCode, ffi};

/// The failure of `operation` on `subject` (a key, a prefix, a file).
pub(crate) fn error(operation: &'static str, subject: impl ToString, cause: &rusqlite::Error) -> Error {
    let code = cause.sqlite_error().map(|error| (error.code, error.extended_code));
    let (kind, advice) = match code {
        Some((ErrorCode::DiskFull, _) | (_, ffi::SQLITE_IOERR_SHMSIZE)) => {
            let advice = "no room is left on the disk; nothing was written. Free some space and try again: the store \
                          needs no restart";
            (ErrorKind::Unavailable, advice)
        }
        Some((ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked, _)) => {
            (ErrorKind::Unavailable, "another program holds the database file locked; close it and try again")
        }
        Some((ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied, _)) => {
            (ErrorKind::Unavailable, "check the permissions of the file and its directory, and the mount options")
        }
        Some((ErrorCode::SystemIoFailure, _)) => {
            (ErrorKind::Unavailable, "the disk failed a read or write; check the disk and the kernel's log")
        }
        Some((ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase, _)) => {
            (ErrorKind::Corrupt, "the file is damaged or not a control database; restore it from a backup")
        }
        Some(_) => (ErrorKind::Unavailable, "SQLite refused"),
        // Not from SQLite itself, but from reading its answer: a column of another type than was written.
        None => (ErrorKind::Corrupt, "the stored record is not as it was written; restore the file from a backup"),
    };
    Error::new(kind, operation, subject, format!("{advice} ({cause})"))
}
