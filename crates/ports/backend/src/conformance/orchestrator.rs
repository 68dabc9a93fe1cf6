//! What every `Orchestrator` must do.

use std::time::Duration;

use futures::StreamExt;

use crate::error::ErrorKind;
use crate::orchestrator::{Deployment, DeploymentSpec, DeploymentState, Network, Orchestrator};

/// Runs the suite. `image` is one that can be had; `spec` makes a deployment (of that image, on that network) that runs
/// until it is stopped and prints a line containing `hello` when it starts. The thread is blocked while a container comes
/// up: a runtime of one thread would not do.
///
/// # Panics
/// At the first thing the orchestrator does wrong.
pub async fn suite(
    orchestrator: &dyn Orchestrator,
    image: &str,
    spec: &(dyn Fn(&Network, String) -> DeploymentSpec + Sync),
) {
    let network = orchestrator.network().await.expect("the network is made");
    assert_eq!(orchestrator.network().await.expect("asking again finds it"), network);
    let nonsense = "openmanage.invalid/no-such-image:0".to_owned();
    let found = orchestrator.image(&[nonsense.clone(), image.to_owned()]).await.expect("the second candidate is there");
    assert_eq!(found, image);
    let error = orchestrator.image(&[nonsense]).await.expect_err("what nobody has is not found");
    assert_eq!(error.kind, ErrorKind::NotFound);
    assert!(error.next.is_some(), "and there is advice: {error}");

    let spec = spec(&network, found);
    life(orchestrator, &spec).await;
    replacement(orchestrator, &spec).await;

    orchestrator.teardown().await.expect("the network is removed");
    orchestrator.teardown().await.expect("removing it again is done");
}

/// How long a container may take from the orchestrator's word to running.
const UP_WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(50);

async fn only(orchestrator: &dyn Orchestrator, spec: &DeploymentSpec) -> Deployment {
    let listed = orchestrator.list(Some(&spec.service)).await.expect("a service's deployments are listed");
    assert_eq!(listed.len(), 1, "there is one deployment: {listed:?}");
    assert_eq!((&listed[0].name, &listed[0].member), (&spec.name, &spec.member));
    listed.into_iter().next().expect("there is one")
}

/// The deployment once it runs: an orchestrator of several nodes may take it on before it does.
#[allow(clippy::disallowed_methods, reason = "a suite waits for the outside world, under any runtime or none")]
async fn running(orchestrator: &dyn Orchestrator, spec: &DeploymentSpec) -> Deployment {
    let mut waited = Duration::ZERO;
    loop {
        let found = only(orchestrator, spec).await;
        if found.state == DeploymentState::Running {
            assert!(found.container.is_some() && found.error.is_none(), "what runs has a container: {found:?}");
            return found;
        }
        assert_eq!(found.state, DeploymentState::Restarting, "on its way up: {found:?}");
        assert!(waited < UP_WITHIN, "it does not come up: {found:?}");
        std::thread::sleep(LOOK_EVERY);
        waited += LOOK_EVERY;
    }
}

async fn life(orchestrator: &dyn Orchestrator, spec: &DeploymentSpec) {
    let name = spec.name.as_str();
    assert!(orchestrator.list(Some(&spec.service)).await.unwrap().is_empty());
    assert_eq!(orchestrator.start(name).await.expect_err("nothing to start").kind, ErrorKind::NotFound);
    orchestrator.stop(name).await.expect("what is gone is stopped");
    orchestrator.remove(name).await.expect("what is gone is removed");

    orchestrator.create(spec).await.expect("it is made");
    let made = only(orchestrator, spec).await;
    assert_eq!(made.state, DeploymentState::Created, "made is not started");
    orchestrator.create(spec).await.expect("making it again is done");
    assert_eq!(only(orchestrator, spec).await.container, made.container, "and leaves it as it is");

    orchestrator.start(name).await.expect("it is started");
    orchestrator.start(name).await.expect("starting again is done");
    let runs = running(orchestrator, spec).await;
    orchestrator.create(spec).await.expect("making what runs is done");
    orchestrator.start(name).await.expect("starting what runs is done");
    assert_eq!(only(orchestrator, spec).await, runs, "and neither disturbs it");

    let mut logs = orchestrator.logs(name, 100, true).await.expect("its output is read");
    let first = logs.next().await.expect("there is a line").expect("that can be read");
    assert!(first.text.contains("hello") && !first.text.ends_with('\n'), "a line without its end: {first:?}");
    drop(logs);

    orchestrator.teardown().await.expect_err("a network in use is not removed");
    orchestrator.stop(name).await.expect("it is stopped");
    orchestrator.stop(name).await.expect("stopping again is done");
    assert_eq!(only(orchestrator, spec).await.state, DeploymentState::Stopped);
    orchestrator.start(name).await.expect("it is started after a stop");
    running(orchestrator, spec).await;
}

async fn replacement(orchestrator: &dyn Orchestrator, spec: &DeploymentSpec) {
    let before = only(orchestrator, spec).await;
    let mut other = spec.clone();
    other.resources.memory = om_model::ByteSize::bytes(spec.resources.memory.as_bytes() * 2);
    orchestrator.create(&other).await.expect("another spec replaces it, though it runs");
    let after = only(orchestrator, &other).await;
    assert_eq!(after.state, DeploymentState::Created);
    assert_ne!(after.container, before.container, "it is a new one");
    orchestrator.start(&spec.name).await.unwrap();
    orchestrator.remove(&spec.name).await.expect("it is removed while it runs");
    orchestrator.remove(&spec.name).await.expect("removing again is done");
    assert!(orchestrator.list(None).await.unwrap().iter().all(|other| other.name != spec.name));
}

/// Runs the suite of an orchestrator that runs tasks. `spec` makes a container out of a name and a script for its shell.
///
/// # Panics
/// At the first thing the orchestrator does wrong.
pub async fn tasks(orchestrator: &dyn Orchestrator, spec: &(dyn Fn(&Network, &str, &str) -> DeploymentSpec + Sync)) {
    let network = orchestrator.network().await.expect("the network is made");
    let failing = spec(&network, "task-one", "echo hello; exit 3");
    let result = orchestrator.run_task(&failing, UP_WITHIN).await.expect("it ends, and how is told");
    let lines: Vec<&str> = result.output.iter().map(|line| line.text.as_str()).collect();
    assert_eq!((result.exit_code, &lines[..]), (3, &["hello"][..]));
    let again = orchestrator.run_task(&failing, UP_WITHIN).await.expect("asking again is done");
    assert_eq!(again, result, "and nothing runs a second time");
    let other = spec(&network, "task-one", "exit 0");
    let refused = orchestrator.run_task(&other, UP_WITHIN).await.expect_err("that name means another task");
    assert_eq!(refused.kind, ErrorKind::Refused, "{refused}");
    assert!(orchestrator.list(None).await.unwrap().is_empty(), "a task is no deployment");

    orchestrator.remove(&other.name).await.expect("it is forgotten");
    orchestrator.remove(&other.name).await.expect("forgetting again is done");
    let result = orchestrator.run_task(&other, UP_WITHIN).await.expect("the name is free again");
    assert_eq!((result.exit_code, result.output), (0, Vec::new()));
    orchestrator.remove(&other.name).await.unwrap();

    let slow = spec(&network, "task-two", "sleep 3");
    let late = orchestrator.run_task(&slow, Duration::from_millis(100)).await.expect_err("it has not ended yet");
    assert_eq!(late.kind, ErrorKind::TimedOut, "{late}");
    assert_eq!(orchestrator.run_task(&slow, UP_WITHIN).await.expect("it ran on").exit_code, 0);
    orchestrator.remove(&slow.name).await.unwrap();
    orchestrator.teardown().await.expect("nothing is left");
}
