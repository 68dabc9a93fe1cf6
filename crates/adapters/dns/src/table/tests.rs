//! What a zone becomes: which names exist, with which records.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use om_model::Epoch;
use om_model::zone::ZoneMember;

use super::*;

fn ip(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, last))
}

/// A zone with one service for each name, of one member that is published.
fn zone(services: &[&str]) -> Zone {
    let member = |name: &str| -> MemberName { format!("{name}-0").parse().expect("a member") };
    let entry =
        |last| ZoneMember { service: "a".repeat(32).parse().expect("an id"), epoch: Epoch::new(1), address: ip(last) };
    let service = |name: &str| ZoneService {
        protocol: "postgresql".into(),
        port: 5432,
        members: vec![member(name), "not-published-9".parse().expect("a member")],
        primaries: vec![member(name)],
    };
    Zone {
        name: "test.com".parse().expect("a zone"),
        serial: 7,
        fixed: BTreeMap::new(),
        members: services.iter().zip(1..).map(|(name, last)| (member(name), entry(last))).collect(),
        services: services.iter().map(|name| ((*name).to_owned(), service(name))).collect(),
    }
}

fn find<'a>(table: &'a Table, label: &str, rtype: u16) -> Option<&'a Rrset> {
    let node = table.node(&encode(&format!("{label}test.com")).expect("a name"))?;
    node.iter().find(|(found, _)| *found == rtype).map(|(_, set)| set)
}

fn exists(table: &Table, label: &str) -> bool {
    table.node(&encode(&format!("{label}test.com")).expect("a name")).is_some()
}

#[test]
fn names_between_exist_without_records() {
    let table = Table::build(&zone(&["orders"]), &[], 5);
    assert!(find(&table, "_postgresql._tcp.orders.", kind::SRV).is_some());
    assert!(exists(&table, "_tcp.orders.") && find(&table, "_tcp.orders.", kind::SRV).is_none());
    assert!(!exists(&table, "_udp.orders.") && !exists(&table, "not-published-9."));
}

#[test]
fn only_published_members_are_answered_for_a_service() {
    let table = Table::build(&zone(&["orders"]), &[], 5);
    for label in ["orders.", "orders-primary.", "orders-0."] {
        let set = find(&table, label, kind::A).expect("an address");
        assert_eq!((set.answers, &set.answer()[12..]), (1, &[10, 0, 0, 1][..]), "{label}");
    }
    let srv = find(&table, "_postgresql._tcp.orders.", kind::SRV).expect("a record");
    assert_eq!((srv.answers, srv.additionals), (1, 1));
}

#[test]
fn a_service_without_members_is_a_name_without_addresses() {
    let mut zone = zone(&["orders"]);
    zone.members.clear();
    let table = Table::build(&zone, &[], 5);
    for label in ["orders.", "orders-primary.", "_postgresql._tcp.orders."] {
        assert!(exists(&table, label), "{label}");
        assert!(table.node(&encode(&format!("{label}test.com")).expect("a name")).expect("there").is_empty());
    }
}

#[test]
fn a_service_s_own_name_comes_before_another_s_alias_and_before_the_name_server_s() {
    let table = Table::build(&zone(&["ns", "orders", "orders-primary"]), &[ip(99)], 5);
    let address = |label: &str| find(&table, label, kind::A).expect("an address").answer()[12..].to_vec();
    assert_eq!(address("orders-primary."), [10, 0, 0, 3]);
    assert_eq!(address("ns."), [10, 0, 0, 1]);
    assert_eq!(address("ns1."), [10, 0, 0, 99]);
    assert_eq!(find(&table, "", kind::NS).expect("a name server").additionals, 1);
}

#[test]
fn a_label_that_is_none_is_left_out_and_the_rest_stays() {
    let mut zone = zone(&["orders"]);
    zone.fixed =
        [("a..b".to_owned(), vec![ip(50)]), ("x".repeat(64), vec![ip(51)]), ("good".into(), vec![ip(52)])].into();
    let table = Table::build(&zone, &[], 5);
    assert!(find(&table, "good.", kind::A).is_some() && find(&table, "orders.", kind::A).is_some());
}

#[test]
fn record_sets_stop_at_what_a_message_holds() {
    let mut zone = zone(&[]);
    let many = (0..6000u16).map(|n| IpAddr::V4(Ipv4Addr::new(10, 1, n.to_be_bytes()[0], n.to_be_bytes()[1]))).collect();
    zone.fixed = [("many".to_owned(), many)].into();
    let table = Table::build(&zone, &[], 5);
    let set = find(&table, "many.", kind::A).expect("addresses");
    assert!(set.answer().len() <= RECORDS_MAX && set.answer().len() == usize::from(set.answers) * 16);
    assert!(set.answers > 4000);
}
