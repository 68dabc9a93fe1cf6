//! Where members go.

use super::*;
use crate::example::{id, member};

fn site(name: &str, zone: Option<&str>) -> Site {
    let id = name.parse().expect("a name");
    Site { id, zone: zone.map(str::to_owned), present: true, suspect: false, drained: false, tenants: vec![] }
}

fn sites(nodes: Vec<Site>) -> Sites {
    Sites { several: true, shared_addresses: false, nodes }
}

fn tenant(index: u16) -> Tenant {
    Tenant { service: id(), member: member(index), port: 5432 }
}

fn stranger(number: u16) -> Tenant {
    let service = format!("{number:032x}").parse().expect("an id");
    Tenant { service, member: format!("other-{number}").parse().expect("a name"), port: 5432 }
}

fn place(zone: &str) -> Place {
    Place { region: "here".parse().expect("a region"), zone: zone.into() }
}

fn chosen(sites: &Sites, index: u16, places: &[Place]) -> Option<String> {
    choose(sites, &Guest { tenant: tenant(index), index, places }, None).map(|id| id.to_string())
}

#[test]
fn members_of_a_service_are_kept_apart() {
    let mut sites = sites(vec![site("a", None), site("b", None), site("c", None)]);
    for (index, expected) in ["a", "b", "c", "a"].into_iter().enumerate() {
        let index = u16::try_from(index).expect("small");
        let node = chosen(&sites, index, &[]).expect("one");
        assert_eq!(node, expected);
        sites.settle(&node.parse().expect("a name"), tenant(index));
    }
}

#[test]
fn the_emptier_node_is_chosen() {
    let mut full = site("a", None);
    full.tenants = vec![stranger(1), stranger(2)];
    assert_eq!(chosen(&sites(vec![full, site("b", None)]), 0, &[]).as_deref(), Some("b"));
}

#[test]
fn apart_counts_more_than_empty() {
    let (mut a, mut b) = (site("a", None), site("b", None));
    a.tenants = vec![tenant(1)];
    b.tenants = vec![stranger(1), stranger(2), stranger(3)];
    assert_eq!(chosen(&sites(vec![a, b]), 0, &[]).as_deref(), Some("b"));
}

#[test]
fn lost_and_drained_nodes_are_never_chosen() {
    let (mut a, mut b) = (site("a", None), site("b", None));
    a.present = false;
    b.drained = true;
    assert_eq!(chosen(&sites(vec![a.clone(), b.clone()]), 0, &[]), None);
    assert_eq!(chosen(&sites(vec![a, b, site("c", None)]), 0, &[]).as_deref(), Some("c"));
}

#[test]
fn zones_asked_for_are_kept_and_shared_out() {
    let mut sites = sites(vec![site("a", Some("x")), site("b", Some("x")), site("c", Some("y")), site("d", Some("z"))]);
    let places = [place("x"), place("y")];
    for (index, expected) in ["a", "c", "b"].into_iter().enumerate() {
        let index = u16::try_from(index).expect("small");
        let node = chosen(&sites, index, &places).expect("one");
        assert_eq!(node, expected);
        sites.settle(&node.parse().expect("a name"), tenant(index));
    }
    assert_eq!(chosen(&sites, 0, &[place("nowhere")]), None);
}

#[test]
fn without_wishes_zones_are_shared_out_too() {
    let mut sites = sites(vec![site("a", Some("x")), site("b", Some("x")), site("c", Some("y"))]);
    sites.settle(&"a".parse().expect("a name"), tenant(0));
    assert_eq!(chosen(&sites, 1, &[]).as_deref(), Some("c"));
}

#[test]
fn with_shared_addresses_a_port_is_given_once_a_node() {
    let mut a = site("a", None);
    a.tenants = vec![stranger(1)];
    let shared = |nodes| Sites { shared_addresses: true, ..sites(nodes) };
    assert_eq!(chosen(&shared(vec![a.clone()]), 0, &[]), None);
    a.tenants = vec![tenant(0)];
    assert_eq!(chosen(&shared(vec![a]), 0, &[]).as_deref(), Some("a"), "its own port does not stand in its way");
}

#[test]
fn a_node_that_somebody_misses_is_the_last_choice() {
    let (mut a, mut b) = (site("a", None), site("b", None));
    a.suspect = true;
    b.tenants = vec![tenant(1), stranger(1)];
    assert_eq!(chosen(&sites(vec![a.clone(), b]), 0, &[]).as_deref(), Some("b"));
    assert_eq!(chosen(&sites(vec![a]), 0, &[]).as_deref(), Some("a"));
}
