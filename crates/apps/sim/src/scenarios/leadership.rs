//! Which server leads: it ends, stands still, loses the database, or believes it leads when it does not.

use std::time::Duration;

use om_planning::Change;

use super::stage::{Stage, member, secs};
use crate::coverage::Fault;
use crate::machine::Role;
use crate::planned::Planned;

super::scenarios! {
    leader_killed: "The server that leads ends: another leads, and no member notices", "Patroni basic_replication, dcos test_kill_scheduler, CNPG operator_ha";
    leader_stands_still: "The server that leads is stopped in the middle of a move and goes on later: two believe they lead, one move is made", "Patroni frozen_patroni";
    leader_loses_the_database: "The server that leads gets no answer from the database: another leads, nothing moves", "Patroni dcs_failsafe_mode";
    servers_end_in_turn: "One server after another ends, all the time: a change is carried out all the same", "dcos test_kill_scheduler, PSMDB operator-self-healing-chaos";
    leader_is_slow: "Every renewal of the lead is late: the lead goes round, and nothing moves", "Patroni API or etcd hiccup (#3462, #1593)";
    wall_clocks_jump: "All clocks on the wall are set hours back and forth: nobody takes a lease for over", "Jepsen clock nemesis";
    lost_node_of_the_leader: "The machine of the server that leads dies: the next leader recovers its members", "CNPG operator_unavailable (primary and operator at once)";
}

async fn leader_killed(stage: Stage) {
    stage.create(3).await;
    let (before, leader) = (stage.picture().await, stage.leader().await);
    stage.crash(Role::Server, &leader);
    stage.within(secs(10), "another server leads", || async { stage.leader().await.id != leader.id }).await;
    stage.rows_go_on(secs(5)).await;
    stage.wait(secs(30)).await;
    stage.untouched(&before).await;
}

async fn leader_stands_still(stage: Stage) {
    stage.create(2).await;
    let (from, leader) = (stage.holder(1).await, stage.leader().await);
    let move_it = stage.begins(Change::Move { member: member(1), to: None }).await;
    stage.wait(secs(1)).await;
    stage.stop(Role::Server, &leader);
    stage.ends_well(&move_it).await;
    stage.serves_elsewhere(1, &from, secs(30)).await;
    let before = stage.picture().await;
    stage.goes_on(Role::Server, &leader);
    stage.wait(secs(30)).await;
    stage.untouched(&before).await;
}

async fn leader_loses_the_database(stage: Stage) {
    stage.create(3).await;
    let (before, leader) = (stage.picture().await, stage.leader().await);
    let on = Some(leader.id.to_string());
    stage.plans(Planned { on, times: u32::MAX, ..Planned::next("server db.", Fault::FailBefore) });
    stage.within(secs(10), "another server leads", || async { stage.leader().await.id != leader.id }).await;
    stage.wait(secs(60)).await;
    stage.untouched(&before).await;
    stage.lift().await;
}

async fn servers_end_in_turn(stage: Stage) {
    stage.create(2).await;
    let before = stage.picture().await;
    let machines = stage.fleet.town.machines();
    for turn in 0..12 {
        stage.crash(Role::Server, &machines[turn % machines.len()]);
        stage.wait(secs(3)).await;
    }
    stage.untouched(&before).await;
    let change = stage.begins(Change::Move { member: member(0), to: None }).await;
    for turn in 0..12 {
        stage.crash(Role::Server, &machines[turn % machines.len()]);
        stage.wait(secs(3)).await;
    }
    stage.ends_well(&change).await;
}

async fn leader_is_slow(stage: Stage) {
    stage.create(3).await;
    let before = stage.picture().await;
    let late = Duration::from_millis(1500);
    stage.plans(Planned { times: 60, late, ..Planned::next("server db.update leader/", Fault::Delay) });
    stage.wait(secs(90)).await;
    stage.untouched(&before).await;
    stage.lift().await;
}

async fn wall_clocks_jump(stage: Stage) {
    stage.create(3).await;
    let before = stage.picture().await;
    for ahead in [9_000_000, -9_000_000, 40_000, -40_000, 0] {
        for (number, machine) in (1..).zip(stage.fleet.town.machines()) {
            machine.clock.set_wall(ahead * number);
        }
        stage.wait(secs(20)).await;
        stage.untouched(&before).await;
    }
}

async fn lost_node_of_the_leader(stage: Stage) {
    stage.create(3).await;
    let leader = stage.leader().await;
    let stranded: Vec<u16> = {
        let members = stage.members().await;
        members.iter().filter(|member| member.place() == Some(&leader.id)).map(|member| member.index).collect()
    };
    stage.power_off(&leader);
    for index in stranded {
        stage.serves_elsewhere(index, &leader, secs(60)).await;
    }
    stage.rows_go_on(secs(30)).await;
}
