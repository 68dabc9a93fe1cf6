//! Events: what happened, for people and for programs that follow along.

use serde::{Deserialize, Serialize};

use crate::id::{MemberName, OperationId, ServiceName};
use crate::time::Timestamp;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// What kind of thing.
    pub kind: EventKind,
    /// The service concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceName>,
    /// The member concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<MemberName>,
    /// The operation concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<OperationId>,
    /// A sentence for people. Never a secret.
    pub message: String,
}

/// Kinds of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// An operation was accepted.
    OperationAccepted,
    /// An operation began or ended a step.
    OperationStep,
    /// An operation ended, whichever way.
    OperationEnded,
    /// A member's holder changed.
    Bound,
    /// A member became healthy, unhealthy or changed its role.
    MemberChanged,
    /// A reconciler started something that should have been running.
    Repaired,
    /// A secret was shown to an authorised caller.
    SecretShown,
    /// A node joined, was lost, came back, was drained or vouched off; or nodes are missed and nothing is done about it.
    NodeChanged,
}
