//! What must hold whatever happened: invariants of design §2 as far as one server and one node can break them.

use futures::executor::block_on;
use om_backend::DeploymentState;
use om_controldb::{ControlDb, Key};
use om_model::{Phase, ServiceName, ServiceRecord, VolumeId};

use crate::cluster::Cluster;

/// The service as its record has it, read past all faults.
pub fn service(cluster: &Cluster, name: &ServiceName) -> Option<ServiceRecord> {
    let key = Key::new(format!("services/{name}")).expect("a service's name makes a key");
    let entry = block_on(cluster.db.get(&key)).expect("the in-memory store always answers")?;
    #[derive(serde::Deserialize)]
    struct Envelope {
        record: ServiceRecord,
    }
    Some(serde_json::from_slice::<Envelope>(&entry.value).expect("a record reads back").record)
}

/// Keys under `prefix`.
pub fn keys(cluster: &Cluster, prefix: &str) -> Vec<String> {
    let prefix = Key::new(prefix).expect("a prefix");
    let page = block_on(cluster.db.list(&prefix, None, om_controldb::PAGE_MAX));
    let page = page.expect("the in-memory store always answers");
    page.entries.into_iter().map(|entry| entry.key.as_str().to_owned()).collect()
}

/// Nothing of any service is left but what `kept` names.
///
/// # Panics
/// Names what is left.
pub fn nothing_left(cluster: &Cluster, kept: &[VolumeId]) {
    for prefix in ["services/", "service-ids/", "members/", "addresses/", "pending/"] {
        assert_eq!(keys(cluster, prefix), Vec::<String>::new(), "left under {prefix}");
    }
    let secrets: Vec<_> =
        keys(cluster, "secrets/").into_iter().filter(|k| !k.starts_with("secrets/cluster/")).collect();
    assert_eq!(secrets, Vec::<String>::new(), "secrets left");
    let world = cluster.world.lock();
    assert!(world.deployments.is_empty(), "deployments left: {:?}", world.deployments.keys());
    let volumes: Vec<_> = world.volumes.keys().cloned().collect();
    assert_eq!(volumes, kept, "volumes left");
    drop(world);
    let members = cluster.names.zone().map(|zone| zone.members).unwrap_or_default();
    assert!(members.is_empty(), "names left: {members:?}");
}

/// The service is there and does what its phase promises.
///
/// # Panics
/// Says what it does not do.
pub fn keeps_its_promise(cluster: &Cluster, name: &ServiceName) -> ServiceRecord {
    let service = service(cluster, name).expect("the service exists");
    assert!(service.queue.is_empty(), "operations left in the queue: {:?}", service.queue);
    assert_eq!(keys(cluster, "pending/"), Vec::<String>::new(), "pending operations left");
    let world = cluster.world.lock();
    let states: Vec<_> = world.deployments.values().map(|(spec, state)| (spec.member.clone(), *state)).collect();
    let expected = match service.phase {
        Phase::Active => DeploymentState::Running,
        Phase::Stopped => DeploymentState::Stopped,
        other => panic!("the service was left {}", other.as_str()),
    };
    assert_eq!(states.len(), usize::from(service.spec.replicas), "one deployment per member: {states:?}");
    assert!(states.iter().all(|(_, state)| *state == expected), "{expected:?} expected: {states:?}");
    let volumes = usize::from(service.spec.replicas) * service.spec.volumes.each().count();
    assert_eq!(world.volumes.len(), volumes, "one volume per member and role");
    if service.phase == Phase::Active {
        for grant in world.mounted.values() {
            assert_eq!(grant.config.configuration, service.configuration, "{} runs an old configuration", grant.member);
        }
    }
    drop(world);
    let named = cluster.names.zone().map(|zone| zone.members.len()).unwrap_or_default();
    let expected = if service.phase == Phase::Active { usize::from(service.spec.replicas) } else { 0 };
    assert_eq!(named, expected, "names published");
    service
}
