//! The control plane is gone, in part or as a whole: databases run on, and what was missed is made up for.

use om_planning::Change;

use super::stage::{Stage, member, secs};
use crate::machine::Role;

super::scenarios! {
    all_servers_stopped: "All servers stand still for two minutes: no member pauses, restarts or moves, and rows are written", "CNPG operator_unavailable, Patroni dcs_failsafe_mode (leader and replica are functioning while DCS is down)";
    all_servers_killed: "All servers end at once: no member notices, and a change that was asked for meanwhile is made", "CNPG operator_unavailable, dcos test_kill_scheduler";
    database_gone: "No server gets an answer from the control database for two minutes: rows are written, nothing moves", "Patroni dcs_failsafe_mode (three-node cluster is functioning while DCS is down), dcos test_kill_zk";
    node_lost_without_servers: "A node dies while all servers stand still: nothing moves; its members are recovered once a server goes on", "CNPG operator_unavailable (delete primary and operator concurrently), Patroni dcs_failsafe_mode";
    node_back_before_servers: "A node dies and returns while all servers stand still: its members serve again, nobody else has them", "Sieve unobserved-state (missed events)";
    all_agents_killed: "All agents end at once: nothing moves and nothing is started again", "dcos test_kill_all_executors, the original's plugin restart (weakness 6)";
    agent_killed_again_and_again: "A holder's agent ends every few seconds: nothing moves", "KubeBlocks and FireCamp plugin crash loops (#41)";
    agent_stands_still: "A holder's agent is stopped for half a minute: its members do not move, pause at most, and go on", "Patroni frozen_patroni (watchdog)";
    container_engine_killed: "A holder's container engine ends: its containers are started again there, nothing moves", "Docker volume suite WithDaemonRestart, dcos test_kill_world_executor";
    orchestrator_without_orders: "The orchestrator gives nobody new orders for a minute: a move waits and is made, rows go on elsewhere", "dcos test_kill_master";
    orchestrator_forgets: "The orchestrator forgets every deployment: all are started again where they were", "Kubernetes StatefulSet 'recreate evicted', rabbitmq cluster-operator #758";
}

async fn all_servers_stopped(stage: Stage) {
    stage.create(3).await;
    let before = stage.picture().await;
    stage.stop_servers();
    for _ in 0..12 {
        stage.rows_go_on(secs(10)).await;
        stage.wait(secs(5)).await;
    }
    stage.untouched(&before).await;
    stage.servers_go_on();
    stage.wait(secs(30)).await;
    stage.untouched(&before).await;
}

async fn all_servers_killed(stage: Stage) {
    stage.create(2).await;
    let before = stage.picture().await;
    stage.fleet.town.machines().iter().for_each(|machine| stage.crash(Role::Server, machine));
    stage.rows_go_on(secs(5)).await;
    let change = stage.begins(Change::Restart { member: Some(member(1)) }).await;
    stage.ends_well(&change).await;
    stage.unmoved(&before).await;
}

async fn database_gone(stage: Stage) {
    stage.create(3).await;
    let before = stage.picture().await;
    stage.fails("server db.", u32::MAX);
    for _ in 0..12 {
        stage.rows_go_on(secs(10)).await;
        stage.wait(secs(8)).await;
    }
    stage.untouched(&before).await;
    stage.lift().await;
    stage.wait(secs(30)).await;
    stage.untouched(&before).await;
}

async fn node_lost_without_servers(stage: Stage) {
    stage.create(2).await;
    let (before, holder) = (stage.picture().await, stage.holder(0).await);
    stage.stop_servers();
    stage.power_off(&holder);
    stage.wait(secs(60)).await;
    let now = stage.record(0).await.and_then(|record| record.binding.holder).map(|held| held.node);
    stage.must(now.as_ref() == Some(&holder.id), "moved without a server").await;
    stage.must(stage.picture().await[&member(1)] == before[&member(1)], "the other member was touched").await;
    stage.servers_go_on();
    stage.serves_elsewhere(0, &holder, secs(60)).await;
    stage.rows_go_on(secs(20)).await;
}

async fn node_back_before_servers(stage: Stage) {
    stage.create(2).await;
    let holder = stage.holder(0).await;
    stage.stop_servers();
    stage.power_off(&holder);
    stage.wait(secs(20)).await;
    stage.power_on(&holder);
    // Its own server was started with it: the others go on only later.
    stage.wait(secs(20)).await;
    stage.servers_go_on();
    stage.within(secs(90), "the primary serves", || async { stage.serves(0).await }).await;
    stage.rows_go_on(secs(20)).await;
}

async fn all_agents_killed(stage: Stage) {
    stage.create(3).await;
    let before = stage.picture().await;
    for _ in 0..3 {
        stage.fleet.town.machines().iter().for_each(|machine| stage.crash(Role::Agent, machine));
        stage.wait(secs(30)).await;
        stage.rows_go_on(secs(10)).await;
        stage.not_restarted(&before).await;
    }
}

async fn agent_killed_again_and_again(stage: Stage) {
    stage.create(2).await;
    let (before, holder) = (stage.picture().await, stage.holder(0).await);
    for _ in 0..15 {
        stage.crash(Role::Agent, &holder);
        stage.wait(secs(6)).await;
    }
    stage.wait(secs(20)).await;
    stage.not_restarted(&before).await;
    stage.rows_go_on(secs(10)).await;
}

async fn agent_stands_still(stage: Stage) {
    stage.create(2).await;
    let (before, holder) = (stage.picture().await, stage.holder(0).await);
    stage.stop(Role::Agent, &holder);
    stage.wait(secs(30)).await;
    stage.unmoved(&before).await;
    stage.goes_on(Role::Agent, &holder);
    stage.rows_go_on(secs(20)).await;
    stage.not_restarted(&before).await;
}

async fn container_engine_killed(stage: Stage) {
    stage.create(2).await;
    let (before, holder) = (stage.picture().await, stage.holder(0).await);
    stage.crash(Role::Docker, &holder);
    stage.wait(secs(5)).await;
    stage.within(secs(60), "the primary serves again", || async { stage.serves(0).await }).await;
    stage.unmoved(&before).await;
    stage.rows_go_on(secs(20)).await;
}

async fn orchestrator_without_orders(stage: Stage) {
    stage.create(2).await;
    let from = stage.holder(1).await;
    for machine in stage.fleet.town.machines() {
        stage.fleet.swarm.is_late(&machine.id, secs(60));
    }
    let change = stage.begins(Change::Move { member: member(1), to: None }).await;
    stage.rows_go_on(secs(10)).await;
    stage.ends_well(&change).await;
    stage.serves_elsewhere(1, &from, secs(30)).await;
}

async fn orchestrator_forgets(stage: Stage) {
    stage.create(3).await;
    let before = stage.picture().await;
    for number in 0..stage.fleet.swarm.deployments().len() {
        drop(stage.fleet.swarm.forgets(number));
    }
    stage.wait(secs(5)).await;
    stage.all_well(secs(90)).await;
    stage.unmoved(&before).await;
    stage.rows_go_on(secs(20)).await;
}
