//! Tests of the service's definition.

use std::collections::BTreeMap;

use om_backend::Network;
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
        node: Some("node2".parse().unwrap()),
        address: Some("10.0.0.10".parse().unwrap()),
        resources: Resources { memory: ByteSize::bytes(512 << 20), cpu_millis: Some(1500) },
        stop_within: Duration::from_secs(60),
        shared_memory: 128 << 20,
    }
}

fn settings() -> Settings {
    let network = Network { subnet: ("10.0.0.0".parse().unwrap(), 24), gateway: "10.0.0.1".parse().unwrap() };
    Settings::new("test".parse().unwrap(), network)
}

fn digest(spec: &DeploymentSpec, settings: &Settings) -> String {
    definition(spec, settings).labels.unwrap()[LABEL_SPEC].clone()
}

fn made(body: ServiceSpec) -> Service {
    Service { spec: Some(body), ..Service::default() }
}

#[test]
fn the_digest_is_stable_and_sees_every_difference() {
    let known = digest(&spec(), &settings());
    assert!((0..20).all(|_| digest(&spec(), &settings()) == known), "map order does not matter");
    let mut other = spec();
    other.stop_within += Duration::from_secs(1);
    assert_ne!(digest(&other, &settings()), known);
    let mut moved = spec();
    moved.node = Some("node3".parse().unwrap());
    assert_ne!(digest(&moved, &settings()), known);
    let mut elsewhere = settings();
    elsewhere.nameservers.push("127.0.0.1".parse().unwrap());
    assert_ne!(digest(&spec(), &elsewhere), known);
}

#[test]
fn limits_mounts_and_place_are_what_was_asked() {
    let task = definition(&spec(), &settings()).task_template.unwrap();
    let limits = task.resources.unwrap().limits.unwrap();
    assert_eq!((limits.memory_bytes, limits.nano_cpus), (Some(512 << 20), Some(1_500_000_000)));
    assert_eq!(task.placement.unwrap().constraints.unwrap(), ["node.hostname==node2"]);
    assert_eq!(task.networks.unwrap()[0].target.as_deref(), Some("host"));
    assert_eq!(task.restart_policy.unwrap().delay, Some(250_000_000));
    let container = task.container_spec.unwrap();
    assert_eq!(container.stop_grace_period, Some(60_000_000_000));
    assert_eq!(container.labels.unwrap()[LABEL_MEMBER], "orders-0");
    assert!(container.dns_config.is_none());
    let [data, memory] = &container.mounts.unwrap()[..] else { panic!("a volume and the shared memory") };
    let options = data.volume_options.as_ref().unwrap();
    assert_eq!(options.no_copy, Some(true));
    assert_eq!(options.driver_config.as_ref().unwrap().name.as_deref(), Some("openmanage"));
    assert_eq!(memory.tmpfs_options.as_ref().unwrap().size_bytes, Some(128 << 20));
}

#[test]
fn what_is_asked_is_read_back() {
    let service = made(definition(&spec(), &settings()));
    assert_eq!(pinned_to(&service).unwrap().as_str(), "node2");
    assert_eq!(stop_within(&service), Duration::from_secs(60));
    assert_eq!(replicas(&service), 0);
    assert_eq!(label(&service, LABEL_STARTED), None);
    let started = made(scaled(service.spec.unwrap(), 1));
    assert_eq!((replicas(&started), label(&started, LABEL_STARTED)), (1, Some("true")));
    let stopped = made(scaled(started.spec.unwrap(), 0));
    assert_eq!((replicas(&stopped), label(&stopped, LABEL_STARTED)), (0, Some("true")), "that it was started stays");
}

#[test]
fn long_names_are_cut_and_stay_apart() {
    assert_eq!(swarm_name("orders-0-01234567"), "orders-0-01234567");
    let long = |end: &str| format!("{}-{end}", "a".repeat(60));
    let (one, other) = (swarm_name(&long("01234567-e1")), swarm_name(&long("01234567-e2")));
    assert!(one.len() <= NAME_MAX && other.len() <= NAME_MAX && one != other, "{one} {other}");
    assert_eq!(swarm_name(&long("01234567-e1")), one);
}
