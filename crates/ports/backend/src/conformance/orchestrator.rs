//! What every `Orchestrator` must do.

use futures::StreamExt;

use crate::error::ErrorKind;
use crate::orchestrator::{Deployment, DeploymentSpec, DeploymentState, Network, Orchestrator};

/// Runs the suite. `image` is one that can be had; `spec` makes a deployment (of that image, on that network) that runs
/// until it is stopped and prints a line containing `hello` when it starts.
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

async fn only(orchestrator: &dyn Orchestrator, spec: &DeploymentSpec) -> Deployment {
    let listed = orchestrator.list(Some(&spec.service)).await.expect("a service's deployments are listed");
    assert_eq!(listed.len(), 1, "there is one deployment: {listed:?}");
    assert_eq!((&listed[0].name, &listed[0].member), (&spec.name, &spec.member));
    listed.into_iter().next().expect("there is one")
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
    assert_eq!(only(orchestrator, spec).await.state, DeploymentState::Running);
    orchestrator.create(spec).await.expect("making what runs is done");
    assert_eq!(only(orchestrator, spec).await.state, DeploymentState::Running, "and does not disturb it");

    let mut logs = orchestrator.logs(name, 100, true).await.expect("its output is read");
    let first = logs.next().await.expect("there is a line").expect("that can be read");
    assert!(first.text.contains("hello") && !first.text.ends_with('\n'), "a line without its end: {first:?}");
    drop(logs);

    orchestrator.teardown().await.expect_err("a network in use is not removed");
    orchestrator.stop(name).await.expect("it is stopped");
    orchestrator.stop(name).await.expect("stopping again is done");
    assert_eq!(only(orchestrator, spec).await.state, DeploymentState::Stopped);
    orchestrator.start(name).await.expect("it is started after a stop");
    assert_eq!(only(orchestrator, spec).await.state, DeploymentState::Running);
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
