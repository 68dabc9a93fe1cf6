//! Typed identifiers. Each parses from text, refuses what it must, and prints as it was written.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::FieldError;

/// A text identifier: a checked `String` that serialises transparently and checks again when it is read.
macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $field:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = FieldError;

            fn from_str(text: &str) -> Result<Self, FieldError> {
                let check: fn(&str, &str) -> Result<(), FieldError> = $check;
                check($field, text)?;
                Ok(Self(text.to_owned()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = FieldError;

            fn try_from(text: String) -> Result<Self, FieldError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

/// Longest service name: a member's label adds `-shard99-999` at most, and a DNS label has 63 octets (RFC 1035 §2.3.4).
pub const SERVICE_NAME_MAX: usize = 50;

const LABEL_RULE: &str =
    "1 to 50 characters: lower-case letters, digits and hyphens, beginning with a letter and not ending with a hyphen";

fn service_label(field: &str, text: &str) -> Result<(), FieldError> {
    label(field, text, SERVICE_NAME_MAX, LABEL_RULE)
}

fn any_label(field: &str, text: &str) -> Result<(), FieldError> {
    label(field, text, 63, "a DNS label of at most 63 lower-case letters, digits and hyphens, beginning with a letter")
}

fn label(field: &str, text: &str, max: usize, accepted: &str) -> Result<(), FieldError> {
    let refuse = |problem: String| Err(FieldError::new(field, problem, accepted));
    if text.is_empty() {
        return refuse("is empty".into());
    }
    if text.len() > max {
        return refuse(format!("has {} characters", text.chars().count()));
    }
    if let Some(bad) = text.chars().find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '-')) {
        return refuse(format!("{text:?} contains {bad:?}"));
    }
    if !text.starts_with(|c: char| c.is_ascii_lowercase()) || text.ends_with('-') {
        return refuse(format!("{text:?} begins or ends with a character not allowed there"));
    }
    Ok(())
}

fn hex32(field: &str, text: &str) -> Result<(), FieldError> {
    let good = text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if good {
        Ok(())
    } else {
        Err(FieldError::new(field, format!("{text:?} is not an id"), "32 lower-case hexadecimal digits"))
    }
}

fn region(field: &str, text: &str) -> Result<(), FieldError> {
    any_label(field, text)
}

fn domain(field: &str, text: &str) -> Result<(), FieldError> {
    if text.len() > 200 {
        return Err(FieldError::new(field, "is too long", "a domain name of at most 200 characters"));
    }
    text.split('.').try_for_each(|part| any_label(field, part))
}

fn node(field: &str, text: &str) -> Result<(), FieldError> {
    let good =
        !text.is_empty() && text.len() <= 253 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    if good { Ok(()) } else { Err(FieldError::new(field, format!("{text:?} is not a node name"), "a host name")) }
}

fn token(field: &str, text: &str) -> Result<(), FieldError> {
    let good = !text.is_empty() && text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if good {
        Ok(())
    } else {
        Err(FieldError::new(field, format!("{text:?} is not valid here"), "1 to 64 letters, digits and hyphens"))
    }
}

text_id! {
    /// A service's name: unique in the cluster, chosen by the user, the stem of its members' DNS names.
    ServiceName, "name", service_label
}
text_id! {
    /// A service's identity: 32 lower-case hexadecimal digits, never reused.
    ServiceId, "service id", hex32
}
text_id! {
    /// An operation's identity: 32 lower-case hexadecimal digits that sort by time of creation.
    OperationId, "operation id", hex32
}
text_id! {
    /// A member's name and DNS label: `<service>-<index>`.
    MemberName, "member", any_label
}
text_id! {
    /// The cluster's name; the zone is `<cluster>-openmanage.com` unless configured.
    ClusterName, "cluster", service_label
}
text_id! {
    /// The DNS zone that the cluster owns, without a trailing dot.
    ZoneName, "zone", domain
}
text_id! {
    /// A region, as the cloud or the operator calls it.
    RegionName, "region", region
}
text_id! {
    /// A node: a machine that runs the agent.
    NodeId, "node", node
}
text_id! {
    /// One life of a node: changes when the machine boots. From the kernel's boot id.
    Incarnation, "incarnation", token
}

impl MemberName {
    /// The name of the member `index` of `service`.
    pub fn of(service: &ServiceName, index: u16) -> Self {
        Self(format!("{service}-{index}"))
    }
}

impl ClusterName {
    /// The zone this cluster owns when none is configured.
    pub fn default_zone(&self) -> ZoneName {
        ZoneName(format!("{}-openmanage.com", self.0))
    }
}

/// Counts the holders of a member: every new holder has an epoch one higher than the last. Zero: never held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(u64);

impl Epoch {
    /// Before the first holder.
    pub const NONE: Self = Self(0);

    /// The epoch numbered `n`.
    pub const fn new(n: u64) -> Self {
        Self(n)
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The epoch of the next holder.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What a volume is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VolumeRole {
    /// The database's files.
    Data,
    /// The write-ahead log, where it has a volume of its own.
    Journal,
}

impl VolumeRole {
    /// The word used in names and paths.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Journal => "journal",
        }
    }
}

impl fmt::Display for VolumeRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A volume as the orchestrator and the provider name it: `[journal_]<service id>_<member>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct VolumeId {
    /// The service whose member owns it.
    pub service: ServiceId,
    /// The member that owns it.
    pub member: MemberName,
    /// What it is for.
    pub role: VolumeRole,
}

impl fmt::Display for VolumeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.role == VolumeRole::Journal {
            f.write_str("journal_")?;
        }
        write!(f, "{}_{}", self.service, self.member)
    }
}

#[cfg(test)]
mod tests;
