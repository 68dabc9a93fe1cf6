//! From a query to its answer: the hot path, a pure function of the table.
//!
//! **Invariant:** an answer is never longer than the client takes (it is cut and says so), carries the client's id and
//! question, and a name of our zone is answered here or not at all: it is never forwarded.

use crate::table::{Rrset, Table};
use crate::wire::{Edns, HEADER, MESSAGE_MAX, Query, UDP_MAX, UDP_PLAIN_MAX, Unfit, Writer, code, flag, kind, pointer};

#[cfg(test)]
mod tests;

/// Octets of our OPT record.
const OPT_LENGTH: usize = 11;

/// How a query came, which bounds its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Udp,
    Tcp,
}

/// What the server knows when it answers.
pub(crate) struct View<'a> {
    /// The zone's name on the wire, in lower case.
    pub(crate) zone: &'a [u8],
    /// Its answers; `None` before the first publication and after the withdrawal.
    pub(crate) table: Option<&'a Table>,
    /// Whether other zones' names are forwarded for the clients of this listener.
    pub(crate) forward: bool,
}

/// What is to be done with a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Send what is in the buffer.
    Reply,
    /// Ask an upstream; its answer may have this many octets.
    Forward(usize),
    /// Send nothing.
    Silence,
}

/// Answers `bytes` into `out`, whose old content is thrown away.
pub(crate) fn answer(view: &View<'_>, bytes: &[u8], transport: Transport, out: &mut Vec<u8>) -> Outcome {
    out.clear();
    let query = match Query::parse(bytes) {
        Ok(query) => query,
        Err(Unfit::Silence) => return Outcome::Silence,
        Err(Unfit::Code(code)) => return bare(bytes, code, out),
    };
    let limit = limit(&query, transport);
    let ours = query.name.is_within(view.zone);
    let mut reply = Reply { query: &query, forward: view.forward, limit, out };
    if query.edns.is_some_and(|edns| edns.version > 0) {
        return reply.empty(code::BADVERS);
    }
    if ours && query.qclass == kind::CLASS_IN {
        return match view.table {
            Some(table) => reply.by_table(table),
            None => reply.empty(code::SERVFAIL),
        };
    }
    let transfer = matches!(query.qtype, kind::AXFR | kind::IXFR);
    if ours || transfer || !view.forward || query.flags & flag::RD == 0 {
        return reply.empty(code::REFUSED);
    }
    Outcome::Forward(limit)
}

/// The answer to `bytes`, a query that [`answer`] wanted forwarded, when that cannot be done.
pub(crate) fn fail(bytes: &[u8], limit: usize, out: &mut Vec<u8>) {
    out.clear();
    if let Ok(query) = Query::parse(bytes) {
        Reply { query: &query, forward: true, limit, out }.empty(code::SERVFAIL);
    }
}

/// The answer to `bytes`, a query that was forwarded, when the upstream's is longer than the client takes: go to TCP.
pub(crate) fn cut(bytes: &[u8], limit: usize, out: &mut Vec<u8>) {
    out.clear();
    if let Ok(query) = Query::parse(bytes) {
        Reply { query: &query, forward: true, limit, out }.truncated(code::NOERROR, 0);
    }
}

fn limit(query: &Query<'_>, transport: Transport) -> usize {
    match (transport, query.edns) {
        (Transport::Tcp, _) => MESSAGE_MAX,
        (Transport::Udp, None) => UDP_PLAIN_MAX,
        (Transport::Udp, Some(edns)) => usize::from(edns.payload).clamp(UDP_PLAIN_MAX, UDP_MAX),
    }
}

/// An answer without a question, to something whose question cannot be read.
fn bare(bytes: &[u8], code: u16, out: &mut Vec<u8>) -> Outcome {
    let asked = u16::from_be_bytes([bytes[2], bytes[3]]);
    out.extend_from_slice(&bytes[..2]);
    Writer(out).u16(flag::QR | asked & (flag::OPCODE | flag::RD) | code);
    out.resize(HEADER, 0);
    Outcome::Reply
}

struct Reply<'a> {
    query: &'a Query<'a>,
    forward: bool,
    limit: usize,
    out: &'a mut Vec<u8>,
}

/// How many records the sections hold, OPT not counted.
#[derive(Clone, Copy, Default)]
struct Counts {
    answers: u16,
    authorities: u16,
    additionals: u16,
}

impl Reply<'_> {
    fn by_table(&mut self, table: &Table) -> Outcome {
        if matches!(self.query.qtype, kind::AXFR | kind::IXFR) {
            return self.empty(code::REFUSED);
        }
        let Some(node) = table.node(self.query.name.as_wire()) else {
            return self.negative(table, code::NXDOMAIN);
        };
        if self.query.qtype == kind::ANY && !node.is_empty() {
            return self.any(table.ttl);
        }
        match node.iter().find(|(rtype, _)| *rtype == self.query.qtype) {
            Some((_, set)) => self.positive(set),
            None => self.negative(table, code::NOERROR),
        }
    }

    /// Additional records are left out when there is no room, without saying so (RFC 2181, section 9); answers are not.
    fn positive(&mut self, set: &Rrset) -> Outcome {
        let room = self.limit.saturating_sub(self.fixed_length());
        if set.answer().len() > room {
            return self.truncated(code::NOERROR, flag::AA);
        }
        let full = set.answer().len() + set.additional().len() <= room;
        let additionals = if full { set.additionals } else { 0 };
        self.head(code::NOERROR, flag::AA, Counts { answers: set.answers, additionals, ..Counts::default() });
        self.out.extend_from_slice(set.answer());
        if full {
            self.out.extend_from_slice(set.additional());
        }
        self.opt(code::NOERROR)
    }

    /// No such name, or none of this type: the SOA says for how long to believe it (RFC 2308).
    fn negative(&mut self, table: &Table, code: u16) -> Outcome {
        if self.fixed_length() + table.soa_length() > self.limit {
            return self.truncated(code, flag::AA);
        }
        self.head(code, flag::AA, Counts { authorities: 1, ..Counts::default() });
        table.write_soa(self.query.name.as_wire().len(), self.out);
        self.opt(code)
    }

    /// ANY gets the answer that RFC 8482 proposes: nothing to amplify with, and it can be cached.
    fn any(&mut self, ttl: u32) -> Outcome {
        self.head(code::NOERROR, flag::AA, Counts { answers: 1, ..Counts::default() });
        Writer(self.out).record(&pointer(HEADER), kind::HINFO, ttl, b"\x07RFC8482\x00");
        self.opt(code::NOERROR)
    }

    fn empty(&mut self, code: u16) -> Outcome {
        self.head(code, 0, Counts::default());
        self.opt(code)
    }

    /// Ask again over TCP.
    fn truncated(&mut self, code: u16, flags: u16) -> Outcome {
        self.head(code, flags | flag::TC, Counts::default());
        self.opt(code)
    }

    fn fixed_length(&self) -> usize {
        self.query.question_end + if self.query.edns.is_some() { OPT_LENGTH } else { 0 }
    }

    /// Header and question. A code above 15 has its upper bits in OPT.
    fn head(&mut self, code: u16, flags: u16, counts: Counts) {
        let query = self.query;
        let available = if self.forward { flag::RA } else { 0 };
        self.out.extend_from_slice(&query.bytes[..2]);
        let mut writer = Writer(self.out);
        writer.u16(flag::QR | query.flags & (flag::RD | flag::CD) | available | flags | code & 0xf);
        writer.u16(1);
        writer.u16(counts.answers);
        writer.u16(counts.authorities);
        writer.u16(counts.additionals + u16::from(query.edns.is_some()));
        self.out.extend_from_slice(&query.bytes[HEADER..query.question_end]);
    }

    /// The end of every answer: OPT, if the client sent one.
    fn opt(&mut self, code: u16) -> Outcome {
        if let Some(Edns { dnssec, .. }) = self.query.edns {
            let mut writer = Writer(self.out);
            writer.0.push(0);
            writer.u16(kind::OPT);
            writer.u16(u16::try_from(UDP_MAX).expect("1232"));
            // The code's upper bits, then our version, 0.
            writer.u16(code >> 4 << 8);
            writer.u16(if dnssec { 0x8000 } else { 0 });
            writer.u16(0);
        }
        Outcome::Reply
    }
}
