//! The fakes pass the suites that real adapters pass.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::executor::block_on;
use om_backend::conformance::volume::Usage;
use om_backend::fake::{FakeControlPlane, FakeOrchestrator, FakeVolumes, World};
use om_backend::{Attachment, DeploymentSpec, Fencing, Grant, Network, conformance};
use om_engines::MemberConfig;
use om_model::{ByteSize, Epoch, Resources, VolumeSizes};

#[test]
fn orchestrator() {
    let spec = |network: &Network, image: String| DeploymentSpec {
        name: "orders-0-01234567".to_owned(),
        service: "0123456789abcdef0123456789abcdef".parse().unwrap(),
        service_name: "orders".parse().unwrap(),
        member: "orders-0".parse().unwrap(),
        image,
        entrypoint: vec!["/program".to_owned()],
        volumes: BTreeMap::new(),
        node: None,
        address: Some(network.gateway),
        resources: Resources { memory: ByteSize::bytes(1 << 30), cpu_millis: None },
        stop_within: Duration::from_secs(10),
        shared_memory: 1 << 20,
    };
    let world = World::new();
    world.connect(Arc::new(FakeControlPlane::default()));
    block_on(conformance::orchestrator::suite(&FakeOrchestrator::new(world), "some-image:1", &spec));
}

/// What an agent was granted, for the member whose volumes the suite makes.
fn grant() -> Grant {
    let size = ByteSize::bytes(1 << 30);
    let config = MemberConfig {
        service_id: "0123456789abcdef0123456789abcdef".parse().unwrap(),
        service: "orders".parse().unwrap(),
        member: "orders-0".parse().unwrap(),
        index: 0,
        epoch: Epoch::NONE,
        engine: "postgresql".to_owned(),
        version: "15".to_owned(),
        address: "172.30.0.10".parse().unwrap(),
        peers: Vec::new(),
        primary: None,
        resources: Resources { memory: size, cpu_millis: None },
        volumes: VolumeSizes { data: size, journal: None },
        settings: BTreeMap::new(),
        options: BTreeMap::new(),
        configuration: 1,
    };
    let member = config.member.clone();
    Grant { member, epoch: Epoch::new(1), volumes: Vec::new(), config, secrets: Vec::new(), unfenced: Vec::new() }
}

#[test]
fn volumes() {
    let world = World::new();
    let in_use = |_: &Attachment| {
        let (world, grant) = (world.clone(), grant());
        let key = (grant.config.service_id.clone(), grant.member.clone());
        world.lock().mounted.insert(key.clone(), grant);
        Box::new(move || drop(world.lock().mounted.remove(&key))) as Box<dyn FnOnce() + Send>
    };
    block_on(conformance::volume::suite(&FakeVolumes::new(world.clone()), &in_use));
}

/// A use of a fake volume, by the path it was attached at.
struct Used(FakeVolumes, PathBuf);

impl Usage for Used {
    fn write(&mut self, name: &str, text: &str) {
        self.0.write(&self.1, name, text);
    }

    fn read(&self, name: &str) -> Option<String> {
        self.0.read(&self.1, name)
    }

    fn end(self: Box<Self>) {}
}

fn using(volumes: &FakeVolumes) -> impl Fn(&Attachment) -> Box<dyn Usage> + Sync {
    |attachment| {
        let Attachment::Directory(path) = attachment else { panic!("a directory") };
        Box::new(Used(volumes.clone(), path.clone()))
    }
}

#[test]
fn fencing() {
    for fencing in [Fencing::None, Fencing::AtOnce, Fencing::AfterLease] {
        let volumes = FakeVolumes::new(World::new()).fenced(fencing);
        block_on(conformance::volume::fencing::suite(&volumes, &volumes.clone(), &using(&volumes)));
    }
}

#[test]
fn snapshots() {
    let volumes = FakeVolumes::new(World::new());
    block_on(conformance::volume::snapshots::suite(&volumes, true, &using(&volumes)));
}
