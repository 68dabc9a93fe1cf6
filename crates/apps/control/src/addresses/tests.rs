use super::*;
use crate::tests::world::{Server, member, orders};

fn offered(subnet: &str, prefix: u8, gateway: &str) -> Vec<String> {
    let subnet = (subnet.parse().expect("an address"), prefix);
    let network = Network { subnet, gateway: gateway.parse().expect("an address") };
    candidates(&network).expect("an IPv4 network").map(|address| address.to_string()).collect()
}

#[test]
fn members_get_addresses_of_the_lower_half_only() {
    let offered_of_24 = offered("172.30.5.0", 24, "172.30.5.1");
    assert_eq!(offered_of_24.len(), 118);
    assert_eq!(offered_of_24.first().map(String::as_str), Some("172.30.5.10"));
    assert_eq!(
        offered_of_24.last().map(String::as_str),
        Some("172.30.5.127"),
        "from 128 on the orchestrator gives them"
    );
    let offered_of_16 = offered("172.30.0.0", 16, "172.30.0.1");
    assert_eq!(offered_of_16.last().map(String::as_str), Some("172.30.127.255"));
    assert_eq!(
        offered("10.77.3.9", 24, "10.77.3.1").first().map(String::as_str),
        Some("10.77.3.10"),
        "any address of it"
    );
    assert!(offered("10.0.0.0", 28, "10.0.0.1").is_empty(), "too small");
}

#[test]
fn the_gateway_is_nobody_elses() {
    let offered = offered("172.30.5.0", 24, "172.30.5.20");
    assert_eq!(offered.len(), 117);
    assert!(!offered.contains(&"172.30.5.20".to_owned()));
}

#[test]
fn other_networks_are_refused() {
    for (subnet, prefix) in [("fd00::", 64), ("10.0.0.0", 0), ("10.0.0.0", 31)] {
        let subnet = (subnet.parse().expect("an address"), prefix);
        let network = Network { subnet, gateway: "10.0.0.1".parse().expect("an address") };
        let error = candidates(&network).map(drop).expect_err("not usable");
        assert_eq!((error.kind, error.detail.as_str()), (ErrorKind::Invalid, "an IPv4 network is needed"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_member_keeps_its_address_until_it_is_freed() {
    let server = Server::new();
    let (control, service) = (&server.control, "0".repeat(32).parse().expect("an id"));
    let reserve = async |index| {
        control.reserve_address(&orders(), &service, &member(index), None).await.expect("room").to_string()
    };
    // At once, as two services that are created would.
    let (first, second) = futures::join!(reserve(0), reserve(1));
    assert_ne!(first, second);
    assert_eq!(reserve(0).await, first, "asked again");
    let freed = control.free_addresses(&service, &member(0), None).await;
    freed.expect("freed");
    assert_eq!(reserve(1).await, second);
    assert_eq!(reserve(2).await, first, "the lowest that is free");
}
