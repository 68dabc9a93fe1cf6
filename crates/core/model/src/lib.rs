//! The words of OpenManage as types: identifiers, specifications, records and errors.
//!
//! Everything here is plain data with its validation. There is no I/O, no clock, no randomness and no async runtime,
//! so that the planner, the server, the agent, the member program and the simulator all share one vocabulary.
//!
//! Main pieces: [`id`] (typed identifiers), [`spec`] (what a user asks for), [`record`] (what the control database
//! holds), [`operation`] (a change under way), [`binding`] (who holds a member), [`zone`] (the DNS zone as data),
//! [`error`] (field errors that name the accepted values).
//!
//! **Architecture invariant:** a value of one of these types is valid. Parsing is the only way in, and it refuses bad
//! input with the field's name and what would be accepted.

#![forbid(unsafe_code)]

pub mod binding;
pub mod error;
pub mod event;
pub mod id;
pub mod mutation;
pub mod node;
pub mod operation;
pub mod record;
pub mod size;
pub mod spec;
pub mod time;
pub mod zone;

pub use binding::{Binding, Former, Holder, Proof};
pub use error::{FieldError, Invalid};
pub use event::{Event, EventKind};
pub use id::{
    ClusterName, Epoch, Incarnation, MemberName, NodeId, OperationId, RegionName, ServiceId, ServiceName, VolumeId,
    VolumeRole, ZoneName,
};
pub use node::{NodeCondition, NodeRecord, Roster, RosterNode};
pub use operation::{Operation, OperationKind, OperationState, StepRecord, StepState};
pub use record::{MemberRecord, Phase, Recovery, ServiceRecord, VolumeRecord};
pub use size::ByteSize;
pub use spec::{Place, Resources, ServiceSpec, VolumeSizes};
pub use time::Timestamp;
