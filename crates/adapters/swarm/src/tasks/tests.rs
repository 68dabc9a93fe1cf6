//! Tests of what tasks mean.

use bollard::models::{
    ContainerStatus, NodeDescription, NodeStatus, ServiceSpec, ServiceSpecMode, ServiceSpecModeReplicated, TaskStatus,
};

use super::*;

fn service(replicas: i64, started: bool) -> Service {
    let mut labels = HashMap::from(
        [
            (LABEL_DEPLOYMENT, "orders-0-01234567"),
            (LABEL_SERVICE, "0123456789abcdef0123456789abcdef"),
            (LABEL_MEMBER, "orders-0"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    if started {
        labels.insert(LABEL_STARTED.to_owned(), "true".to_owned());
    }
    let replicated = Some(ServiceSpecModeReplicated { replicas: Some(replicas) });
    let mode = Some(ServiceSpecMode { replicated, ..ServiceSpecMode::default() });
    Service { spec: Some(ServiceSpec { labels: Some(labels), mode, ..ServiceSpec::default() }), ..Service::default() }
}

fn task(age: &str, node: &str, state: TaskState, desired: TaskState) -> Task {
    let container = ContainerStatus { container_id: Some(format!("container-of-{age}")), ..ContainerStatus::default() };
    Task {
        created_at: Some(age.to_owned()),
        node_id: Some(node.to_owned()),
        status: Some(TaskStatus { state: Some(state), container_status: Some(container), ..TaskStatus::default() }),
        desired_state: Some(desired),
        ..Task::default()
    }
}

fn failed(age: &str, words: &str) -> Task {
    let mut task = task(age, "up", TaskState::FAILED, TaskState::SHUTDOWN);
    task.status.as_mut().unwrap().err = Some(words.to_owned());
    task
}

fn nodes() -> Nodes {
    let node = |id: &str, state| Node {
        id: Some(id.to_owned()),
        description: Some(NodeDescription { hostname: Some(format!("host-{id}")), ..NodeDescription::default() }),
        status: Some(NodeStatus { state: Some(state), ..NodeStatus::default() }),
        ..Node::default()
    };
    Nodes::new(vec![node("up", NodeState::READY), node("down", NodeState::DOWN)])
}

fn seen(service: &Service, tasks: &[Task]) -> Deployment {
    deployment(service, tasks.iter().collect(), &nodes()).unwrap()
}

const OLD: &str = "2026-01-01T00:00:05.1Z";
const NEW: &str = "2026-01-01T00:00:05.12Z";

#[test]
fn without_tasks_it_was_started_or_not() {
    assert_eq!(seen(&service(0, false), &[]).state, DeploymentState::Created);
    assert_eq!(seen(&service(0, true), &[]).state, DeploymentState::Stopped);
    let starting = seen(&service(1, true), &[]);
    assert_eq!((starting.state, starting.container, starting.node), (DeploymentState::Restarting, None, None));
}

#[test]
fn a_running_task_is_the_deployment() {
    let tasks = [failed(OLD, "of old"), task(NEW, "up", TaskState::RUNNING, TaskState::RUNNING)];
    let found = seen(&service(1, true), &tasks);
    assert_eq!((found.state, found.error), (DeploymentState::Running, None));
    assert_eq!(found.node.unwrap().as_str(), "host-up");
    assert_eq!(found.container.unwrap(), format!("container-of-{NEW}"));
}

#[test]
fn between_two_attempts_the_latest_complaint_is_told() {
    let tasks = [
        failed("2026-01-01T00:00:05Z", "first"),
        failed(NEW, "last"),
        failed(OLD, "second"),
        task("2026-01-01T00:00:06Z", "up", TaskState::PREPARING, TaskState::READY),
    ];
    let found = seen(&service(1, true), &tasks);
    assert_eq!((found.state, found.error.as_deref()), (DeploymentState::Restarting, Some("last")));
}

#[test]
fn what_a_lost_node_said_last_means_nothing() {
    for node in ["down", "of no known node"] {
        let task = task(OLD, node, TaskState::RUNNING, TaskState::RUNNING);
        assert_eq!(seen(&service(1, true), std::slice::from_ref(&task)).state, DeploymentState::Restarting);
        assert_eq!(seen(&service(0, true), std::slice::from_ref(&task)).state, DeploymentState::Stopped);
        assert!(!alive(&task, &nodes()), "nobody waits for it");
    }
}

#[test]
fn a_task_that_is_being_stopped_still_runs() {
    let stopping = task(OLD, "up", TaskState::RUNNING, TaskState::REMOVE);
    assert_eq!(seen(&service(0, true), std::slice::from_ref(&stopping)).state, DeploymentState::Running);
    assert!(alive(&stopping, &nodes()));
    assert_eq!(seen(&service(1, true), &[stopping]).state, DeploymentState::Restarting, "started again meanwhile");
}

#[test]
fn a_task_is_alive_until_its_end() {
    let alive_in = |state| alive(&task(OLD, "up", state, TaskState::RUNNING), &nodes());
    assert!([TaskState::NEW, TaskState::PENDING, TaskState::STARTING, TaskState::RUNNING].into_iter().all(alive_in));
    assert!(
        ![TaskState::COMPLETE, TaskState::SHUTDOWN, TaskState::FAILED, TaskState::REJECTED].into_iter().any(alive_in)
    );
    assert!(alive(&task(OLD, "", TaskState::NEW, TaskState::RUNNING), &nodes()), "also without a node yet");
}
