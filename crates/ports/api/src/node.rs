//! Nodes on the wire.

use om_model::{NodeCondition, NodeRecord};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::convert::rfc3339;
use crate::operation::Operation;

/// A node of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Node {
    /// Its name: the machine's host name.
    pub name: String,
    /// Its address.
    pub address: String,
    /// The zone it is in, if it is in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// `present` or `lost`.
    #[schema(value_type = String, example = "present")]
    pub condition: NodeCondition,
    /// Since when, RFC 3339.
    #[schema(format = DateTime)]
    pub since: String,
    /// True while no member is to be on it.
    pub drained: bool,
    /// False while the orchestrator keeps containers off it.
    pub schedulable: bool,
    /// Whether the orchestrator reaches it.
    pub ready: bool,
    /// The members it holds.
    pub members: Vec<String>,
    /// Where its volumes come from.
    pub volumes: String,
    /// By what a volume there has one writer.
    pub single_writer_by: String,
    /// Its agent's version.
    pub version: String,
    /// When it joined, RFC 3339.
    #[schema(format = DateTime)]
    pub joined: String,
}

/// What draining a node has begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Drain {
    /// One operation for each member that moves.
    pub operations: Vec<Operation>,
    /// Members that cannot move.
    pub refused: Vec<RefusedMove>,
}

/// A member that cannot move.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RefusedMove {
    /// The member.
    pub member: String,
    /// Why, and what to do next.
    pub reason: String,
}

/// An operator's word that a machine is off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FenceNode {
    /// Also if the node answers right now. Whatever it goes on writing may then be lost or do damage.
    #[serde(default)]
    pub force: bool,
}

/// What a new token is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewJoinToken {
    /// `agent` or `storage`.
    #[serde(default = "agent")]
    pub role: String,
    /// Minutes until it is worth nothing; 60 when absent, at most 10080 (a week).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_minutes: Option<u32>,
}

/// A token with which one program may join, once. It is a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JoinToken {
    /// The token.
    pub token: String,
    /// What it is for.
    pub role: String,
    /// Minutes until it is worth nothing.
    pub valid_minutes: u32,
}

fn agent() -> String {
    "agent".into()
}

impl Node {
    /// A node of which nothing but its record is known.
    pub fn from_record(record: &NodeRecord) -> Self {
        Self {
            name: record.id.to_string(),
            address: record.address.to_string(),
            zone: record.zone.clone(),
            condition: record.condition,
            since: rfc3339(record.since),
            drained: record.drained,
            schedulable: true,
            ready: true,
            members: Vec::new(),
            volumes: record.volumes.clone(),
            single_writer_by: record.single_writer_by.clone(),
            version: record.version.clone(),
            joined: rfc3339(record.joined),
        }
    }
}
