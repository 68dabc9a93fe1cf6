//! Operations and plans on the wire.

use om_model::{OperationKind, OperationState, StepState};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A change under way, or ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Operation {
    /// Its identity.
    pub id: String,
    /// What it changes: `create`, `delete`, `stop`, `start`, `restart`, `configure`, `grow`.
    #[schema(value_type = String, example = "create")]
    pub kind: OperationKind,
    /// The service.
    pub service: String,
    /// The service's identity.
    pub service_id: String,
    /// `queued`, `running`, `rolling-back`, or ended: `succeeded`, `rolled-back`, `needs-attention`.
    #[schema(value_type = String, example = "running")]
    pub state: OperationState,
    /// True when nothing more happens by itself.
    pub ended: bool,
    /// What was asked for.
    #[schema(value_type = Object)]
    pub parameters: serde_json::Value,
    /// How far it is.
    pub progress: Progress,
    /// The plan; empty while queued.
    pub steps: Vec<OperationStep>,
    /// The way back, once something failed or it was cancelled.
    pub rollback: Vec<OperationStep>,
    /// True if somebody asked for it to be cancelled.
    pub cancel_requested: bool,
    /// Why it is not simply succeeding, and what a person is to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it was accepted, RFC 3339.
    #[schema(format = DateTime)]
    pub created: String,
    /// When it must have ended, RFC 3339.
    #[schema(format = DateTime)]
    pub deadline: String,
    /// When it ended, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub ended_at: Option<String>,
}

/// How far an operation is, on the way it is going (forward or back).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Progress {
    /// Steps done.
    pub done: u32,
    /// Steps there are.
    pub total: u32,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OperationStep {
    /// What it does, in words.
    pub what: String,
    /// The member concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// `pending`, `running`, `done`, `undone`, `failed`.
    #[schema(value_type = String, example = "done")]
    pub state: StepState,
    /// How often it was begun.
    pub attempts: u32,
    /// What went wrong last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When it began last, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub began: Option<String>,
    /// When it ended, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub ended: Option<String>,
}

/// What a change would do: the answer to `?dry_run=true`. Nothing was touched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Plan {
    /// What would be done, in order.
    pub steps: Vec<PlanStep>,
    /// How long writes are expected to pause, in milliseconds; absent if they would not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write_pause_ms: Option<u64>,
    /// What else to know.
    pub notes: Vec<String>,
}

/// One step of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlanStep {
    /// What would be done, in words.
    pub what: String,
    /// The member concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// Why.
    pub reason: String,
}
