//! Requests: repeated, wrong, in the wrong order, cancelled, too late.

use std::collections::BTreeMap;

use om_model::{OperationState, Phase, ServiceSpec};
use om_planning::{Change, VolumeFate};

use super::stage::{Stage, member, secs};
use crate::coverage::Fault::FailAfter;
use crate::fleet::node;
use crate::fleet::users::create;
use crate::planned::Planned;

super::scenarios! {
    asked_twice: "The same request under the same key, again and again: one operation", "KubeBlocks and Percona duplicate requests (RN 1.20.1), design of idempotency keys";
    asked_twice_otherwise: "Another request under the same key: refused", "Stripe-like idempotency keys";
    answer_lost: "The answer to a request is lost: asked again it is the same operation", "Percona RN 1.20.1 (duplicate backup requests)";
    asked_while_no_server_is_there: "A change is asked for while no server answers: it is made once, when one does", "CNPG operator_unavailable, dcos test_kill_scheduler";
    wrong_declarations: "Services that cannot be are refused before anything is touched", "Acto (misoperations: wrong declarations), CNPG webhook validation, Patroni custom config validation";
    wrong_changes: "Changes that cannot be are refused, and the service goes on undisturbed", "Acto (undesired state transitions), Patroni patroni_api (rejected requests)";
    name_in_use: "A second service of the same name, or of a name that would be one of its own: refused", "Patroni basic_replication (graceful rejection when two nodes have the same name)";
    wrong_order: "Start before stop, restart while stopped, delete while others wait: each ends, and the last state is the wanted one", "Acto (misordered declarations)";
    create_cancelled: "A create is cancelled in the middle: nothing is left of it, and it can be made again", "KubeBlocks #8772 (cannot be cancelled), Acto (recovery from an error state)";
    configure_cancelled: "A change of settings is cancelled while it waits: the old settings stand", "KubeBlocks #9677";
    move_cancelled: "A move is cancelled in the middle: the member serves in the end, held once", "dcos plan interrupt, KubeBlocks #4772";
    delete_not_cancelled: "A delete under way cannot be cancelled: it ends, and nothing is left", "Acto (rollback of what has no way back)";
    many_at_once: "Ten changes are asked for at once: they are made one after another, in their order", "Acto (operation sequences), KubeBlocks queue";
    needs_attention_and_back: "An operation cannot end for longer than its deadline allows: it is rolled back or says what is needed, and is done when tried again", "KubeBlocks #10456, dcos plan force-complete, M8 (no stuck operations)";
}

/// What makes a declaration wrong.
type Alteration = fn(&mut ServiceSpec);

/// A change of one setting.
pub(super) fn setting(name: &str, value: &str) -> Change {
    let settings = BTreeMap::from([(name.to_owned(), Some(value.to_owned()))]);
    Change::Configure { settings, options: BTreeMap::new() }
}

/// A create of a service that is as `alter` makes it.
fn created_as(alter: impl Fn(&mut ServiceSpec)) -> Change {
    match create(2) {
        Change::Create { mut spec } => {
            alter(&mut spec);
            Change::Create { spec }
        }
        other => other,
    }
}

async fn asked_twice(stage: Stage) {
    stage.create(2).await;
    let change = Change::Move { member: member(1), to: None };
    let first = stage.asks_by_key(change.clone(), "once").await;
    for _ in 0..5 {
        let again = stage.asks_by_key(change.clone(), "once").await;
        stage.must(again.as_ref().ok() == first.as_ref().ok(), &format!("another operation: {again:?}")).await;
        stage.wait(secs(4)).await;
    }
    let Ok(first) = first else { return stage.fail("refused").await };
    stage.ends_well(&first).await;
    let again = stage.asks_by_key(change, "once").await;
    stage.must(again.ok() == Some(first), "another operation after the end").await;
    let epoch = stage.record(1).await.map(|record| record.binding.epoch.to_string());
    stage.must(epoch.as_deref() == Some("2"), &format!("it moved more than once: epoch {epoch:?}")).await;
}

async fn asked_twice_otherwise(stage: Stage) {
    stage.create(2).await;
    let first = stage.asks_by_key(Change::Restart { member: Some(member(0)) }, "one-key").await;
    let other = stage.asks_by_key(Change::Restart { member: Some(member(1)) }, "one-key").await;
    stage.must(other.is_err(), "another request under the same key was accepted").await;
    if let Ok(first) = first {
        stage.ends_well(&first).await;
    }
}

async fn answer_lost(stage: Stage) {
    stage.create(2).await;
    for step in ["requests/", "pending/", "operations/"] {
        let from = stage.holder(1).await;
        stage.plans(Planned { times: 2, ..Planned::next(&format!("server db.create {step}"), FailAfter) });
        stage.succeeds(Change::Move { member: member(1), to: None }).await;
        stage.lift().await;
        stage.serves_elsewhere(1, &from, secs(30)).await;
    }
    let epoch = stage.record(1).await.map(|record| record.binding.epoch.to_string());
    stage.must(epoch.as_deref() == Some("4"), &format!("three moves, and epoch {epoch:?}")).await;
}

async fn asked_while_no_server_is_there(stage: Stage) {
    stage.create(2).await;
    let from = stage.holder(1).await;
    stage.stop_servers();
    let (asking, asked) = (stage.clone(), std::sync::Arc::new(std::sync::Mutex::new(None)));
    let answer = asked.clone();
    stage.fleet.env.beside(async move {
        let accepted = asking.asks(Change::Move { member: member(1), to: None }).await;
        *answer.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = accepted.ok();
    });
    stage.wait(secs(60)).await;
    stage.servers_go_on();
    let accepted = || asked.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
    stage.within(secs(60), "accepted", || async { accepted().is_some() }).await;
    if let Some(id) = accepted() {
        stage.ends_well(&id).await;
    }
    stage.serves_elsewhere(1, &from, secs(30)).await;
    let epoch = stage.record(1).await.map(|record| record.binding.epoch.to_string());
    stage.must(epoch.as_deref() == Some("2"), &format!("it moved more than once: epoch {epoch:?}")).await;
}

async fn wrong_declarations(stage: Stage) {
    stage.joined().await;
    let wrong: [(&str, Alteration); 9] = [
        ("no members", |spec| spec.replicas = 0),
        ("too many members", |spec| spec.replicas = 5000),
        ("an unknown engine", |spec| spec.engine = "oracle".into()),
        ("an unknown version", |spec| spec.version = "7.2".into()),
        ("a volume of no size", |spec| spec.volumes.data = om_model::ByteSize::bytes(0)),
        ("no memory", |spec| spec.resources.memory = om_model::ByteSize::bytes(1)),
        ("a setting that is not one", |spec| drop(spec.settings.insert("no_such_setting".into(), "1".into()))),
        ("a value that is none", |spec| drop(spec.settings.insert("work_mem".into(), "much".into()))),
        ("a setting that loses data", |spec| drop(spec.settings.insert("fsync".into(), "off".into()))),
    ];
    for (what, alter) in wrong {
        stage.is_refused(created_as(alter), what).await;
    }
    stage
        .must(stage.service().await.is_none() && stage.members().await.is_empty(), "a refused create left something")
        .await;
    stage.must(stage.fleet.swarm.deployments().is_empty(), "a refused create left a deployment").await;
    stage.create(2).await;
}

async fn wrong_changes(stage: Stage) {
    stage.create(2).await;
    let before = stage.picture().await;
    let to = |name: &str| Some(node(name));
    let stranger: Result<om_model::MemberName, _> = "orders-7".parse();
    let Ok(stranger) = stranger else { return stage.fail("not a name").await };
    for (what, change) in [
        ("a move to a node that is not there", Change::Move { member: member(0), to: to("n9") }),
        ("a move of nobody", Change::Move { member: stranger.clone(), to: None }),
        ("a restart of nobody", Change::Restart { member: Some(stranger) }),
        ("a setting that the platform decides", setting("listen_addresses", "*")),
        ("a setting out of its range", setting("max_connections", "0")),
        ("a smaller volume", Change::Grow { data: om_model::ByteSize::mib(300), journal: None }),
        ("a journal that it does not have", Change::Grow { data: None, journal: om_model::ByteSize::gib(3) }),
    ] {
        stage.is_refused(change, what).await;
    }
    stage.wait(secs(30)).await;
    stage.untouched(&before).await;
    stage
        .must(stage.service().await.is_some_and(|service| service.configuration == 1), "the configuration changed")
        .await;
}

async fn name_in_use(stage: Stage) {
    stage.create(2).await;
    let before = stage.picture().await;
    stage.is_refused(create(3), "another service of the same name").await;
    for name in ["orders-0", "orders-primary"] {
        let Ok(service) = name.parse() else { continue };
        let submission = om_control::Submission { service, change: create(1), idempotency_key: None, deadline: None };
        let answer = stage.fleet.submit(&submission).await;
        stage.must(answer.is_err(), &format!("accepted: a service called {name}")).await;
    }
    stage.wait(secs(20)).await;
    stage.untouched(&before).await;
}

async fn wrong_order(stage: Stage) {
    stage.create(2).await;
    let before = stage.picture().await;
    stage.succeeds(Change::Start).await;
    stage.untouched(&before).await;
    stage.succeeds(Change::Stop).await;
    stage.succeeds(Change::Stop).await;
    stage.is_refused(Change::Restart { member: None }, "a restart of a stopped service").await;
    stage.is_refused(setting("work_mem", "16MB"), "settings of a stopped service").await;
    stage.succeeds(Change::Move { member: member(1), to: None }).await;
    let runs = stage.fleet.town.machines().iter().any(|machine| !machine.containers().is_empty());
    stage.must(!runs, "something of a stopped service runs").await;
    let started = stage.begins(Change::Start).await;
    let deleted = stage.begins(Change::Delete { volumes: VolumeFate::Delete }).await;
    stage.ends(&started).await;
    stage.ends_well(&deleted).await;
    stage.is_refused(Change::Start, "a start of what is gone").await;
    stage.create(2).await;
}

/// Cancels an operation; whether it was let.
async fn cancel(stage: &Stage, id: &om_model::OperationId) -> bool {
    let id = id.clone();
    let answer = stage.told("cancel", move |control| {
        let id = id.clone();
        async move { control.cancel(&id).await.is_ok() }
    });
    answer.await
}

async fn create_cancelled(stage: Stage) {
    stage.joined().await;
    for pause in [0, 200, 1000, 3000] {
        let made = stage.begins(create(2)).await;
        stage.wait(std::time::Duration::from_millis(pause)).await;
        let let_go = cancel(&stage, &made).await;
        let made = stage.ends(&made).await;
        if made.state == OperationState::Succeeded {
            stage.must(!let_go || pause > 0, "cancelled, and made").await;
            stage.succeeds(Change::Delete { volumes: VolumeFate::Delete }).await;
        }
        stage.must(made.state != OperationState::NeedsAttention, "it needs attention").await;
        stage.must(stage.service().await.is_none() && stage.members().await.is_empty(), "records are left").await;
        stage.must(stage.fleet.storage.volumes().is_empty(), "volumes are left").await;
    }
    stage.create(2).await;
}

async fn configure_cancelled(stage: Stage) {
    stage.create(2).await;
    let first = stage.begins(Change::Restart { member: None }).await;
    let second = stage.begins(setting("work_mem", "64MB")).await;
    stage.must(cancel(&stage, &second).await, "one that waits cannot be cancelled").await;
    let second = stage.ends(&second).await;
    stage.must(second.state == OperationState::RolledBack, "cancelled, and made").await;
    stage.ends_well(&first).await;
    let settings = stage.service().await.map(|service| service.spec.settings.len());
    stage.must(settings == Some(0), "the setting was changed").await;
}

async fn move_cancelled(stage: Stage) {
    stage.create(2).await;
    for pause in [0, 300, 1500, 4000] {
        let moved = stage.begins(Change::Move { member: member(0), to: None }).await;
        stage.wait(std::time::Duration::from_millis(pause)).await;
        cancel(&stage, &moved).await;
        let moved = stage.ends(&moved).await;
        stage.must(moved.state != OperationState::NeedsAttention, "it needs attention").await;
        stage.within(secs(60), "the primary serves", || async { stage.serves(0).await }).await;
        stage.rows_go_on(secs(20)).await;
    }
}

async fn delete_not_cancelled(stage: Stage) {
    stage.create(2).await;
    let deleted = stage.begins(Change::Delete { volumes: VolumeFate::Delete }).await;
    stage
        .within(secs(30), "it is being deleted", || async {
            stage.service().await.is_none_or(|service| service.phase == Phase::Deleting)
        })
        .await;
    stage.must(!cancel(&stage, &deleted).await, "a delete under way was cancelled").await;
    stage.ends_well(&deleted).await;
    stage.must(stage.fleet.storage.volumes().is_empty(), "volumes are left").await;
}

async fn many_at_once(stage: Stage) {
    stage.create(2).await;
    let mut asked = Vec::new();
    for number in 0..5 {
        asked.push(stage.begins(setting("work_mem", &format!("{}MB", 10 + number))).await);
        asked.push(stage.begins(Change::Restart { member: Some(member(number % 2)) }).await);
    }
    let mut ended = om_model::Timestamp::from_millis(0);
    for id in &asked {
        let operation = stage.ends(id).await;
        stage.must(operation.state == OperationState::Succeeded, "one of many did not succeed").await;
        let at = operation.ended.unwrap_or(ended);
        stage.must(at >= ended, "not in their order").await;
        ended = at;
    }
    let service = stage.service().await;
    let value = service.and_then(|service| service.spec.settings.get("work_mem").cloned());
    stage.must(value.as_deref() == Some("14MB"), &format!("the last value is {value:?}")).await;
}

async fn needs_attention_and_back(stage: Stage) {
    stage.create(2).await;
    stage.fails("server orchestrator.start", u32::MAX);
    let moved = stage.carries(Change::Move { member: member(1), to: None }).await;
    stage.must(moved.state != OperationState::Succeeded, "it succeeded with nothing started").await;
    stage.must(moved.reason.is_some(), "it does not say why").await;
    stage.lift().await;
    // Whoever looks at it tries it again: `settle` does.
}
