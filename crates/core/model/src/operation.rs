//! An operation: a change asked for or found necessary, persisted, and carried out step by step.

use serde::{Deserialize, Serialize};

use crate::id::{OperationId, ServiceId, ServiceName};
use crate::time::Timestamp;

/// What an operation changes. Its parameters are in the operation's `parameters`, typed by the planner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OperationKind {
    /// Make a service.
    Create,
    /// Remove a service.
    Delete,
    /// Stop all members, keeping everything.
    Stop,
    /// Start all members.
    Start,
    /// Restart one member or all, one by one.
    Restart,
    /// Change settings or options.
    Configure,
    /// Enlarge volumes.
    Grow,
    /// Have another node take over a member whose node was lost.
    Recover,
    /// Have another node take over a member whose node is there.
    Move,
}

impl OperationKind {
    /// Every kind; the test kit checks that it has run each.
    pub const ALL: [Self; 9] = [
        Self::Create,
        Self::Delete,
        Self::Stop,
        Self::Start,
        Self::Restart,
        Self::Configure,
        Self::Grow,
        Self::Recover,
        Self::Move,
    ];

    /// The word used in the API and on screen.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Delete => "delete",
            Self::Stop => "stop",
            Self::Start => "start",
            Self::Restart => "restart",
            Self::Configure => "configure",
            Self::Grow => "grow",
            Self::Recover => "recover",
            Self::Move => "move",
        }
    }
}

impl std::fmt::Display for OperationKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where an operation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OperationState {
    /// Accepted; waits for earlier operations of the same service.
    Queued,
    /// Steps are being carried out.
    Running,
    /// A step failed, or it was cancelled: done steps are being undone.
    RollingBack,
    /// All steps done.
    Succeeded,
    /// All done steps undone.
    RolledBack,
    /// Neither could be finished; the reason says what a person must do, then `retry`.
    NeedsAttention,
}

impl OperationState {
    /// True when nothing more happens by itself.
    pub const fn ended(self) -> bool {
        matches!(self, Self::Succeeded | Self::RolledBack | Self::NeedsAttention)
    }
}

/// An operation as the control database holds it. `P` is the parameters' type and `S` the step's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation<P, S> {
    /// Its identity.
    pub id: OperationId,
    /// What it changes.
    pub kind: OperationKind,
    /// The service it changes.
    pub service: ServiceName,
    /// The service's identity.
    pub service_id: ServiceId,
    /// What was asked for.
    pub parameters: P,
    /// Where it stands.
    pub state: OperationState,
    /// The plan, once its turn has come. Empty while queued.
    #[serde(default = "Vec::new")]
    pub steps: Vec<StepRecord<S>>,
    /// The steps back, once something failed or the operation was cancelled: a plan like any other.
    #[serde(default = "Vec::new")]
    pub rollback: Vec<StepRecord<S>>,
    /// True once the plan was made (a plan may have no steps).
    #[serde(default)]
    pub planned: bool,
    /// Somebody asked for it to be cancelled.
    #[serde(default)]
    pub cancel_requested: bool,
    /// Why it is not simply succeeding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Rises each time another server process takes the operation over; a step's result of a former owner is not stored.
    #[serde(default)]
    pub owner_generation: u64,
    /// When it was accepted.
    pub created: Timestamp,
    /// When it must have ended.
    pub deadline: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
}

/// One step and how far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepRecord<S> {
    /// What is done.
    pub step: S,
    /// How far it is.
    pub state: StepState,
    /// When it began last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// How often it was begun.
    #[serde(default)]
    pub attempts: u32,
    /// What went wrong last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// How far a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepState {
    /// Not begun.
    Pending,
    /// Begun: may or may not have had its effect.
    Running,
    /// Done.
    Done,
    /// Undone again.
    Undone,
    /// Failed for good.
    Failed,
}
