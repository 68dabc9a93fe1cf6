//! Machines that die, return, or are taken out of service on purpose.

use om_model::{NodeCondition, OperationState};
use om_planning::Change;

use super::stage::{Stage, member, secs};
use crate::fleet::users::create;

super::scenarios! {
    primary_node_dies: "The primary's machine dies: the member serves elsewhere within half a minute with its rows; nothing goes back when the machine returns", "CNPG failover (reacts to primary failure), dcos test_shutdown_host, Kubernetes #53059 and Nomad #13416 (volume moved after node loss)";
    standby_node_dies: "A standby's machine dies: it alone moves, the primary is not touched", "dcos test_node_replace, cass-operator node_replace";
    short_power_cut: "A machine is off for less than anybody takes for a loss: its members serve again, whoever has them", "Patroni recovery (primary is started after crash)";
    nodes_die_in_turn: "One machine after another dies and returns: the member is always brought back, with all its rows", "PSMDB self-healing-chaos, dcos test_auto_replace";
    two_nodes_die: "Two of three machines die: nothing moves; all is well once they are back", "CNPG quorum failover, docs/node-loss.md";
    whole_cluster_dies: "All machines lose their power at once and return: every row is there", "Percona XtraDB full cluster crash (#992), PSMDB recover-no-primary";
    target_dies_too: "The node that takes over dies before it serves: a third takes over", "dcos test_node_replace (#926), cass-operator #646";
    node_dies_during_create: "A machine dies while the service is made: the service is there in the end, or nothing of it", "K8ssandra replace during expansion, KubeBlocks OpsRequest stuck Creating (#10456)";
    node_dies_during_move: "The machine that a member is moved to dies: the move ends, and the member serves", "KubeBlocks #4772 (OpsRequest stuck Running)";
    node_dies_while_stopped: "The machine of a stopped service dies: nothing happens; started, its member is elsewhere", "CNPG hibernation, cass-operator stop_resume";
    node_drained: "A node is drained: its members leave one after another, it takes none, until it may again", "CNPG drain_node, dcos test_auto_replace_on_decommission";
    all_but_one_drained: "Two of three nodes are drained: all members are on the third, and none is lost", "CNPG drain_node (3 pods on 1 node)";
    drained_node_dies: "A node dies in the middle of being drained: its members are recovered elsewhere", "CNPG eviction, dcos decommission";
    nobody_can_take_it: "A node dies while all others are drained: its member waits, and is recovered as soon as one may take it", "CNPG drain_node (prevents the primary node from being drained), PDB";
    vouched_off: "An operator says that a dead machine is off: its members move without waiting for anything", "dcos pod replace (#2884), CNPG fencing";
    vouched_off_while_it_answers: "An operator says that a machine is off that is not: refused, and nothing is touched", "Acto (operations accepted against the system's state)";
}

async fn primary_node_dies(stage: Stage) {
    stage.create(2).await;
    let (before, holder) = (stage.picture().await, stage.holder(0).await);
    stage.power_off(&holder);
    stage.serves_elsewhere(0, &holder, secs(30)).await;
    stage.rows_go_on(secs(10)).await;
    stage.must(stage.picture().await[&member(1)] == before[&member(1)], "the standby was touched").await;
    let moved = stage.picture().await;
    stage.power_on(&holder);
    stage.wait(secs(60)).await;
    stage.untouched(&moved).await;
}

async fn standby_node_dies(stage: Stage) {
    stage.create(3).await;
    let (before, holder) = (stage.picture().await, stage.holder(2).await);
    stage.power_off(&holder);
    stage.serves_elsewhere(2, &holder, secs(60)).await;
    let now = stage.picture().await;
    for index in [0, 1] {
        stage.must(now[&member(index)] == before[&member(index)], "another member was touched").await;
    }
}

async fn short_power_cut(stage: Stage) {
    stage.create(2).await;
    let holder = stage.holder(0).await;
    for _ in 0..3 {
        stage.power_off(&holder);
        stage.wait(secs(1)).await;
        stage.power_on(&holder);
        stage.within(secs(90), "the primary serves", || async { stage.serves(0).await }).await;
        stage.rows_go_on(secs(20)).await;
        stage.all_well(secs(90)).await;
    }
}

async fn nodes_die_in_turn(stage: Stage) {
    stage.create(2).await;
    for _ in 0..4 {
        let holder = stage.holder(0).await;
        stage.power_off(&holder);
        stage.serves_elsewhere(0, &holder, secs(60)).await;
        stage.rows_go_on(secs(20)).await;
        stage.power_on(&holder);
        stage.all_well(secs(120)).await;
    }
}

async fn two_nodes_die(stage: Stage) {
    stage.create(3).await;
    let (before, holder) = (stage.picture().await, stage.holder(0).await);
    let others = stage.others(&holder);
    others.iter().for_each(|other| stage.power_off(other));
    stage.wait(secs(60)).await;
    stage.unmoved(&before).await;
    others.iter().for_each(|other| stage.power_on(other));
    stage.all_well(secs(180)).await;
    stage.rows_go_on(secs(20)).await;
}

async fn whole_cluster_dies(stage: Stage) {
    stage.create(3).await;
    let machines = stage.fleet.town.machines();
    machines.iter().for_each(|machine| stage.power_off(machine));
    stage.wait(secs(40)).await;
    for machine in &machines {
        stage.power_on(machine);
        stage.wait(secs(4)).await;
    }
    stage.all_well(secs(240)).await;
    stage.rows_go_on(secs(20)).await;
}

async fn target_dies_too(stage: Stage) {
    stage.create(1).await;
    let holder = stage.holder(0).await;
    stage.power_off(&holder);
    let assigned = || async { stage.record(0).await.and_then(|record| record.binding.assigned) };
    stage
        .within(secs(30), "given to another node", || async { assigned().await.is_some_and(|to| to != holder.id) })
        .await;
    let target = assigned().await.and_then(|to| stage.fleet.town.machine(&to));
    let Some(target) = target else { return stage.fail("given to nobody").await };
    // A majority stays: the first one returns, in a new life and with nothing of the member.
    stage.power_on(&holder);
    stage.power_off(&target);
    stage.serves_elsewhere(0, &target, secs(120)).await;
    stage.rows_go_on(secs(20)).await;
}

async fn node_dies_during_create(stage: Stage) {
    stage.joined().await;
    let made = stage.begins(create(3)).await;
    stage
        .within(secs(60), "a member is held", || async {
            stage.members().await.iter().any(|record| record.binding.holder.is_some())
        })
        .await;
    let holder = stage.members().await.into_iter().find_map(|record| record.binding.holder);
    let Some(machine) = holder.and_then(|holder| stage.fleet.town.machine(&holder.node)) else { return };
    stage.power_off(&machine);
    let made = stage.ends(&made).await;
    stage.must(made.state != OperationState::NeedsAttention, "the create needs attention").await;
    stage.power_on(&machine);
}

async fn node_dies_during_move(stage: Stage) {
    stage.create(1).await;
    let from = stage.holder(0).await;
    let to = stage.others(&from).remove(0);
    let change = Change::Move { member: member(0), to: Some(to.id.clone()) };
    let moved = stage.begins(change).await;
    stage
        .within(secs(60), "it is given to the other", || async {
            stage.record(0).await.and_then(|record| record.binding.assigned) == Some(to.id.clone())
        })
        .await;
    stage.power_off(&to);
    stage.serves_elsewhere(0, &to, secs(120)).await;
    // To a node that is dead it cannot be moved: the move may say so.
    let moved = stage.ends(&moved).await;
    stage.must(moved.state != OperationState::NeedsAttention, "the move needs attention").await;
    stage.rows_go_on(secs(20)).await;
}

async fn node_dies_while_stopped(stage: Stage) {
    stage.create(2).await;
    stage.succeeds(Change::Stop).await;
    let place = stage.record(1).await.and_then(|record| record.place().cloned());
    let Some(machine) = place.and_then(|place| stage.fleet.town.machine(&place)) else {
        return stage.fail("a stopped member has no place").await;
    };
    stage.power_off(&machine);
    stage.wait(secs(40)).await;
    stage.must(stage.picture().await.values().all(|seen| !seen.runs()), "something was started").await;
    stage.succeeds(Change::Start).await;
    stage.serves_elsewhere(1, &machine, secs(60)).await;
    stage.rows_go_on(secs(20)).await;
}

async fn node_drained(stage: Stage) {
    stage.create(3).await;
    let holder = stage.holder(0).await;
    stage.drains_well(&holder).await;
    stage.all_well(secs(60)).await;
    stage.must(stage.idle().await.iter().any(|idle| idle.id == holder.id), "a drained node has members").await;
    stage.succeeds(Change::Move { member: member(1), to: None }).await;
    stage.must(stage.holder(1).await.id != holder.id, "a drained node was given a member").await;
    stage.undrain(&holder).await;
    stage.succeeds(Change::Move { member: member(1), to: Some(holder.id.clone()) }).await;
    stage.must(stage.holder(1).await.id == holder.id, "an undrained node takes no member").await;
}

async fn all_but_one_drained(stage: Stage) {
    stage.create(3).await;
    let keeper = stage.holder(1).await;
    for other in stage.others(&keeper) {
        stage.drains_well(&other).await;
    }
    stage.all_well(secs(60)).await;
    stage.must(stage.idle().await.len() == 2, "a drained node has members").await;
    stage.rows_go_on(secs(20)).await;
}

async fn drained_node_dies(stage: Stage) {
    stage.create(2).await;
    let holder = stage.holder(0).await;
    stage.delay("server orchestrator.stop", secs(5));
    let drain = stage.drain(&holder).await;
    stage.wait(secs(2)).await;
    stage.power_off(&holder);
    stage.serves_elsewhere(0, &holder, secs(120)).await;
    for operation in drain.operations {
        stage.ends_well(&operation.id).await;
    }
}

async fn nobody_can_take_it(stage: Stage) {
    stage.create(1).await;
    let holder = stage.holder(0).await;
    let others = stage.others(&holder);
    for other in &others {
        stage.drains_well(other).await;
    }
    stage.power_off(&holder);
    stage.wait(secs(60)).await;
    stage.must(stage.holder(0).await.id == holder.id, "a drained node was given a member").await;
    stage.undrain(&others[0]).await;
    stage.serves_elsewhere(0, &holder, secs(90)).await;
    stage.must(stage.holder(0).await.id == others[0].id, "a drained node was given a member").await;
    stage.rows_go_on(secs(20)).await;
}

async fn vouched_off(stage: Stage) {
    stage.create(2).await;
    let holder = stage.holder(0).await;
    stage.power_off(&holder);
    let vouched = stage.vouches_off(&holder).await;
    stage.must(vouched.is_ok(), "the operator was not believed").await;
    stage.serves_elsewhere(0, &holder, secs(30)).await;
    stage.rows_go_on(secs(10)).await;
    stage.power_on(&holder);
    stage
        .within(secs(60), "the node is back", || async {
            stage.nodes().await.iter().all(|node| node.condition == NodeCondition::Present)
        })
        .await;
}

async fn vouched_off_while_it_answers(stage: Stage) {
    stage.create(2).await;
    let (before, holder) = (stage.picture().await, stage.holder(0).await);
    let vouched = stage.vouches_off(&holder).await;
    stage.must(vouched.is_err(), "an operator was believed against what is seen").await;
    stage.wait(secs(20)).await;
    stage.untouched(&before).await;
}
