//! Nodes are lost and drained: members move whatever happens to the server meanwhile, and there is never a second writer
//! (the fake world ends the test if there is).

use std::collections::BTreeMap;
use std::time::Duration;

use om_control::Submission;
use om_model::{ByteSize, NodeId, OperationState, Resources, ServiceSpec, VolumeSizes};
use om_planning::Change;
use om_sim::check;
use om_sim::cluster::Cluster;
use om_sim::faults::Plan;
use om_sim::kit::subject;

/// Longer than a step is patient.
const AT_MOST: Duration = Duration::from_secs(300);
/// Long enough for what an interrupted request left to be cleared away.
const SETTLE: Duration = Duration::from_secs(90);
const LOOK: Duration = Duration::from_millis(100);

fn create(replicas: u16) -> Change {
    Change::Create {
        spec: ServiceSpec {
            engine: "postgresql".into(),
            version: "15".into(),
            image: None,
            replicas,
            resources: Resources { memory: ByteSize::mib(512).expect("small"), cpu_millis: None },
            volumes: VolumeSizes { data: ByteSize::gib(1).expect("small"), journal: None },
            settings: BTreeMap::new(),
            options: BTreeMap::new(),
            places: Vec::new(),
        },
    }
}

fn carry(cluster: &mut Cluster, change: Change) -> om_control::ServiceOperation {
    // Asked again by the same key after a crash, as clients do: a second move would be another move.
    let key = Some(change.kind().to_string());
    let submission = Submission { service: subject(), change, idempotency_key: key, deadline: None };
    let accepted = cluster.submit(&submission).expect("accepted");
    cluster.finish(&accepted.operation.id)
}

/// A cluster with a service of two members, the first of which is on the node that is returned.
fn with_service(seed: u64) -> (Cluster, NodeId) {
    let mut cluster = Cluster::with_nodes(seed, &["a", "b", "c"]);
    let created = carry(&mut cluster, create(2));
    assert_eq!(created.state, OperationState::Succeeded, "{:?}", created.reason);
    cluster.pass(Duration::from_secs(5));
    let world = cluster.world.lock();
    let node = world.deployments.values().find(|(spec, _)| spec.member.as_str() == "orders-0");
    let node = node.and_then(|(spec, _)| spec.node.clone()).expect("pinned");
    drop(world);
    (cluster, node)
}

/// Every member of the service runs, none of them on `node`, and nobody is left to be fenced.
fn has_left(cluster: &Cluster, node: &NodeId) -> bool {
    let world = cluster.world.lock();
    let service = check::service(cluster, &subject()).expect("there");
    service.recoveries.is_empty()
        && service.queue.is_empty()
        && world.located.len() == 2
        && world.located.values().all(|at| at != node)
        && world.mounted.len() == 2
        && world.deployments.values().all(|(spec, _)| spec.node.as_ref() != Some(node))
}

/// Switches the node off and lets `plan` happen; returns how many moments there were until the member had moved.
fn loses(seed: u64, plan: &Plan) -> usize {
    let (mut cluster, node) = with_service(seed);
    cluster.script.begin(plan.clone());
    cluster.world.switch_off(&node);
    let mut waited = Duration::ZERO;
    while !has_left(&cluster, &node) {
        assert!(waited < AT_MOST, "{plan:?} from seed {seed}: not recovered: {:#?}", cluster.script.story());
        cluster.pass(LOOK);
        waited += LOOK;
    }
    let moments = cluster.script.moments();
    cluster.pass(SETTLE);
    check::keeps_its_promise(&cluster, &subject());
    cluster.world.switch_on(&node);
    cluster.pass(Duration::from_secs(10));
    assert!(has_left(&cluster, &node), "{plan:?}: nothing goes back by itself");
    check::keeps_its_promise(&cluster, &subject());
    moments
}

#[test]
fn a_recovery_stands_a_crash_and_a_failure_at_every_await() {
    let moments = loses(1, &Plan::Nothing);
    assert!(moments > 50, "{moments}");
    for at in 0..moments {
        loses(1, &Plan::Crash { at });
    }
    for at in (0..moments).step_by(3) {
        loses(2, &Plan::Fail { at });
    }
}

/// Moves the first member elsewhere under `plan`; returns how many moments there were.
fn moves(seed: u64, plan: &Plan) -> usize {
    let (mut cluster, node) = with_service(seed);
    cluster.script.begin(plan.clone());
    let operation = carry(&mut cluster, Change::Move { member: "orders-0".parse().expect("a name"), to: None });
    let moments = cluster.script.moments();
    cluster.pass(SETTLE);
    assert_eq!(operation.state, OperationState::Succeeded, "{plan:?}: {:?}", operation.reason);
    assert!(has_left(&cluster, &node), "{plan:?}");
    check::keeps_its_promise(&cluster, &subject());
    moments
}

#[test]
fn a_move_stands_crashes_and_failures() {
    let moments = moves(1, &Plan::Nothing);
    assert!(moments > 50, "{moments}");
    for at in (0..moments).step_by(4) {
        moves(1, &Plan::Crash { at });
    }
    for at in (0..moments).step_by(9) {
        moves(2, &Plan::Fail { at });
    }
}
