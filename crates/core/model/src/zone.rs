//! The cluster's DNS zone as data: what the name server answers from.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::id::{Epoch, MemberName, ServiceId, ZoneName};

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
