//! Answers as a client reads them, and what no client may be able to provoke.

use std::net::{IpAddr, Ipv4Addr};

use hickory_proto::op::{Edns as HickoryEdns, Message, MessageType, OpCode, Query as HickoryQuery, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RData, RecordType};
use om_model::zone::{Zone, ZoneMember, ZoneService};
use om_model::{Epoch, MemberName};
use proptest::prelude::*;

use super::*;
use crate::wire::encode;

/// Ten members: their SRV records fit a plain UDP answer, with their addresses they do not.
fn members() -> impl Iterator<Item = MemberName> {
    (0..10).map(|n| format!("orders-{n}").parse().expect("a member"))
}

fn entry(address: IpAddr) -> ZoneMember {
    ZoneMember { service: "a".repeat(32).parse().expect("an id"), epoch: Epoch::new(1), address }
}

fn service() -> ZoneService {
    ZoneService { protocol: "mongodb".into(), port: 27017, members: members().collect(), primaries: vec![] }
}

fn table() -> Table {
    let ip = |n: u8| IpAddr::V4(Ipv4Addr::new(10, 0, 0, n));
    let zone = Zone {
        name: "test.com".parse().expect("a zone"),
        serial: 7,
        fixed: [
            ("one".to_owned(), vec![ip(1)]),
            ("six".to_owned(), vec!["fd00::6".parse().expect("an address")]),
            ("forty".to_owned(), (1..=40).map(ip).collect()),
            ("hundred".to_owned(), (1..=100).map(ip).collect()),
            ("a.below".to_owned(), vec![ip(9)]),
        ]
        .into(),
        members: members().zip((1..).map(|n| entry(ip(n)))).collect(),
        services: [("orders".to_owned(), service())].into(),
    };
    Table::build(&zone, &[ip(53)], 5)
}

fn query(name: &str, rtype: RecordType) -> Message {
    let mut message = Message::new(4711, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(HickoryQuery::query(Name::from_ascii(name).expect("a name"), rtype));
    message
}

fn edns(mut message: Message, payload: u16, version: u8) -> Message {
    let mut edns = HickoryEdns::new();
    edns.set_max_payload(payload).set_version(version);
    message.set_edns(edns);
    message
}

struct Answered {
    outcome: Outcome,
    bytes: Vec<u8>,
}

impl Answered {
    fn message(&self) -> Message {
        assert_eq!(self.outcome, Outcome::Reply);
        Message::from_vec(&self.bytes).expect("a whole message")
    }
}

fn ask_at(message: &Message, transport: Transport, forward: bool) -> Answered {
    let (table, zone, mut bytes) = (table(), encode("test.com").expect("a name"), vec![1, 2, 3]);
    let view = View { zone: &zone, table: Some(&table), forward };
    let outcome = answer(&view, &message.to_vec().expect("a message"), transport, &mut bytes);
    Answered { outcome, bytes }
}

fn ask(name: &str, rtype: RecordType) -> Message {
    ask_at(&query(name, rtype), Transport::Udp, false).message()
}

#[test]
fn addresses_with_the_question_s_case_kept() {
    let answer = ask("OnE.TesT.com.", RecordType::A);
    assert_eq!(answer.metadata.id, 4711);
    assert!(answer.metadata.authoritative && answer.metadata.recursion_desired);
    assert!(!answer.metadata.recursion_available && !answer.metadata.truncation && answer.edns.is_none());
    assert_eq!(answer.queries[0].name().to_ascii(), "OnE.TesT.com.");
    assert_eq!(answer.answers[0].name.to_ascii(), "OnE.TesT.com.");
    assert_eq!(answer.answers[0].ttl, 5);
    assert_eq!(answer.answers[0].data.to_string(), "10.0.0.1");
    assert_eq!(ask("six.test.com.", RecordType::AAAA).answers[0].data.to_string(), "fd00::6");
}

#[test]
fn negative_answers_carry_the_soa() {
    for (name, rtype, code) in [
        ("none.test.com.", RecordType::A, ResponseCode::NXDomain),
        ("x.one.test.com.", RecordType::A, ResponseCode::NXDomain),
        ("one.test.com.", RecordType::AAAA, ResponseCode::NoError),
        ("below.test.com.", RecordType::A, ResponseCode::NoError),
        ("below.test.com.", RecordType::ANY, ResponseCode::NoError),
    ] {
        let answer = ask(name, rtype);
        assert_eq!(answer.metadata.response_code, code, "{name}");
        assert!(answer.metadata.authoritative && answer.answers.is_empty(), "{name}");
        assert_eq!(answer.authorities.len(), 1, "{name}");
        let soa = &answer.authorities[0];
        assert_eq!(
            (soa.name.to_ascii().as_str(), soa.ttl, soa.record_type()),
            ("test.com.", 1, RecordType::SOA),
            "{name}"
        );
    }
}

#[test]
fn apex_and_any() {
    let RData::SOA(soa) = ask("test.com.", RecordType::SOA).answers[0].data.clone() else { panic!("no SOA") };
    assert_eq!((soa.serial, soa.mname.to_ascii().as_str()), (7, "ns.test.com."));
    let ns = ask("test.com.", RecordType::NS);
    assert_eq!(ns.answers[0].data.to_string(), "ns.test.com.");
    assert_eq!(ns.additionals[0].data.to_string(), "10.0.0.53");
    let any = ask("hundred.test.com.", RecordType::ANY);
    assert_eq!((any.answers.len(), any.answers[0].record_type()), (1, RecordType::HINFO));
}

#[test]
fn long_answers_are_cut_to_what_the_client_takes() {
    let length = |message: &Message, transport| {
        let answered = ask_at(message, transport, false);
        (answered.bytes.len(), answered.message())
    };
    let forty = query("forty.test.com.", RecordType::A);
    let (size, plain) = length(&forty, Transport::Udp);
    assert!(size <= 512 && plain.metadata.truncation && plain.answers.is_empty());
    let (size, with_edns) = length(&edns(forty.clone(), 1232, 0), Transport::Udp);
    assert!(size <= 1232 && !with_edns.metadata.truncation && with_edns.answers.len() == 40);
    let hundred = query("hundred.test.com.", RecordType::A);
    let (size, beyond) = length(&edns(hundred.clone(), 65_000, 0), Transport::Udp);
    assert!(size <= 1232 && beyond.metadata.truncation, "never more than fits every packet");
    assert_eq!(length(&hundred, Transport::Tcp).1.answers.len(), 100);
}

#[test]
fn additional_records_are_left_out_where_there_is_no_room() {
    let srv = query("_mongodb._tcp.orders.test.com.", RecordType::SRV);
    let plain = ask_at(&srv, Transport::Udp, false);
    assert!(plain.bytes.len() <= 512 && !plain.message().metadata.truncation);
    assert_eq!((plain.message().answers.len(), plain.message().additionals.len()), (10, 0));
    let roomy = ask_at(&edns(srv, 1232, 0), Transport::Udp, false).message();
    assert_eq!((roomy.answers.len(), roomy.additionals.len()), (10, 10));
}

#[test]
fn edns_is_answered_and_an_unknown_version_refused() {
    let answer = ask_at(&edns(query("one.test.com.", RecordType::A), 1400, 0), Transport::Udp, false).message();
    assert_eq!(answer.edns.expect("OPT").max_payload(), 1232);
    let tiny = ask_at(&edns(query("one.test.com.", RecordType::A), 0, 0), Transport::Udp, false).message();
    assert_eq!(tiny.answers.len(), 1, "less than 512 means 512");
    let refused = ask_at(&edns(query("one.test.com.", RecordType::A), 1232, 1), Transport::Udp, false);
    let refused = refused.message();
    let opt = refused.edns.clone().expect("OPT");
    assert_eq!((opt.rcode_high(), opt.version(), refused.answers.len()), (1, 0, 0));
    assert_eq!(refused.metadata.response_code.low(), 0, "BADVERS is 16");
}

#[test]
fn what_is_not_ours_is_refused_or_forwarded_and_ours_never_leaves() {
    let forwarded = |message: &Message| matches!(ask_at(message, Transport::Udp, true).outcome, Outcome::Forward(_));
    let other = query("example.org.", RecordType::A);
    let code = |message: &Message, forward| ask_at(message, Transport::Udp, forward).message().metadata.response_code;
    assert_eq!(code(&other, false), ResponseCode::Refused);
    assert!(
        forwarded(&other)
            && forwarded(&query("xtest.com.", RecordType::A))
            && forwarded(&query("com.", RecordType::NS))
    );
    assert_eq!(ask_at(&edns(other.clone(), 4096, 0), Transport::Udp, true).outcome, Outcome::Forward(1232));
    let mut not_recursive = other;
    not_recursive.metadata.recursion_desired = false;
    assert_eq!(code(&not_recursive, true), ResponseCode::Refused);
    assert_eq!(code(&query("example.org.", RecordType::AXFR), true), ResponseCode::Refused);
    assert_eq!(code(&query("test.com.", RecordType::AXFR), true), ResponseCode::Refused);
    let mut chaos = query("one.test.com.", RecordType::A);
    chaos.queries[0].set_query_class(DNSClass::CH);
    for name in ["one.test.com.", "none.TEST.com.", "test.com."] {
        assert!(!forwarded(&query(name, RecordType::A)), "{name}");
    }
    assert_eq!(code(&chaos, true), ResponseCode::Refused);
}

#[test]
fn without_a_zone_its_names_fail_and_stay_here() {
    let (zone, mut bytes) = (encode("test.com").expect("a name"), Vec::new());
    let view = View { zone: &zone, table: None, forward: true };
    let message = query("one.test.com.", RecordType::A).to_vec().expect("a message");
    assert_eq!(answer(&view, &message, Transport::Udp, &mut bytes), Outcome::Reply);
    assert_eq!(Message::from_vec(&bytes).expect("whole").metadata.response_code, ResponseCode::ServFail);
}

#[test]
fn other_opcodes_and_broken_messages() {
    let mut bytes = query("one.test.com.", RecordType::A).to_vec().expect("a message");
    let (table, zone, mut out) = (table(), encode("test.com").expect("a name"), Vec::new());
    let view = View { zone: &zone, table: Some(&table), forward: false };
    let mut code = |bytes: &[u8]| {
        assert_eq!(answer(&view, bytes, Transport::Udp, &mut out), Outcome::Reply);
        Message::from_vec(&out).expect("whole").metadata.response_code
    };
    assert_eq!(code(&bytes[..20]), ResponseCode::FormErr);
    bytes[2] |= 5 << 3;
    assert_eq!(code(&bytes), ResponseCode::NotImp);
}

/// Queries of every kind with some octets changed, and plain noise.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let names =
        prop::sample::select(vec!["one.test.com.", "hundred.test.com.", "none.test.com.", "test.com.", "a.org."]);
    let types = any::<u16>().prop_map(RecordType::from);
    let change = (any::<prop::sample::Index>(), any::<u8>());
    let changed = (names, types, prop::option::of(any::<u16>()), prop::collection::vec(change, 0..4)).prop_map(
        |(name, rtype, payload, changes)| {
            let plain = query(name, rtype);
            let message = payload.map_or(plain.clone(), |payload| edns(plain, payload, 0));
            let mut bytes = message.to_vec().expect("a message");
            for (at, value) in changes {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            bytes
        },
    );
    prop_oneof![changed, prop::collection::vec(any::<u8>(), 0..1500)]
}

proptest! {
    #[test]
    fn no_message_gets_an_answer_that_is_too_long_or_broken(bytes in hostile(), tcp: bool, forward: bool) {
        let (table, zone, mut out) = (table(), encode("test.com").expect("a name"), Vec::new());
        let view = View { zone: &zone, table: Some(&table), forward };
        let transport = if tcp { Transport::Tcp } else { Transport::Udp };
        let outcome = answer(&view, &bytes, transport, &mut out);
        if let Outcome::Forward(limit) = outcome {
            prop_assert!(forward && (512..=65_535).contains(&limit));
            fail(&bytes, limit, &mut out);
        }
        if outcome == Outcome::Silence {
            prop_assert!(bytes.len() < 12 || bytes[2] & 0x80 != 0);
        } else {
            let with_edns = Query::parse(&bytes).ok().and_then(|query| query.edns);
            let taken = with_edns.map_or(512, |edns| usize::from(edns.payload).clamp(512, 1232));
            let limit = if tcp { 65_535 } else { taken };
            prop_assert!(out.len() <= limit);
            prop_assert_eq!(&out[..2], &bytes[..2]);
            prop_assert!(out[2] & 0x80 != 0);
            let message = Message::from_vec(&out);
            prop_assert!(message.is_ok(), "{:?} to {:?}", message, bytes);
        }
    }
}
