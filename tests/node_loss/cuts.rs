//! Cuts of the network and of the storage, while the containers of the node that is cut off live and write.

use std::time::Duration;

use om_tests::fleet::Fleet;
use om_tests::testbed::Way;

use crate::work::Work;

/// A third of the detection budget: what happens on every switch once in a while.
pub(crate) fn a_cut_below_the_budget_moves_nothing(fleet: &mut Fleet) {
    let work = Work::begin(fleet);
    let at = fleet.holder(0);
    fleet.cut_link(at);
    std::thread::sleep(Duration::from_secs(1));
    fleet.heal_link(at);
    work.goes_on();
    fleet.pass(3);
    work.undisturbed(Duration::from_secs(15));
}

/// Longer than a lease: where there is one, the database is paused and goes on when the lease is back.
pub(crate) fn a_cut_of_three_seconds_restarts_nothing(fleet: &mut Fleet) {
    let work = Work::begin(fleet);
    let at = fleet.holder(0);
    fleet.cut_link(at);
    fleet.pass(3);
    fleet.heal_link(at);
    work.goes_on();
    fleet.pass(4);
    work.undisturbed(Duration::from_secs(20));
}

pub(crate) fn network_and_storage_cut_for_twenty_seconds(fleet: &mut Fleet) {
    if fleet.leased() {
        cut(fleet, true, 20);
    } else {
        println!("the storage is reached by the network: this is the next case");
    }
}

pub(crate) fn the_network_alone_cut_for_twenty_seconds(fleet: &mut Fleet) {
    cut(fleet, false, 20);
}

/// Longer than any timer of Swarm's, Docker's or TCP's. Where no lease runs meanwhile there is less to outlast: 45 s.
pub(crate) fn the_network_alone_cut_for_two_minutes(fleet: &mut Fleet) {
    cut(fleet, false, if fleet.leased() { 120 } else { 45 });
}

fn cut(fleet: &Fleet, storage: bool, seconds: u64) {
    let mut work = Work::begin(fleet);
    work.write_beside_the_primary();
    let at = fleet.holder(0);
    let (node, former) = (&fleet.hosts.nodes[at], fleet.epoch(0));
    let container = fleet.container_of(at, 0).expect("the primary has a container");
    work.strike();
    if storage {
        node.cut_storage();
    }
    fleet.cut_link(at);
    let (began, to) = (std::time::Instant::now(), work.moved(0, at));
    assert_ne!(to, at);
    work.goes_on();
    assert_eq!(fleet.container_of(at, 0), Some(container), "the container on the node that is cut off is still there");
    std::thread::sleep(Duration::from_secs(seconds).saturating_sub(began.elapsed()));
    if storage {
        node.heal_storage();
    }
    fleet.heal_link(at);
    fleet.gives_up(at, 0, former);
    fleet.recover();
    assert!(fleet.epoch(0) > former);
    work.ended();
}

/// Nobody hears the node, but it hears everybody: it must learn that it is out.
pub(crate) fn a_node_that_is_not_heard_loses_its_member_once(fleet: &mut Fleet) {
    let mut work = Work::begin(fleet);
    let (at, former) = (fleet.holder(0), fleet.epoch(0));
    work.strike();
    fleet.cut_one_way(at, Way::Out);
    work.moved(0, at);
    work.goes_on();
    fleet.pass(5);
    fleet.heal_link(at);
    fleet.gives_up(at, 0, former);
    fleet.recover();
    work.ended();
}

pub(crate) fn a_minute_of_lost_packets_moves_nothing(fleet: &mut Fleet) {
    let work = Work::begin(fleet);
    let at = fleet.holder(0);
    fleet.hosts.nodes[at].loss(30);
    fleet.pass(60);
    fleet.heal_link(at);
    work.goes_on();
    // Every second exchange needs another try, with the storage too: hardly a row gets through, and that is all right.
    work.undisturbed(Duration::from_secs(90));
}
