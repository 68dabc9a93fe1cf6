//! Members that end, are restarted, replaced or paused on purpose; containers that nobody asked for.

use om_model::OperationState;
use om_planning::Change;

use super::stage::{Stage, member, secs};

super::scenarios! {
    primary_killed: "The primary's processes are killed: it serves again where it was, within twenty seconds", "Patroni recovery (primary is started after crash), CNPG failover, dcos test_kill_hello_task";
    standby_killed: "A standby's processes are killed: the primary is not touched", "Patroni basic_replication (restart of a replica), CNPG eviction (replica pod)";
    all_members_killed: "The processes of all members are killed at once: all serve again where they were", "dcos test_kill_all_executors, PXC full cluster crash";
    killed_again_and_again: "The primary is killed every few seconds for a minute: it is always brought back, and never elsewhere", "Patroni recovery (crashed primary demotes after failed attempt to start)";
    one_restarted: "A member is restarted on purpose: it alone, where it was", "dcos test_pod_restart, Percona smart-update";
    all_restarted: "The service is restarted: one member after another, the others serve meanwhile", "dcos test_pods_restart_graceful_shutdown, CNPG rolling_update, KubeBlocks Restart";
    moved_and_back: "A member is moved and moved back: each time with its rows", "dcos test_pod_replace, CNPG switchover, Kubernetes StatefulSet identity";
    stopped_and_started: "The service is stopped and started: nothing runs in between, every row is there", "dcos test_pod_pause_resume, CNPG hibernation, cass-operator stop_resume";
    second_container_beside: "The orchestrator starts a second container of a member on the same node: there is one writer, and the member goes on", "the original's shared data directory (weakness 5), Swarm starting two tasks";
    second_container_elsewhere: "The orchestrator starts a second container of a member on another node: it gets nothing", "the original's weaknesses 1 and 3 (a member taken from a task that runs)";
    everybody_claims_it: "Containers of one member start on every node while it moves: it has one holder at any time", "the original's stolen claims (weaknesses 1, 2 and 9)";
    members_swap_nodes: "Two members exchange their nodes at the same time: each arrives with its own rows", "the original's findIdleMember races, issue #44";
}

async fn primary_killed(stage: Stage) {
    stage.create(2).await;
    let before = stage.picture().await;
    stage.kill(0).await;
    stage.wait(secs(1)).await;
    stage.within(secs(20), "the primary serves again", || async { stage.serves(0).await }).await;
    stage.rows_go_on(secs(10)).await;
    stage.unmoved(&before).await;
}

async fn standby_killed(stage: Stage) {
    stage.create(2).await;
    let before = stage.picture().await;
    stage.kill(1).await;
    stage.wait(secs(1)).await;
    stage.within(secs(30), "the standby serves again", || async { stage.serves(1).await }).await;
    stage.unmoved(&before).await;
    stage.must(stage.picture().await[&member(0)] == before[&member(0)], "the primary was touched").await;
}

async fn all_members_killed(stage: Stage) {
    stage.create(3).await;
    let before = stage.picture().await;
    for index in 0..3 {
        stage.kill(index).await;
    }
    stage.wait(secs(1)).await;
    stage.all_well(secs(60)).await;
    stage.unmoved(&before).await;
    stage.rows_go_on(secs(10)).await;
}

async fn killed_again_and_again(stage: Stage) {
    stage.create(2).await;
    let before = stage.picture().await;
    for _ in 0..15 {
        stage.kill(0).await;
        stage.wait(secs(4)).await;
    }
    stage.within(secs(30), "the primary serves again", || async { stage.serves(0).await }).await;
    stage.rows_go_on(secs(10)).await;
    stage.unmoved(&before).await;
}

async fn one_restarted(stage: Stage) {
    stage.create(3).await;
    let before = stage.picture().await;
    stage.succeeds(Change::Restart { member: Some(member(1)) }).await;
    let now = stage.picture().await;
    for index in [0, 2] {
        stage.must(now[&member(index)] == before[&member(index)], "another member was touched").await;
    }
    let (is, was) = (&now[&member(1)], &before[&member(1)]);
    stage.must(!is.has_container_of(was), "it was not restarted").await;
    stage.unmoved(&before).await;
}

async fn all_restarted(stage: Stage) {
    stage.create(3).await;
    let before = stage.picture().await;
    let restart = stage.begins(Change::Restart { member: None }).await;
    let mut most = 0;
    while !stage.fleet.operation(&restart).await.is_some_and(|operation| operation.state.ended()) {
        let mut away = 0;
        for index in 0..3 {
            away += u16::from(!stage.serves(index).await);
        }
        most = most.max(away);
        stage.wait(secs(1) / 10).await;
    }
    stage.ends_well(&restart).await;
    stage.must(most == 1, &format!("{most} members were away at once")).await;
    let now = stage.picture().await;
    let untouched = before.iter().any(|(name, was)| now[name].has_container_of(was));
    stage.must(!untouched, "a member was not restarted").await;
}

async fn moved_and_back(stage: Stage) {
    stage.create(2).await;
    let from = stage.holder(0).await;
    for _ in 0..3 {
        stage.succeeds(Change::Move { member: member(0), to: None }).await;
        stage.serves_elsewhere(0, &from, secs(10)).await;
        stage.rows_go_on(secs(20)).await;
        stage.succeeds(Change::Move { member: member(0), to: Some(from.id.clone()) }).await;
        stage.must(stage.holder(0).await.id == from.id, "it did not go back").await;
        stage.rows_go_on(secs(20)).await;
    }
}

async fn stopped_and_started(stage: Stage) {
    stage.create(3).await;
    for _ in 0..2 {
        stage.succeeds(Change::Stop).await;
        stage.wait(secs(30)).await;
        let runs = stage.fleet.town.machines().iter().any(|machine| !machine.containers().is_empty());
        stage.must(!runs, "something of a stopped service runs").await;
        stage.succeeds(Change::Start).await;
        stage.all_well(secs(60)).await;
        stage.rows_go_on(secs(20)).await;
    }
}

async fn second_container_beside(stage: Stage) {
    stage.create(2).await;
    let (before, holder) = (stage.picture().await, stage.holder(0).await);
    stage.stray(0, &holder, secs(30));
    stage.wait(secs(60)).await;
    stage.unmoved(&before).await;
    stage.within(secs(60), "the primary serves", || async { stage.serves(0).await }).await;
    stage.rows_go_on(secs(20)).await;
}

async fn second_container_elsewhere(stage: Stage) {
    stage.create(2).await;
    let (before, holder) = (stage.picture().await, stage.holder(0).await);
    for other in stage.others(&holder) {
        stage.stray(0, &other, secs(30));
    }
    stage.rows_go_on(secs(10)).await;
    stage.wait(secs(60)).await;
    stage.untouched(&before).await;
}

async fn everybody_claims_it(stage: Stage) {
    stage.create(1).await;
    for _ in 0..3 {
        let moved = stage.begins(Change::Move { member: member(0), to: None }).await;
        for _ in 0..5 {
            for machine in stage.fleet.town.machines() {
                stage.stray(0, &machine, secs(4));
            }
            stage.wait(secs(2)).await;
        }
        // Its former node may have claimed it back between its release and its new place: then it stays there.
        let moved = stage.ends(&moved).await;
        stage.must(moved.state != OperationState::NeedsAttention, "the move needs attention").await;
        stage.all_well(secs(60)).await;
        stage.rows_go_on(secs(30)).await;
    }
}

async fn members_swap_nodes(stage: Stage) {
    stage.create(2).await;
    let (one, other) = (stage.holder(0).await, stage.holder(1).await);
    let there = stage.begins(Change::Move { member: member(0), to: Some(other.id.clone()) }).await;
    let back = stage.begins(Change::Move { member: member(1), to: Some(one.id.clone()) }).await;
    stage.ends_well(&there).await;
    stage.ends_well(&back).await;
    stage.must(stage.holder(0).await.id == other.id && stage.holder(1).await.id == one.id, "they did not swap").await;
    stage.rows_go_on(secs(20)).await;
}
