//! Tests of subnets and routes.

use super::*;

fn subnet(text: &str) -> Subnet {
    Subnet::parse(text).unwrap()
}

#[test]
fn subnets_parse_and_print() {
    assert_eq!(subnet("172.30.0.0/16").to_string(), "172.30.0.0/16");
    for bad in ["172.30.0.1/16", "172.30.0.0", "172.30.0.0/33", "fd00::/64", "x/16", ""] {
        assert_eq!(Subnet::parse(bad), None, "{bad}");
    }
    assert!(CANDIDATES.iter().all(|text| Subnet::parse(text).is_some()));
}

#[test]
fn members_and_guests_are_apart() {
    assert_eq!(subnet("172.30.0.0/16").gateway(), Ipv4Addr::new(172, 30, 0, 1));
    assert_eq!(subnet("172.30.0.0/16").upper_half(), "172.30.128.0/17");
    assert_eq!(subnet("192.168.240.0/20").upper_half(), "192.168.248.0/21");
}

#[test]
fn overlap_is_seen_both_ways() {
    let (wide, narrow) = (subnet("10.0.0.0/8"), subnet("10.89.0.0/16"));
    assert!(wide.overlaps(narrow) && narrow.overlaps(wide));
    assert!(!narrow.overlaps(subnet("10.90.0.0/16")));
}

#[test]
fn the_kernels_routes_are_read() {
    let table = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
        eth0\t00000000\t0100A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
        docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n";
    assert_eq!(routed(table), [subnet("172.17.0.0/16")]);
    assert!(routed("").is_empty());
}
