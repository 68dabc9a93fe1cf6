//! The answers of one zone, built once per publication and only read afterwards.
//!
//! - [`Table`]: every name of the zone with its [`Rrset`]s, and the SOA for negative answers.
//! - [`Table::build`]: from an [`om_model::zone::Zone`].
//!
//! **Invariant:** an answer's bytes are right wherever the question stands at offset 12, in any case: they refer to the
//! question's name by pointers only.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::net::IpAddr;

use om_model::MemberName;
use om_model::zone::{Zone, ZoneService};

use crate::wire::{HEADER, MESSAGE_MAX, NAME_MAX, Writer, encode, kind, pointer};

#[cfg(test)]
mod tests;

/// Where the records of an answer stop, whatever there is to say: room for the question and OPT is left.
const RECORDS_MAX: usize = MESSAGE_MAX - HEADER - NAME_MAX - 4 - 11;

/// For how long at most a resolver may remember that a name is not there, in seconds: whoever asked a moment too early
/// is to find it soon.
const NEGATIVE_TTL: u32 = 1;

/// Prebuilt records for one name and type.
#[derive(Debug, Default)]
pub(crate) struct Rrset {
    /// Answer records, then additional ones.
    bytes: Vec<u8>,
    /// How many octets of `bytes` are answer records.
    answer_length: usize,
    /// How many answer records.
    pub(crate) answers: u16,
    /// How many additional records.
    pub(crate) additionals: u16,
}

impl Rrset {
    /// The answer section.
    pub(crate) fn answer(&self) -> &[u8] {
        &self.bytes[..self.answer_length]
    }

    /// The additional section.
    pub(crate) fn additional(&self) -> &[u8] {
        &self.bytes[self.answer_length..]
    }
}

/// A name's record sets by type. Empty for a name that only has names below it.
pub(crate) type Node = Vec<(u16, Rrset)>;

/// All answers of one zone.
pub(crate) struct Table {
    /// The hasher has a fixed key: clients choose what is looked up, never what is stored.
    names: HashMap<Vec<u8>, Node, BuildHasherDefault<DefaultHasher>>,
    zone_length: usize,
    /// The SOA record of negative answers, without its owner's name.
    soa_tail: Vec<u8>,
    /// Seconds.
    pub(crate) ttl: u32,
}

impl Table {
    /// The record sets of a name in lower case on the wire; `None` if there is no such name.
    pub(crate) fn node(&self, name: &[u8]) -> Option<&Node> {
        self.names.get(name)
    }

    /// Appends the SOA record for a negative answer to a question for a name of `name_length` octets in the zone.
    pub(crate) fn write_soa(&self, name_length: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(&pointer(HEADER + name_length - self.zone_length));
        out.extend_from_slice(&self.soa_tail);
    }

    /// How many octets [`Self::write_soa`] appends.
    pub(crate) fn soa_length(&self) -> usize {
        2 + self.soa_tail.len()
    }

    /// The answers of `zone`, served by name servers at `servers`, to be remembered for `ttl` seconds.
    pub(crate) fn build(zone: &Zone, servers: &[IpAddr], ttl: u32) -> Self {
        let mut builder = Builder::new(zone, ttl);
        for (label, addresses) in &zone.fixed {
            builder.host(label, addresses.iter().copied());
        }
        for (member, entry) in &zone.members {
            builder.host(member.as_str(), [entry.address]);
        }
        for (name, service) in &zone.services {
            builder.service(name, service);
        }
        // After the services: a service may be called "orders-primary", and its own name comes before another's alias.
        for (name, service) in &zone.services {
            builder.host(&format!("{name}-primary"), published(zone, &service.primaries).map(|(_, address)| address));
        }
        builder.apex(servers);
        builder.finish()
    }
}

fn published<'a>(zone: &'a Zone, members: &'a [MemberName]) -> impl Iterator<Item = (&'a MemberName, IpAddr)> {
    members.iter().filter_map(|member| Some((member, zone.members.get(member)?.address)))
}

struct Builder<'a> {
    zone: &'a Zone,
    apex: Vec<u8>,
    ttl: u32,
    names: HashMap<Vec<u8>, Node, BuildHasherDefault<DefaultHasher>>,
    soa_tail: Vec<u8>,
}

impl<'a> Builder<'a> {
    fn new(zone: &'a Zone, ttl: u32) -> Self {
        let apex = encode(zone.name.as_str()).expect("a checked zone name has at most 200 characters");
        Self { zone, apex, ttl, names: HashMap::default(), soa_tail: Vec::new() }
    }

    /// `label` (one or several, with dots) below the zone, on the wire; `None`, and a line in the log, if it is none.
    fn name(&self, label: &str) -> Option<Vec<u8>> {
        let name = encode(&format!("{label}.{}", self.zone.name));
        if name.is_none() {
            tracing::warn!(label, zone = %self.zone.name, "left out of the zone: not a DNS name");
        }
        name
    }

    /// A name with addresses, perhaps none. The first to come has the name.
    fn host(&mut self, label: &str, addresses: impl IntoIterator<Item = IpAddr>) {
        let Some(name) = self.name(label) else { return };
        if self.names.contains_key(&name) {
            tracing::warn!(label, zone = %self.zone.name, "left out of the zone: something else has this name");
            return;
        }
        let (v4, v6): (Vec<_>, Vec<_>) = addresses.into_iter().partition(IpAddr::is_ipv4);
        let sets = [(kind::A, v4), (kind::AAAA, v6)].into_iter().filter(|(_, addresses)| !addresses.is_empty());
        let node = sets.map(|(rtype, addresses)| (rtype, self.addresses(&addresses))).collect();
        self.names.insert(name, node);
    }

    fn addresses(&self, addresses: &[IpAddr]) -> Rrset {
        let owner = pointer(HEADER);
        let mut set = SetBuilder::default();
        for address in addresses {
            set.answer(|writer| writer.address(&owner, self.ttl, *address));
        }
        set.finish()
    }

    fn service(&mut self, name: &str, service: &ZoneService) {
        let zone = self.zone;
        self.host(name, published(zone, &service.members).map(|(_, address)| address));
        let Some(owner) = self.name(&format!("_{}._tcp.{name}", service.protocol)) else {
            return;
        };
        let targets: Vec<_> = published(zone, &service.members)
            .filter_map(|(member, address)| Some((self.name(member.as_str())?, address)))
            .collect();
        let mut set = SetBuilder::default();
        for (target, _) in &targets {
            // Priority and weight 0: all members alike. RFC 2782 forbids to compress the target.
            let data = [&[0; 4][..], &service.port.to_be_bytes(), target].concat();
            set.answer(|writer| writer.record(&pointer(HEADER), kind::SRV, self.ttl, &data));
        }
        for (target, address) in &targets {
            set.additional(|writer| writer.address(target, self.ttl, *address));
        }
        let node = if targets.is_empty() { Node::new() } else { vec![(kind::SRV, set.finish())] };
        self.names.insert(owner, node);
    }

    /// SOA and NS. The name server is `ns`, or `ns1`, … where a service has that name.
    fn apex(&mut self, servers: &[IpAddr]) {
        let label = std::iter::once("ns".to_owned())
            .chain((1..).map(|n| format!("ns{n}")))
            .find(|label| self.name(label).is_none_or(|name| !self.names.contains_key(&name)))
            .expect("an endless list");
        self.host(&label, servers.iter().copied());
        let (Some(server), Some(mailbox)) = (self.name(&label), self.name("hostmaster")) else {
            return;
        };
        let mut data = [server.as_slice(), &mailbox].concat();
        let mut writer = Writer(&mut data);
        // Serial, refresh, retry, expire, minimum: secondary servers are not expected, the values are usual.
        for value in [self.zone.serial, 3600, 600, 86_400, NEGATIVE_TTL.min(self.ttl)] {
            writer.u32(value);
        }
        Writer(&mut self.soa_tail).record(&[], kind::SOA, NEGATIVE_TTL.min(self.ttl), &data);
        let (mut soa, mut ns) = (SetBuilder::default(), SetBuilder::default());
        soa.answer(|writer| writer.record(&pointer(HEADER), kind::SOA, self.ttl, &data));
        ns.answer(|writer| writer.record(&pointer(HEADER), kind::NS, self.ttl, &server));
        for address in servers {
            ns.additional(|writer| writer.address(&server, self.ttl, *address));
        }
        self.names.insert(self.apex.clone(), vec![(kind::SOA, soa.finish()), (kind::NS, ns.finish())]);
    }

    /// Adds the names between those with records and the apex: they exist, with no records (RFC 8020).
    fn finish(mut self) -> Table {
        let mut between: BTreeMap<Vec<u8>, ()> = BTreeMap::new();
        for name in self.names.keys() {
            let mut rest = name.as_slice();
            while rest.len() > self.apex.len() {
                rest = &rest[usize::from(rest[0]) + 1..];
                if !self.names.contains_key(rest) {
                    between.insert(rest.to_vec(), ());
                }
            }
        }
        self.names.extend(between.into_keys().map(|name| (name, Node::new())));
        Table { names: self.names, zone_length: self.apex.len(), soa_tail: self.soa_tail, ttl: self.ttl }
    }
}

/// Collects records; those beyond what a message holds are left out.
#[derive(Default)]
struct SetBuilder(Rrset);

impl SetBuilder {
    fn answer(&mut self, write: impl FnOnce(&mut Writer<'_>)) {
        if self.push(write) {
            self.0.answer_length = self.0.bytes.len();
            self.0.answers += 1;
        }
    }

    fn additional(&mut self, write: impl FnOnce(&mut Writer<'_>)) {
        if self.push(write) {
            self.0.additionals += 1;
        }
    }

    fn push(&mut self, write: impl FnOnce(&mut Writer<'_>)) -> bool {
        let before = self.0.bytes.len();
        write(&mut Writer(&mut self.0.bytes));
        let fits = self.0.bytes.len() <= RECORDS_MAX;
        if !fits {
            self.0.bytes.truncate(before);
        }
        fits
    }

    fn finish(self) -> Rrset {
        self.0
    }
}
