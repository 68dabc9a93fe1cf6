//! What a member is told about itself, and what it tells of itself.

use std::collections::BTreeMap;
use std::net::IpAddr;

use om_model::{ByteSize, Epoch, MemberName, Resources, ServiceId, ServiceName, VolumeRole, VolumeSizes};
use serde::{Deserialize, Serialize};

/// Where the data volume is mounted in the container.
pub const DATA_MOUNT: &str = "/data";
/// Where the journal volume is mounted in the container, if there is one.
pub const JOURNAL_MOUNT: &str = "/journal";
/// The folder, on the data volume's mount, of the tmpfs that the agent fills: configuration, secrets, socket, program.
pub const CONTROL_DIR: &str = ".openmanage";
/// Below the control folder: this member's [`MemberConfig`] as JSON.
pub const CONFIG_FILE: &str = "member.json";
/// Below the control folder: one file per secret, named after it.
pub const SECRETS_DIR: &str = "secrets";
/// Below the control folder: the socket on which the member answers.
pub const SOCKET: &str = "member.sock";
/// Below the control folder: the member program.
pub const PROGRAM: &str = "openmanage-member";
/// Below the control folder: the deadline of the node's lease, as a decimal number of milliseconds of CLOCK_BOOTTIME.
/// Absent where no lease is to be kept.
pub const LEASE_FILE: &str = "lease";
/// Secrets that every member has beside its engine's: its TLS key, its certificate, and the authority's certificate.
pub const TLS_KEY: &str = "tls.key";
/// See [`TLS_KEY`].
pub const TLS_CERT: &str = "tls.crt";
/// See [`TLS_KEY`].
pub const TLS_CA: &str = "ca.crt";

/// Where the volume of this role is mounted in the container.
pub const fn mount_of(role: VolumeRole) -> &'static str {
    match role {
        VolumeRole::Data => DATA_MOUNT,
        VolumeRole::Journal => JOURNAL_MOUNT,
    }
}

/// Everything a member is told, but its secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberConfig {
    /// The service's identity.
    pub service_id: ServiceId,
    /// The service's name.
    pub service: ServiceName,
    /// The member's name.
    pub member: MemberName,
    /// Its place among the members, from 0.
    pub index: u16,
    /// The epoch under which its volumes are mounted.
    pub epoch: Epoch,
    /// The engine.
    pub engine: String,
    /// The engine's version.
    pub version: String,
    /// The address to listen on.
    pub address: IpAddr,
    /// All members, itself included, by index.
    pub peers: Vec<Peer>,
    /// The member chosen to accept writes, where the engine needs to be told.
    pub primary: Option<MemberName>,
    /// What it may use.
    pub resources: Resources,
    /// Its volumes' sizes.
    pub volumes: VolumeSizes,
    /// The engine's own settings that differ from the computed ones.
    pub settings: BTreeMap<String, String>,
    /// Choices the engine offers.
    pub options: BTreeMap<String, String>,
    /// Rises with every change of the above; the member reports the one it runs.
    pub configuration: u64,
}

/// A member as the others see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Its name.
    pub name: MemberName,
    /// Its full DNS name.
    pub host: String,
    /// Its address.
    pub address: IpAddr,
}

impl MemberConfig {
    /// True if this member is the one chosen to accept writes.
    pub fn is_primary(&self) -> bool {
        self.primary.as_ref() == Some(&self.member)
    }

    /// The peer of that name.
    pub fn peer(&self, name: &MemberName) -> Option<&Peer> {
        self.peers.iter().find(|peer| peer.name == *name)
    }

    /// The full path, in the container, of the secret `name`.
    pub fn secret_path(name: &str) -> String {
        format!("{DATA_MOUNT}/{CONTROL_DIR}/{SECRETS_DIR}/{name}")
    }

    /// The memory that the member may use.
    pub fn memory(&self) -> ByteSize {
        self.resources.memory
    }
}

/// A member's part in its service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Accepts writes.
    Primary,
    /// Follows a primary; serves reads.
    Standby,
}

/// What a probe found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// The role; `None` while it cannot be told.
    pub role: Option<Role>,
    /// True if the member does what its role promises: a standby that does not stream is not healthy.
    pub healthy: bool,
    /// A word or sentence for people.
    pub detail: String,
    /// How far behind the primary it is, in bytes of the log, where that can be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag_bytes: Option<u64>,
}
