//! The cluster on the wire: its engines, volumes and events.

use om_model::{EventKind, VolumeRole};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::size::Size;

/// The cluster and its server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Cluster {
    /// The cluster's name.
    pub cluster: String,
    /// The DNS zone it owns.
    pub zone: String,
    /// The region, if one is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Addresses at which the names of the server answer.
    pub addresses: Vec<String>,
    /// The server's version.
    pub version: String,
}

/// An engine of this release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Engine {
    /// Its name.
    pub name: String,
    /// Its versions, newest last.
    pub versions: Vec<String>,
    /// The version taken when none is named.
    pub default_version: String,
    /// The port its members listen on.
    pub port: u16,
    /// Options it offers beside its settings.
    pub options: Vec<EngineOption>,
}

/// An option of an engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EngineOption {
    /// Its name.
    pub name: String,
    /// The accepted values, in words.
    pub accepted: String,
}

/// A volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Volume {
    /// Its name: `[journal_]<service id>_<member>`.
    pub name: String,
    /// The name of the service it was made for.
    pub service: String,
    /// That service's identity.
    pub service_id: String,
    /// The member it was made for.
    pub member: String,
    /// `data` or `journal`.
    #[schema(value_type = String, example = "data")]
    pub role: VolumeRole,
    /// The engine whose data it holds.
    pub engine: String,
    /// Its size.
    pub size: Size,
    /// The provider that made it.
    pub provider: String,
    /// When it was made, RFC 3339.
    #[schema(format = DateTime)]
    pub created: String,
    /// When its service was deleted and the volume kept, RFC 3339; absent while it is in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub kept_since: Option<String>,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// Its place in the sequence: for `after`, and the id in a stream.
    pub cursor: String,
    /// When, RFC 3339.
    #[schema(format = DateTime)]
    pub at: String,
    /// What kind of thing: `operation-accepted`, `operation-step`, `operation-ended`, `bound`, `member-changed`,
    /// `repaired`, `secret-shown`.
    #[schema(value_type = String, example = "member-changed")]
    pub kind: EventKind,
    /// The service concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The member concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// The operation concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// What happened, in words.
    pub message: String,
}
