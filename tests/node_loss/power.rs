//! Power-off: of the node of the primary, of a standby, of the servers that lead, of two nodes at once.

use std::time::{Duration, Instant};

use om_tests::fleet::Fleet;

use crate::work::Work;

pub(crate) fn a_service_runs_on_three_nodes(fleet: &mut Fleet) {
    let began = Instant::now();
    fleet.service();
    fleet.all_healthy();
    println!("service after {:.2?}", began.elapsed());
    let holders: Vec<usize> = (0..3).map(|index| fleet.holder(index)).collect();
    let mut apart = holders.clone();
    apart.sort_unstable();
    apart.dedup();
    assert_eq!(apart.len(), 3, "each member has a node of its own: {holders:?}");
    fleet.one_writer();
}

pub(crate) fn the_primarys_node_loses_power(fleet: &mut Fleet) {
    let mut work = Work::begin(fleet);
    let former = fleet.holder(0);
    work.strike();
    fleet.power_off(former);
    work.moved(0, former);
    work.goes_on();
    work.ended();
    fleet.recover();
    fleet.one_writer();
}

/// What the dead node had sent to the storage arrives long after another node has taken over.
pub(crate) fn writes_of_a_dead_node_arrive_after_the_move(fleet: &mut Fleet) {
    let mut work = Work::begin(fleet);
    let former = fleet.holder(0);
    // With nbd no node writes to the pool itself: what is on its way is held by the cut of the network.
    fleet.hosts.nodes[former].hold_writes();
    work.strike();
    fleet.pass(1);
    fleet.power_off(former);
    work.moved(0, former);
    work.goes_on();
    let late = fleet.hosts.nodes[former].release_writes();
    println!("{late} writes arrived late");
    if fleet.leased() {
        assert!(late > 0, "no write was on its way: the case shows nothing");
    }
    fleet.pass(2);
    work.ended();
    fleet.recover();
    fleet.one_writer();
}

pub(crate) fn a_standbys_node_loses_power(fleet: &mut Fleet) {
    let mut work = Work::begin(fleet);
    let index = fleet.standby_apart();
    let former = fleet.holder(index);
    let primary = (fleet.holder(0), fleet.epoch(0));
    work.strike();
    fleet.power_off(former);
    work.moved(index, former);
    assert_eq!((fleet.holder(0), fleet.epoch(0)), primary, "the primary stays where it is");
    let gap = work.ended();
    assert!(gap < Duration::from_secs(4), "the primary went on, yet no row was written for {gap:?}");
    fleet.recover();
    fleet.one_writer();
}

/// Where the server that leads and the Swarm's leader are apart, each node loses power once.
pub(crate) fn nodes_of_the_leaders_lose_power(fleet: &mut Fleet) {
    let find: [fn(&Fleet) -> usize; 2] = [Fleet::leading_server, Fleet::swarm_leader];
    let mut done = Vec::new();
    for (find, what) in find.into_iter().zip(["the server that leads", "the Swarm's leader"]) {
        let at = find(fleet);
        if done.contains(&at) {
            continue;
        }
        done.push(at);
        let mut work = Work::begin(fleet);
        let held: Vec<usize> = (0..3).filter(|index| fleet.holder(*index) == at).collect();
        println!("{what} is on {}, which holds {held:?}", fleet.hosts.nodes[at].name);
        work.strike();
        fleet.power_off(at);
        for index in held {
            work.moved(index, at);
        }
        work.goes_on();
        work.ended();
        fleet.recover();
        fleet.one_writer();
    }
}

/// One node of three is no majority: nothing moves to it, and everything goes on when the others are back.
pub(crate) fn two_nodes_lose_power_and_come_back(fleet: &mut Fleet) {
    let mut work = Work::begin(fleet);
    let left = fleet.holder(1);
    let lost: Vec<usize> = (0..3).filter(|at| *at != left).collect();
    let mounts = fleet.mounted(left);
    work.strike();
    std::thread::scope(|scope| lost.iter().for_each(|at| drop(scope.spawn(|| fleet.power_off(*at)))));
    fleet.pass(8);
    assert_eq!(fleet.mounted(left), mounts, "one node is no majority: it takes nothing over, and gives nothing up");
    fleet.recover();
    println!("all is well again after two nodes came back");
    work.goes_on();
    work.ended();
}
