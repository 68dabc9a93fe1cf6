//! Messages whole, broken and arbitrary.

use hickory_proto::op::{Edns as HickoryEdns, Message, MessageType, OpCode, Query as HickoryQuery};
use hickory_proto::rr::{Name as HickoryName, RecordType};
use proptest::prelude::*;

use super::*;

fn message(name: &str, rtype: RecordType, edns: bool) -> Vec<u8> {
    let mut message = Message::new(7, MessageType::Query, OpCode::Query);
    message.add_query(HickoryQuery::query(HickoryName::from_ascii(name).expect("a name"), rtype));
    if edns {
        let mut edns = HickoryEdns::new();
        edns.set_max_payload(1400).set_version(0).set_dnssec_ok(true);
        message.set_edns(edns);
    }
    message.to_vec().expect("a message")
}

#[test]
fn reads_the_question_in_lower_case_and_edns() {
    let bytes = message("Orders-0.Test-OpenManage.com.", RecordType::SRV, true);
    let query = Query::parse(&bytes).expect("a query");
    assert_eq!(query.name.as_wire(), encode("orders-0.test-openmanage.com").expect("a name"));
    assert_eq!((query.qtype, query.qclass), (kind::SRV, kind::CLASS_IN));
    assert_eq!(query.edns, Some(Edns { payload: 1400, version: 0, dnssec: true }));
    let plain = message("a.", RecordType::A, false);
    assert_eq!(Query::parse(&plain).expect("a query").edns, None);
}

#[test]
fn knows_what_is_within_a_zone_by_labels() {
    let zone = encode("test.com").expect("a name");
    for (name, within) in
        [("test.com.", true), ("a.b.test.com.", true), ("xtest.com.", false), ("com.", false), (".", false)]
    {
        let bytes = message(name, RecordType::A, false);
        assert_eq!(Query::parse(&bytes).expect("a query").name.is_within(&zone), within, "{name}");
    }
}

#[test]
fn says_what_to_do_with_what_is_no_query() {
    let good = message("a.test.com.", RecordType::A, true);
    let outcome = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        Query::parse(&bytes).err()
    };
    let formerr = Some(Unfit::Code(code::FORMERR));
    assert_eq!(outcome(&|_| ()), None);
    assert_eq!(outcome(&|bytes| bytes.truncate(11)), Some(Unfit::Silence));
    assert_eq!(outcome(&|bytes| bytes[2] |= 0x80), Some(Unfit::Silence), "an answer");
    assert_eq!(outcome(&|bytes| bytes[2] |= 0x28), Some(Unfit::Code(code::NOTIMP)), "an update");
    assert_eq!(outcome(&|bytes| bytes[5] = 2), formerr, "two questions");
    assert_eq!(outcome(&|bytes| bytes[5] = 0), formerr, "no question");
    assert_eq!(outcome(&|bytes| bytes[12] = 0xc0), formerr, "a pointer");
    assert_eq!(outcome(&|bytes| bytes[11] = 2), formerr, "a record that is not there");
    assert_eq!(outcome(&|bytes| bytes.push(0)), formerr, "something after the end");
    assert_eq!(outcome(&|bytes| bytes[7] = 1), formerr, "OPT among the answers");
    let doubled = |bytes: &mut Vec<u8>| {
        let opt = bytes[bytes.len() - 11..].to_vec();
        bytes.extend(opt);
        bytes[11] = 2;
    };
    assert_eq!(outcome(&doubled), formerr, "two OPT");
    for length in HEADER..good.len() {
        assert_eq!(outcome(&|bytes| bytes.truncate(length)), formerr, "cut to {length}");
    }
}

#[test]
fn the_longest_name_is_read_and_a_longer_one_is_not() {
    let labels = |last: usize| [vec!["a".repeat(63); 3], vec!["b".repeat(last)]].concat().join(".");
    assert_eq!(encode(&labels(61)).expect("255 octets").len(), NAME_MAX);
    assert!(encode(&labels(62)).is_none() && encode("a..b").is_none() && encode("").is_none());
    let asked = |labels: &[usize]| {
        let mut bytes = [&[0, 7, 1, 0, 0, 1][..], &[0; 6]].concat();
        for length in labels {
            bytes.push(u8::try_from(*length).expect("short"));
            bytes.extend(std::iter::repeat_n(b'x', *length));
        }
        bytes.extend([0, 0, 1, 0, 1]);
        Query::parse(&bytes).is_ok()
    };
    assert!(asked(&[63, 63, 63, 61]));
    assert!(!asked(&[63, 63, 63, 62]) && !asked(&[63, 63, 63, 63]) && !asked(&[64]));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        if let Ok(query) = Query::parse(&bytes) {
            prop_assert!(query.question_end <= bytes.len());
            let _ = query.name.is_within(&[4, b't', b'e', b's', b't', 0]);
        }
    }
}
