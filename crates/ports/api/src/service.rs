//! Services and members on the wire.

use std::collections::BTreeMap;

use om_model::Phase;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::size::Size;

/// A request for a new service. What is absent gets the server's default, and is then part of the service for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateService {
    /// Its name: 1 to 50 lower-case letters, digits and hyphens, beginning with a letter.
    #[schema(example = "orders")]
    pub name: String,
    /// The engine: see `GET /v1/engines`.
    #[schema(example = "postgresql")]
    pub engine: String,
    /// The engine's version; the engine's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The image to run; the catalog's when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// How many members; 3 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 100)]
    pub replicas: Option<u32>,
    /// What each member may use; 1 GiB of memory and no limit of CPU when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// The sizes of each member's volumes.
    pub volumes: VolumeSizes,
    /// The engine's own settings, by the engine's names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, String>,
    /// The engine's options: see `GET /v1/engines`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
    /// Where the members may be; anywhere in the cluster when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<Place>,
}

/// What one member may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Resources {
    /// Memory.
    pub memory: Size,
    /// Thousandths of a CPU; no limit when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_millis: Option<u32>,
}

/// The sizes of one member's volumes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VolumeSizes {
    /// The data volume.
    pub data: Size,
    /// The volume of the write-ahead log; the log is on the data volume when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journal: Option<Size>,
}

/// A region and a zone in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The region.
    pub region: String,
    /// The zone.
    pub zone: String,
}

/// A service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Its identity.
    pub id: String,
    /// Its engine.
    pub engine: String,
    /// The engine's version.
    pub version: String,
    /// The image, where one was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Where it stands: `creating`, `active`, `stopped`, `deleting`.
    #[schema(value_type = String, example = "active")]
    pub phase: Phase,
    /// How many members it is to have.
    pub replicas: u32,
    /// What each member may use.
    pub resources: Resources,
    /// The sizes of each member's volumes.
    pub volumes: VolumeSizes,
    /// Settings that differ from the computed ones.
    pub settings: BTreeMap<String, String>,
    /// Options.
    pub options: BTreeMap<String, String>,
    /// Where the members may be.
    pub places: Vec<Place>,
    /// The member that accepts writes, where the platform chooses one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<String>,
    /// The number of its configuration; members report the one they run.
    pub configuration: u64,
    /// Operations accepted and not ended: the first runs, the others wait.
    pub operations: Vec<String>,
    /// When it was accepted, RFC 3339.
    #[schema(format = DateTime)]
    pub created: String,
}

/// A member, with what is known of it right now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Its full DNS name.
    pub host: String,
    /// Its place among the members, from 0.
    pub index: u32,
    /// Its address, where it has one of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The node that holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Its container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// How many holders there have been.
    pub epoch: u64,
    /// What the orchestrator says of its container: `absent`, `created`, `running`, `restarting`, `stopped`.
    pub deployment: String,
    /// `primary` or `standby`; absent while it cannot be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// True if it does what its role promises.
    pub healthy: bool,
    /// What it says of itself, or why it cannot be asked.
    pub detail: String,
    /// How far behind the primary it is, in bytes of the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag_bytes: Option<u64>,
    /// The number of the configuration it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<u64>,
    /// True if part of that configuration waits for a restart.
    pub restart_pending: bool,
}

/// A restart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RestartService {
    /// The member; all of them one by one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
}

/// A change of configuration. What is not named stays; `null` takes a value back to its default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfigureService {
    /// The engine's own settings.
    #[serde(default)]
    pub settings: BTreeMap<String, Option<String>>,
    /// The engine's options.
    #[serde(default)]
    pub options: BTreeMap<String, Option<String>>,
}

/// Larger volumes. Volumes never shrink.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GrowService {
    /// The data volume's new size; unchanged when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Size>,
    /// The journal volume's new size; unchanged when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journal: Option<Size>,
}

/// How to connect. Never the password: see `POST …/password`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Connection {
    /// The URI for writes, without the password.
    pub uri: String,
    /// The URI for reads, where it differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_uri: Option<String>,
    /// The user.
    pub user: String,
    /// The program people use, with its arguments, without the password.
    pub client: Vec<String>,
    /// The environment variable through which that program takes the password.
    pub password_variable: String,
    /// The environment variable through which it takes the path of the certificate of the authority.
    pub ca_variable: String,
    /// The environment variable through which it takes the address of the URI's host, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address_variable: Option<String>,
    /// The certificate of the authority that signed the members' certificates, PEM.
    pub ca: String,
}

/// A password, shown to an authorised caller. Each showing is noted as an event.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Password {
    /// The user it belongs to.
    pub user: String,
    /// The password.
    pub password: String,
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Password").field("user", &self.user).finish_non_exhaustive()
    }
}

/// A line of a member's output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogRecord {
    /// True if it came from the standard error.
    pub stderr: bool,
    /// The text, without its line end.
    pub text: String,
}
