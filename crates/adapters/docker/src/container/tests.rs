//! Tests of the container's definition.

use std::collections::BTreeMap;
use std::time::Duration;

use om_model::{ByteSize, Resources};

use super::*;

fn spec() -> DeploymentSpec {
    DeploymentSpec {
        name: "orders-0-01234567".to_owned(),
        service: "0123456789abcdef0123456789abcdef".parse().unwrap(),
        service_name: "orders".parse().unwrap(),
        member: "orders-0".parse().unwrap(),
        image: "openmanage/postgresql:15".to_owned(),
        entrypoint: vec!["/data/.openmanage/openmanage-member".to_owned()],
        volumes: BTreeMap::from([("/data".to_owned(), "0123456789abcdef0123456789abcdef_orders-0".to_owned())]),
        node: None,
        address: Some("172.30.0.10".parse().unwrap()),
        resources: Resources { memory: ByteSize::bytes(512 << 20), cpu_millis: Some(1500) },
        stop_within: Duration::from_secs(60),
        shared_memory: 128 << 20,
    }
}

fn around() -> Surroundings {
    Surroundings {
        cluster: "test".to_owned(),
        network: "openmanage-test".to_owned(),
        gateway: "172.30.0.1".to_owned(),
        volume_driver: "openmanage".to_owned(),
    }
}

fn label(spec: &DeploymentSpec, around: &Surroundings) -> String {
    definition(spec, around).labels.unwrap()[LABEL_SPEC].clone()
}

#[test]
fn the_digest_is_stable_and_sees_every_difference() {
    let known = label(&spec(), &around());
    assert!((0..20).all(|_| label(&spec(), &around()) == known), "map order does not matter");
    let mut other = spec();
    other.stop_within += Duration::from_secs(1);
    assert_ne!(label(&other, &around()), known);
    let mut elsewhere = around();
    elsewhere.gateway = "172.31.0.1".to_owned();
    assert_ne!(label(&spec(), &elsewhere), known);
}

#[test]
fn limits_and_mounts_are_what_was_asked() {
    let host = definition(&spec(), &around()).host_config.unwrap();
    assert_eq!(
        (host.memory, host.memory_swap, host.nano_cpus),
        (Some(512 << 20), Some(512 << 20), Some(1_500_000_000))
    );
    let mounts = host.mounts.unwrap();
    let options = mounts[0].volume_options.as_ref().unwrap();
    assert_eq!(options.no_copy, Some(true));
    assert_eq!(options.driver_config.as_ref().unwrap().name.as_deref(), Some("openmanage"));
}
