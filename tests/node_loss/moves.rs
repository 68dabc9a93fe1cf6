//! Moves on purpose, reboots, and holders that follow one another.

use std::time::Instant;

use om_tests::fleet::{Fleet, SERVICE};

use crate::work::Work;

pub(crate) fn a_node_is_drained_and_admitted_again(fleet: &mut Fleet) {
    let mut work = Work::begin(fleet);
    let (at, former) = (fleet.holder(0), fleet.epoch(0));
    let name = fleet.hosts.nodes[at].name.clone();
    work.strike();
    fleet.call(&["node", "drain", &name]);
    work.moved(0, at);
    let left: Vec<usize> = (0..3).filter(|index| fleet.holder(*index) == at).collect();
    assert_eq!(left, Vec::<usize>::new(), "a drained node holds nothing");
    fleet.gives_up(at, 0, former);
    assert_eq!(fleet.mounted(at), Vec::<String>::new(), "and has nothing mounted");
    work.goes_on();
    work.ended();
    fleet.call(&["node", "undrain", &name]);
    fleet.recover();
}

pub(crate) fn every_node_is_rebooted_in_turn(fleet: &mut Fleet) {
    let work = Work::begin(fleet);
    for at in 0..fleet.hosts.nodes.len() {
        let began = Instant::now();
        fleet.shut_down(at);
        println!("{} is down after {:.2?}", fleet.hosts.nodes[at].name, began.elapsed());
        fleet.power_on(at);
        fleet.recover();
        println!("{} was rebooted, all is well after {:.2?}", fleet.hosts.nodes[at].name, began.elapsed());
        fleet.one_writer();
    }
    work.goes_on();
    work.ended();
}

/// Docker has them in its folder and Swarm has tasks for them: neither may bring them to life.
pub(crate) fn a_node_returns_with_its_old_containers(fleet: &mut Fleet) {
    let mut work = Work::begin(fleet);
    let (at, former) = (fleet.holder(0), fleet.epoch(0));
    work.strike();
    fleet.power_off(at);
    let to = work.moved(0, at);
    let epoch = fleet.epoch(0);
    fleet.power_on(at);
    fleet.recover();
    fleet.pass(3);
    fleet.gives_up(at, 0, former);
    assert_eq!((fleet.holder(0), fleet.epoch(0)), (to, epoch), "the member stays where it went");
    assert_eq!(fleet.container_of(at, 0), None, "the old container does not run");
    work.goes_on();
    work.ended();
}

/// A is cut off and lives, B takes over and dies. C alone is no majority of three, so nothing may happen there; when A is
/// back, C (or A, anew) takes over.
pub(crate) fn the_second_holder_dies_while_the_first_is_away(fleet: &mut Fleet) {
    let mut work = Work::begin(fleet);
    work.write_beside_the_primary();
    let (a, former) = (fleet.holder(0), fleet.epoch(0));
    fleet.cut_link(a);
    let b = work.moved(0, a);
    work.goes_on();
    let c = 3 - a - b;
    work.strike();
    let before = fleet.mounted(c);
    fleet.power_off(b);
    fleet.pass(8);
    assert_eq!(fleet.mounted(c), before, "one node is no majority: it takes nothing over");
    fleet.one_writer();
    fleet.heal_link(a);
    let to = work.moved(0, b);
    println!("{SERVICE}-0 went {} -> {} -> {}", name(fleet, a), name(fleet, b), name(fleet, to));
    fleet.gives_up(a, 0, former);
    work.goes_on();
    fleet.one_writer();
    fleet.recover();
    work.ended();
}

fn name(fleet: &Fleet, at: usize) -> &str {
    &fleet.hosts.nodes[at].name
}
