//! The wire format (RFC 1035, EDNS of RFC 6891), read and written by hand: the hot path allocates nothing.
//!
//! - [`Query`]: a request taken apart; [`Query::parse`] says what to do with one that cannot be.
//! - [`Writer`]: puts records into a buffer.
//!
//! **Invariant:** whatever the bytes are, reading them ends, never panics and never looks outside them.

use std::net::IpAddr;

#[cfg(test)]
mod tests;

/// Length of a message's header.
pub(crate) const HEADER: usize = 12;
/// Longest name on the wire, its root label included.
pub(crate) const NAME_MAX: usize = 255;
/// The largest UDP answer we send: fits every link's packet, so that it is never fragmented (RFC 9715).
pub(crate) const UDP_MAX: usize = 1232;
/// The largest UDP answer a client without EDNS takes.
pub(crate) const UDP_PLAIN_MAX: usize = 512;
/// The largest message there is.
pub(crate) const MESSAGE_MAX: usize = 65_535;

/// Record types and classes, by their numbers.
pub(crate) mod kind {
    pub(crate) const A: u16 = 1;
    pub(crate) const NS: u16 = 2;
    pub(crate) const SOA: u16 = 6;
    pub(crate) const HINFO: u16 = 13;
    pub(crate) const AAAA: u16 = 28;
    pub(crate) const SRV: u16 = 33;
    pub(crate) const OPT: u16 = 41;
    pub(crate) const IXFR: u16 = 251;
    pub(crate) const AXFR: u16 = 252;
    pub(crate) const ANY: u16 = 255;
    pub(crate) const CLASS_IN: u16 = 1;
}

/// Response codes. Those above 15 need EDNS.
pub(crate) mod code {
    pub(crate) const NOERROR: u16 = 0;
    pub(crate) const FORMERR: u16 = 1;
    pub(crate) const SERVFAIL: u16 = 2;
    pub(crate) const NXDOMAIN: u16 = 3;
    pub(crate) const NOTIMP: u16 = 4;
    pub(crate) const REFUSED: u16 = 5;
    pub(crate) const BADVERS: u16 = 16;
}

/// Bits of the header's second word.
pub(crate) mod flag {
    pub(crate) const QR: u16 = 0x8000;
    pub(crate) const OPCODE: u16 = 0x7800;
    pub(crate) const AA: u16 = 0x0400;
    pub(crate) const TC: u16 = 0x0200;
    pub(crate) const RD: u16 = 0x0100;
    pub(crate) const RA: u16 = 0x0080;
    pub(crate) const CD: u16 = 0x0010;
}

/// What EDNS told of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Edns {
    /// The largest UDP answer it takes, as it said.
    pub(crate) payload: u16,
    /// Its EDNS version; we know 0.
    pub(crate) version: u8,
    /// Whether it understands DNSSEC records; copied into the answer (RFC 3225).
    pub(crate) dnssec: bool,
}

/// A request with one question.
pub(crate) struct Query<'a> {
    /// The whole message.
    pub(crate) bytes: &'a [u8],
    /// The header's second word.
    pub(crate) flags: u16,
    /// Where the question ends.
    pub(crate) question_end: usize,
    /// The question's name in lower case, on the wire.
    pub(crate) name: Name,
    /// The type asked for.
    pub(crate) qtype: u16,
    /// The class asked for.
    pub(crate) qclass: u16,
    /// EDNS, if the client speaks it.
    pub(crate) edns: Option<Edns>,
}

/// Why a message cannot be answered as a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// Nothing is to be sent: too short to have an id, or itself an answer.
    Silence,
    /// An answer with this code and without a question.
    Code(u16),
}

/// A name on the wire, in lower case.
#[derive(Clone)]
pub(crate) struct Name {
    bytes: [u8; NAME_MAX],
    length: usize,
}

impl Name {
    /// The wire form, from its first label to the root.
    pub(crate) fn as_wire(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// True if it is `zone` (on the wire, lower case) or below it.
    pub(crate) fn is_within(&self, zone: &[u8]) -> bool {
        let wire = self.as_wire();
        let mut at = 0;
        while wire.len() - at > zone.len() {
            at += usize::from(wire[at]) + 1;
        }
        &wire[at..] == zone
    }
}

impl<'a> Query<'a> {
    /// Takes a message apart.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, Unfit> {
        let header = bytes.first_chunk::<HEADER>().ok_or(Unfit::Silence)?;
        let word = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        let flags = word(2);
        if flags & flag::QR != 0 {
            return Err(Unfit::Silence);
        }
        if flags & flag::OPCODE != 0 {
            return Err(Unfit::Code(code::NOTIMP));
        }
        let malformed = Unfit::Code(code::FORMERR);
        if word(4) != 1 || bytes.len() > MESSAGE_MAX {
            return Err(malformed);
        }
        let (name, at) = read_question_name(bytes).ok_or(malformed)?;
        let (Some(qtype), Some(qclass)) = (read_u16(bytes, at), read_u16(bytes, at + 2)) else {
            return Err(malformed);
        };
        let question_end = at + 4;
        let records = (word(6), word(8), word(10));
        let edns = read_edns(bytes, question_end, records).ok_or(malformed)?;
        Ok(Self { bytes, flags, question_end, name, qtype, qclass, edns })
    }
}

pub(crate) fn read_u16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

/// The question's name, and where it ends. A question has nothing before it to point to, hence no compression.
fn read_question_name(bytes: &[u8]) -> Option<(Name, usize)> {
    let mut name = Name { bytes: [0; NAME_MAX], length: 0 };
    loop {
        let at = HEADER + name.length;
        let length = usize::from(*bytes.get(at)?);
        let end = name.length + length + 1;
        // After this label comes at least the root's octet, unless this is it.
        if length > 63 || end + usize::from(length > 0) > NAME_MAX {
            return None;
        }
        let label = bytes.get(at..=at + length)?;
        let lower = &mut name.bytes[name.length..end];
        lower.copy_from_slice(label);
        // The length octet is at most 63 and no letter.
        lower.make_ascii_lowercase();
        name.length = end;
        if length == 0 {
            return Some((name, HEADER + end));
        }
    }
}

/// Where the name at `at` ends, its pointer not followed.
pub(crate) fn skip_name(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match usize::from(*bytes.get(at)?) {
            0 => return Some(at + 1),
            length @ 1..=63 => at += length + 1,
            0xc0.. => return bytes.get(at + 1).map(|_| at + 2),
            _ => return None,
        }
    }
}

/// Goes through the records after the question for the one OPT; `None` if they are malformed or it is not alone.
fn read_edns(
    bytes: &[u8],
    mut at: usize,
    (answers, authorities, additionals): (u16, u16, u16),
) -> Option<Option<Edns>> {
    let before = usize::from(answers) + usize::from(authorities);
    let mut found = None;
    for index in 0..before + usize::from(additionals) {
        let rooted = bytes.get(at) == Some(&0);
        at = skip_name(bytes, at)?;
        let fixed = bytes.get(at..at + 10)?;
        if fixed[..2] == kind::OPT.to_be_bytes() {
            if index < before || !rooted || found.is_some() {
                return None;
            }
            let payload = u16::from_be_bytes([fixed[2], fixed[3]]);
            found = Some(Edns { payload, version: fixed[5], dnssec: fixed[6] & 0x80 != 0 });
        }
        at += 10 + usize::from(u16::from_be_bytes([fixed[8], fixed[9]]));
        if at > bytes.len() {
            return None;
        }
    }
    (at == bytes.len()).then_some(found)
}

/// Appends records to a buffer.
pub(crate) struct Writer<'a>(pub(crate) &'a mut Vec<u8>);

impl Writer<'_> {
    pub(crate) fn u16(&mut self, value: u16) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    /// A record: `owner` is a name on the wire or a pointer, `data` at most 65,535 octets.
    pub(crate) fn record(&mut self, owner: &[u8], rtype: u16, ttl: u32, data: &[u8]) {
        self.0.extend_from_slice(owner);
        self.u16(rtype);
        self.u16(kind::CLASS_IN);
        self.u32(ttl);
        self.u16(u16::try_from(data.len()).expect("our records are short"));
        self.0.extend_from_slice(data);
    }

    /// An A or AAAA record.
    pub(crate) fn address(&mut self, owner: &[u8], ttl: u32, address: IpAddr) {
        match address {
            IpAddr::V4(v4) => self.record(owner, kind::A, ttl, &v4.octets()),
            IpAddr::V6(v6) => self.record(owner, kind::AAAA, ttl, &v6.octets()),
        }
    }
}

/// A pointer to the name at `offset` of the message.
pub(crate) fn pointer(offset: usize) -> [u8; 2] {
    (0xc000 | u16::try_from(offset & 0x3fff).expect("14 bits")).to_be_bytes()
}

/// `name` (labels between dots, no escapes) on the wire in lower case; `None` if it is no name.
pub(crate) fn encode(name: &str) -> Option<Vec<u8>> {
    let mut wire = Vec::with_capacity(name.len() + 2);
    for label in name.strip_suffix('.').unwrap_or(name).split('.') {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..=63).contains(length))?;
        wire.push(length);
        wire.extend_from_slice(label.to_ascii_lowercase().as_bytes());
    }
    wire.push(0);
    (wire.len() <= NAME_MAX).then_some(wire)
}
