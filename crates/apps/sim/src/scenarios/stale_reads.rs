//! Stale and unobserved state: what somebody saw is no longer so when he acts on it, or he never saw it.

use om_model::OperationState;
use om_planning::{Change, VolumeFate};

use super::requests::setting;
use super::stage::{Stage, member, secs};
use crate::coverage::Fault::Delay;
use crate::fleet::users::create;
use crate::machine::Role;
use crate::planned::Planned;

super::scenarios! {
    made_again_late_removal: "The order to remove a deployment arrives a minute late, after the service was deleted and made again under its name: the new one is not touched", "Sieve stale-state 'recreate' (cassandra #402, zookeeper #312, rabbitmq #648, casskop #316, mongodb #430, xtradb #716, cass-operator #559, yugabyte #35)";
    made_again_late_deletion: "The deletion of a volume arrives a minute late, after the service was made again: the new volumes keep their rows", "Sieve stale-state 'recreate', CSI late DeleteVolume";
    late_write_of_a_former_leader: "A leader stands still before a write of its move and goes on when another has finished it: its write comes to nothing", "Sieve stale-state (casskop #321), Omicron #10392 (acting on stale inventory)";
    late_recovery: "The record that a node is lost is written when the node is back already: its members are where they were or elsewhere, never both", "Omicron #10797, Sieve stale-state";
    orchestrator_lists_the_past: "What the orchestrator lists is a minute old while the service is stopped and started: nothing runs that should not", "Sieve stale-state scaledown-scaleup (zookeeper #314, cassandra #407), the original's late task list (weakness 1)";
    orchestrator_lists_the_past_in_recovery: "What the orchestrator lists is old while a node dies and returns: one container of each member", "the original's weakness 1, Swarm late task lists";
    stopped_and_started_at_once: "Stop and start are asked for in one breath, three times: the service runs in the end", "Sieve unobserved-state disable-enable (mongodb #433, #438, #585; xtradb #725, #763)";
    set_back_and_forth: "A setting is changed and changed back while the first change is under way: the last one stands", "Sieve stale-state (casskop #321 reducepdb), Acto undesired transitions";
    scaled_events_missed: "The server that leads stands still from before a delete until after the next create: it acts on what is, not on what it had seen", "Sieve unobserved-state (rabbitmq #758, cassandra #398, casskop #342, yugabyte #39, xtradb #918)";
    reborn_unseen: "A node dies and returns within a second: nobody saw it; its members are served again by its new life", "Sieve unobserved-state (missed deletion)";
    agent_misses_a_move: "A node's agent stands still while its member moves away and back: it has what it should in the end", "Sieve unobserved-state, FireCamp volume plugin cache (weakness 6)";
    late_report: "An agent's reports are minutes late: what they tell of is over, and nothing comes of it", "Percona RN 1.20.1 (stale cache)";
}

async fn made_again_late_removal(stage: Stage) {
    stage.create(2).await;
    stage.delay("server orchestrator.remove", secs(60));
    let deleted = stage.begins(Change::Delete { volumes: VolumeFate::Delete }).await;
    stage.wait(secs(3)).await;
    // Whoever leads stands before the removal; another takes over, and ends the delete.
    let leader = stage.leader().await;
    stage.stop(Role::Server, &leader);
    stage.ends_well(&deleted).await;
    stage.succeeds(create(2)).await;
    stage.all_well(secs(60)).await;
    let before = stage.picture().await;
    stage.goes_on(Role::Server, &leader);
    stage.wait(secs(90)).await;
    stage.untouched(&before).await;
    stage.rows_go_on(secs(10)).await;
}

async fn made_again_late_deletion(stage: Stage) {
    stage.create(2).await;
    stage.plans(Planned { times: 2, late: secs(45), ..Planned::next("agent volumes.delete", Delay) });
    let deleted = stage.carries(Change::Delete { volumes: VolumeFate::Delete }).await;
    stage.must(deleted.state == OperationState::Succeeded, "the delete did not end").await;
    stage.succeeds(create(2)).await;
    stage.all_well(secs(60)).await;
    let before = stage.picture().await;
    stage.wait(secs(120)).await;
    stage.untouched(&before).await;
    stage.rows_go_on(secs(10)).await;
}

async fn late_write_of_a_former_leader(stage: Stage) {
    stage.create(2).await;
    for step in ["server db.update members/", "server db.update operations/", "server db.update services/"] {
        let from = stage.holder(1).await;
        let leader = stage.leader().await;
        let on = Some(leader.id.to_string());
        stage.plans(Planned { on, late: secs(40), ..Planned::next(step, Delay) });
        let moved = stage.begins(Change::Move { member: member(1), to: None }).await;
        stage.wait(secs(2)).await;
        stage.stop(Role::Server, &leader);
        stage.ends_well(&moved).await;
        stage.serves_elsewhere(1, &from, secs(30)).await;
        let before = stage.picture().await;
        stage.goes_on(Role::Server, &leader);
        stage.wait(secs(60)).await;
        stage.untouched(&before).await;
        drop(stage.fleet.env.weather.plans().lift());
    }
}

async fn late_recovery(stage: Stage) {
    stage.create(2).await;
    let holder = stage.holder(0).await;
    stage.delay("server db.update nodes/", secs(8));
    stage.power_off(&holder);
    stage.wait(secs(6)).await;
    stage.power_on(&holder);
    stage.all_well(secs(180)).await;
    stage.rows_go_on(secs(20)).await;
}

async fn orchestrator_lists_the_past(stage: Stage) {
    stage.create(2).await;
    stage.fleet.swarm.lists_the_past(secs(60));
    stage.succeeds(Change::Stop).await;
    stage.wait(secs(10)).await;
    let runs = stage.fleet.town.machines().iter().any(|machine| !machine.containers().is_empty());
    stage.must(!runs, "something of a stopped service runs").await;
    stage.fleet.swarm.lists_the_past(secs(60));
    stage.succeeds(Change::Start).await;
    let before = stage.picture().await;
    stage.wait(secs(90)).await;
    stage.unmoved(&before).await;
    stage.all_well(secs(60)).await;
}

async fn orchestrator_lists_the_past_in_recovery(stage: Stage) {
    stage.create(2).await;
    let holder = stage.holder(0).await;
    stage.fleet.swarm.lists_the_past(secs(60));
    stage.power_off(&holder);
    stage.serves_elsewhere(0, &holder, secs(90)).await;
    stage.power_on(&holder);
    let before = stage.picture().await;
    stage.wait(secs(90)).await;
    stage.unmoved(&before).await;
    stage.all_well(secs(60)).await;
    stage.rows_go_on(secs(20)).await;
}

async fn stopped_and_started_at_once(stage: Stage) {
    stage.create(2).await;
    let mut last = None;
    for _ in 0..3 {
        for change in [Change::Stop, Change::Start] {
            last = Some(stage.begins(change).await);
        }
    }
    if let Some(last) = last {
        stage.ends_well(&last).await;
    }
    stage.all_well(secs(60)).await;
    stage.rows_go_on(secs(20)).await;
}

async fn set_back_and_forth(stage: Stage) {
    stage.create(2).await;
    let before = stage.picture().await;
    let mut last = None;
    for value in ["32MB", "8MB", "64MB", "8MB"] {
        last = Some(stage.begins(setting("work_mem", value)).await);
    }
    if let Some(last) = last {
        stage.ends_well(&last).await;
    }
    let service = stage.service().await;
    let value = service.and_then(|service| service.spec.settings.get("work_mem").cloned());
    stage.must(value.as_deref() == Some("8MB"), &format!("the last value is {value:?}")).await;
    stage.untouched(&before).await;
}

async fn scaled_events_missed(stage: Stage) {
    stage.create(3).await;
    let leader = stage.leader().await;
    stage.stop(Role::Server, &leader);
    stage.succeeds(Change::Delete { volumes: VolumeFate::Delete }).await;
    stage.succeeds(create(2)).await;
    stage.all_well(secs(60)).await;
    let before = stage.picture().await;
    // The one that saw neither is the only one for a while.
    for other in stage.others(&leader) {
        stage.stop(Role::Server, &other);
    }
    stage.goes_on(Role::Server, &leader);
    stage.wait(secs(60)).await;
    stage.untouched(&before).await;
    stage.must(stage.members().await.len() == 2, "not two members").await;
    stage.servers_go_on();
}

async fn reborn_unseen(stage: Stage) {
    stage.create(2).await;
    let holder = stage.holder(0).await;
    stage.power_off(&holder);
    stage.power_on(&holder);
    stage.wait(secs(5)).await;
    stage.all_well(secs(120)).await;
    stage.rows_go_on(secs(20)).await;
}

async fn agent_misses_a_move(stage: Stage) {
    stage.create(1).await;
    let from = stage.holder(0).await;
    let moved = stage.begins(Change::Move { member: member(0), to: None }).await;
    stage.wait(secs(1)).await;
    stage.stop(Role::Agent, &from);
    stage.wait(secs(40)).await;
    stage.goes_on(Role::Agent, &from);
    stage.ends_well(&moved).await;
    stage.stop(Role::Agent, &from);
    let back = stage.begins(Change::Move { member: member(0), to: Some(from.id.clone()) }).await;
    stage.wait(secs(40)).await;
    stage.goes_on(Role::Agent, &from);
    stage.ends_well(&back).await;
    stage.all_well(secs(60)).await;
    stage.rows_go_on(secs(20)).await;
}

async fn late_report(stage: Stage) {
    stage.create(2).await;
    let from = stage.holder(0).await;
    let on = Some(from.id.to_string());
    stage.plans(Planned { on, times: 3, late: secs(90), ..Planned::next("agent control.report", Delay) });
    stage.succeeds(Change::Move { member: member(0), to: None }).await;
    stage.serves_elsewhere(0, &from, secs(60)).await;
    let before = stage.picture().await;
    stage.wait(secs(240)).await;
    stage.unmoved(&before).await;
    stage.rows_go_on(secs(20)).await;
}
