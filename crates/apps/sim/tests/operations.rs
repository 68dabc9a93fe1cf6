//! Every kind of operation stands the kit: ended, failed, cancelled at every await, and the same trace from one seed.

use std::collections::BTreeMap;

use om_model::{ByteSize, OperationKind, Resources, ServiceSpec, VolumeSizes};
use om_planning::{Change, VolumeFate};
use om_sim::cluster::Cluster;
use om_sim::kit::{Case, Tally, is_gone, stands_there};
use om_sim::{check, faults::Plan};

fn spec(replicas: u16) -> ServiceSpec {
    ServiceSpec {
        engine: "postgresql".into(),
        version: "15".into(),
        image: None,
        replicas,
        resources: Resources { memory: ByteSize::mib(512).expect("small"), cpu_millis: None },
        volumes: VolumeSizes { data: ByteSize::gib(1).expect("small"), journal: None },
        settings: BTreeMap::new(),
        options: BTreeMap::new(),
        places: Vec::new(),
    }
}

fn create() -> Change {
    Change::Create { spec: spec(3) }
}

fn configure(name: &str, value: &str) -> Change {
    let settings = BTreeMap::from([(name.to_owned(), Some(value.to_owned()))]);
    Change::Configure { settings, options: BTreeMap::new() }
}

fn volumes_are_kept(cluster: &Cluster, _: &om_model::ServiceName) {
    let kept: Vec<_> = cluster.world.lock().volumes.keys().cloned().collect();
    assert_eq!(kept.len(), 3);
    check::nothing_left(cluster, &kept);
    assert_eq!(check::keys(cluster, "volumes/").len(), 3, "kept volumes stay on record");
}

fn has_grown(cluster: &Cluster, name: &om_model::ServiceName) {
    check::keeps_its_promise(cluster, name);
    let sizes: Vec<_> = cluster.world.lock().volumes.values().copied().collect();
    assert_eq!(sizes, vec![ByteSize::gib(2).expect("small"); 3]);
}

fn cases() -> Vec<Case> {
    let case = |name, before, change| Case { name, before, change, done: stands_there, undone: stands_there };
    let grow = Change::Grow { data: ByteSize::gib(2), journal: None };
    vec![
        Case { name: "create", before: vec![], change: create(), done: stands_there, undone: is_gone },
        Case {
            done: volumes_are_kept,
            ..case("delete, keeping volumes", vec![create()], Change::Delete { volumes: VolumeFate::Keep })
        },
        Case { done: is_gone, ..case("delete", vec![create()], Change::Delete { volumes: VolumeFate::Delete }) },
        case("stop", vec![create()], Change::Stop),
        case("start", vec![create(), Change::Stop], Change::Start),
        case("restart", vec![create()], Change::Restart { member: None }),
        case("configure by reload", vec![create()], configure("work_mem", "8MB")),
        case("configure by restart", vec![create()], configure("max_connections", "50")),
        Case { done: has_grown, ..case("grow", vec![create()], grow) },
    ]
}

#[test]
fn create_and_delete_leave_the_same_trace_twice() {
    for case in cases().into_iter().take(3) {
        let (_, first) = case.moments(7);
        let (_, second) = case.moments(7);
        assert!(first.len() > 50, "{}: a trace of {} lines", case.name, first.len());
        assert_eq!(first, second, "{}: not deterministic", case.name);
        let crash = |at| case.run(7, Plan::Crash { at }).0.script.trace();
        assert_eq!(crash(20), crash(20), "{}: not deterministic after a crash", case.name);
    }
}

#[test]
fn another_seed_interleaves_differently() {
    let case = &cases()[0];
    assert_ne!(case.moments(1).1, case.moments(2).1);
}

#[test]
fn create_stands_a_crash_at_every_await() {
    let mut tally = Tally::default();
    for case in cases().into_iter().take(1) {
        case.stand(1, 1, 4, &mut tally);
    }
    assert!(tally.rolled_back > 0, "nothing was ever rolled back: {tally:?}");
}

#[test]
fn delete_stands_a_crash_at_every_await() {
    let mut tally = Tally::default();
    for case in cases().into_iter().skip(1).take(2) {
        case.stand(1, 1, 6, &mut tally);
    }
    assert!(tally.attended > 0, "a delete that cannot go on must ask for attention: {tally:?}");
}

#[test]
fn every_kind_of_operation_stands_faults() {
    let mut tally = Tally::default();
    for case in cases() {
        case.stand(3, 5, 11, &mut tally);
    }
    // Those that need several nodes have a test of their own (tests/nodes.rs).
    for kind in
        OperationKind::ALL.into_iter().filter(|kind| !matches!(kind, OperationKind::Recover | OperationKind::Move))
    {
        assert!(tally.kinds.contains(&kind), "no case for {kind}");
    }
    println!("{tally:?}");
}
