//! The cluster's DNS zone as data: what the name server answers from.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::id::{Epoch, MemberName, ServiceId, ServiceName, ZoneName};

/// The server's own labels; the second is the original README's spelling, which its users have in their scripts.
pub const SERVER_LABELS: [&str; 2] = ["openmanage-manageserver", "openmange-manageserver"];
/// The name server's own label.
pub const NAME_SERVER_LABEL: &str = "ns";

/// The labels of a service: its own, its primary's, and one for each of its `replicas` members.
pub fn service_labels(service: &ServiceName, replicas: u16) -> BTreeSet<String> {
    let members = (0..replicas).map(|index| MemberName::of(service, index).to_string());
    [service.to_string(), format!("{service}-primary")].into_iter().chain(members).collect()
}

/// The whole zone at one moment. Published whole, so that an update can neither be lost nor applied half.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Zone {
    /// The zone's name, without a trailing dot.
    pub name: ZoneName,
    /// Rises with every change; the SOA serial.
    pub serial: u32,
    /// Names of the platform itself, for example `openmanage-manageserver`, by label.
    pub fixed: BTreeMap<String, Vec<IpAddr>>,
    /// Members whose present holder has mounted, by label.
    pub members: BTreeMap<MemberName, ZoneMember>,
    /// For each service name, its members' SRV targets: `_<engine>._tcp.<service>`, and the service name itself answers
    /// with all members' addresses.
    pub services: BTreeMap<String, ZoneService>,
}

/// One member's entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneMember {
    /// The service it belongs to.
    pub service: ServiceId,
    /// The epoch of the holder whose address this is. At one name server it never goes back.
    pub epoch: Epoch,
    /// The holder's address.
    pub address: IpAddr,
}

/// One service's entries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneService {
    /// The service label of SRV names, for example `postgresql`.
    pub protocol: String,
    /// The port members listen on.
    pub port: u16,
    /// Its published members, in order.
    pub members: Vec<MemberName>,
    /// The members that accept writes, answered for `<service>-primary`; empty while unknown.
    #[serde(default)]
    pub primaries: Vec<MemberName>,
}

#[cfg(test)]
mod tests;
