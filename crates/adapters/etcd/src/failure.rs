//! What etcd's errors mean for the control database's callers.
//!
//! **Invariant:** whatever leaves open whether a write was applied is [`ErrorKind::Unavailable`].

use std::time::Duration;

use etcd_client::Error as Cause;
use om_controldb::{Error, ErrorKind};

/// The failure of `operation` on `subject` (a key, a prefix, the endpoints).
pub(crate) fn error(operation: &'static str, subject: impl ToString, cause: &Cause) -> Error {
    let (kind, detail) = match cause {
        Cause::InvalidArgs(_) | Cause::InvalidUri(_) => {
            (ErrorKind::Invalid, format!("{cause}; accepted are endpoints like http://10.0.0.5:2379"))
        }
        Cause::GRpcStatus(status) => {
            let message = status.message();
            let said = if message.is_empty() { status.code().description() } else { message };
            (ErrorKind::Unavailable, format!("etcd: {said}{}", advice(message)))
        }
        other => (ErrorKind::Unavailable, format!("etcd: {other}")),
    };
    Error::new(kind, operation, subject, detail)
}

/// etcd's messages are part of its protocol: its own clients tell the cases apart by them.
fn advice(message: &str) -> &'static str {
    if message.contains("database space exceeded") {
        "; compact and defragment etcd or raise its quota, then disarm the alarm (etcdctl alarm disarm)"
    } else if message.contains("authentication failed") || message.contains("permission denied") {
        "; check the user, its password and its rights on the prefix"
    } else if message.contains("user name is empty") {
        "; this cluster asks for a user and password"
    } else if message.contains("transport error") || message.contains("connect") {
        "; check that etcd runs and that the endpoints are right"
    } else {
        ""
    }
}

/// No answer in time.
pub(crate) fn late(operation: &'static str, subject: impl ToString, after: Duration) -> Error {
    let detail = format!("etcd gave no answer within {after:?}; check that it runs and has a leader");
    Error::new(ErrorKind::Unavailable, operation, subject, detail)
}
