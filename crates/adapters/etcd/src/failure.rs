//! What etcd's errors mean for the control database's callers.
//!
//! **Invariant:** whatever leaves open whether a write was applied is [`ErrorKind::Unavailable`].

use std::time::Duration;

use etcd_client::Error as Cause;
use om_controldb::{Error, ErrorKind};

use crate::cluster::Asked;

/// The failure of what was asked.
pub(crate) fn error(asked: Asked<'_>, cause: &Cause) -> Error {
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
    Error::new(kind, asked.operation, asked.subject, detail)
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
pub(crate) fn late(asked: Asked<'_>, after: Duration) -> Error {
    // What was left of the time that the settings give is hardly ever a round number.
    let after = Duration::from_millis(u64::try_from(after.as_micros().div_ceil(1000)).unwrap_or(u64::MAX));
    let detail = format!("etcd gave no answer within {after:?}; check that it runs and has a leader");
    Error::new(ErrorKind::Unavailable, asked.operation, asked.subject, detail)
}

/// Whether asking again is no use. Not so with a token that has expired, or a member that is late with the users' rights.
pub(crate) fn is_final(cause: &Cause) -> bool {
    match cause {
        Cause::InvalidArgs(_) | Cause::InvalidUri(_) => true,
        Cause::GRpcStatus(status) => {
            let refusals = ["authentication failed", "permission denied", "user name is empty"];
            refusals.iter().any(|refusal| status.message().contains(refusal))
        }
        _ => false,
    }
}

/// Whether the call ended before anything was done: the connection could not be made, or the member, which has no leader,
/// refused it at the door (we ask for that: [`etcd_client::ConnectOptions::with_require_leader`]).
pub(crate) fn before_sending(cause: &Cause) -> bool {
    let Cause::GRpcStatus(status) = cause else { return false };
    let mut inner: Option<&(dyn std::error::Error + 'static)> = Some(status);
    while let Some(error) = inner {
        if error.is::<tonic::ConnectError>() {
            return true;
        }
        inner = error.source();
    }
    status.message() == "etcdserver: no leader"
}
