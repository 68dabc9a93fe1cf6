//! Epochs do not go back, whatever order zones come in.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use om_model::Epoch;
use proptest::prelude::*;

use super::*;

fn zone(service: char, epoch: u64, last: u8) -> Zone {
    let entry = ZoneMember {
        service: service.to_string().repeat(32).parse().expect("an id"),
        epoch: Epoch::new(epoch),
        address: IpAddr::V4(Ipv4Addr::new(10, 0, 0, last)),
    };
    Zone {
        name: "test.com".parse().expect("a zone"),
        serial: 1,
        fixed: BTreeMap::new(),
        members: [("orders-0".parse().expect("a member"), entry)].into(),
        services: BTreeMap::new(),
    }
}

fn only(zone: &Zone) -> (u64, IpAddr) {
    let entry = zone.members.values().next().expect("one member");
    (entry.epoch.get(), entry.address)
}

#[test]
fn the_same_epoch_may_change_its_address_and_another_service_starts_anew() {
    let mut epochs = Epochs::default();
    let mut step = |mut zone: Zone| {
        epochs.advance(&mut zone);
        only(&zone)
    };
    let address = |last| IpAddr::V4(Ipv4Addr::new(10, 0, 0, last));
    assert_eq!(step(zone('a', 5, 1)), (5, address(1)));
    assert_eq!(step(zone('a', 4, 2)), (5, address(1)));
    assert_eq!(step(zone('a', 5, 3)), (5, address(3)));
    assert_eq!(step(zone('b', 1, 4)), (1, address(4)), "same name, another service");
    assert_eq!(step(zone('a', 1, 5)), (5, address(3)), "remembered while it was away");
}

proptest! {
    #[test]
    fn never_back(steps in proptest::collection::vec((0u64..6, 0u8..4), 1..40)) {
        let mut epochs = Epochs::default();
        let mut last = 0;
        for (epoch, address) in steps {
            let mut zone = zone('a', epoch, address);
            epochs.advance(&mut zone);
            let (answered, _) = only(&zone);
            prop_assert!(answered >= last && answered >= epoch);
            last = answered;
        }
    }
}
