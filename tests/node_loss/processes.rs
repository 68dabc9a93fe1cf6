//! Programs that are killed or stopped while their machine lives.

use std::time::Duration;

use om_tests::fleet::Fleet;
use om_tests::testbed::Process;

use crate::work::Work;

pub(crate) fn an_agent_is_killed_and_started_again(fleet: &mut Fleet) {
    let work = Work::begin(fleet);
    let at = fleet.holder(0);
    fleet.agent(at, Process::kill);
    fleet.pass(1);
    fleet.start_agent(at, None);
    fleet.pass(5);
    work.goes_on();
    work.undisturbed(Duration::from_secs(20));
}

/// The primary's, so that where there is a lease nobody renews it: the database is paused, and goes on.
pub(crate) fn an_agent_is_stopped_for_half_a_minute(fleet: &mut Fleet) {
    let work = Work::begin(fleet);
    let at = fleet.holder(0);
    fleet.agent(at, |agent| agent.stop());
    fleet.pass(30);
    fleet.agent(at, |agent| agent.resume());
    work.goes_on();
    fleet.pass(3);
    // Where there is no lease, nobody notices.
    work.undisturbed(if fleet.leased() { Duration::from_secs(60) } else { Duration::from_secs(15) });
}

/// Its containers live on, and Swarm believes that they are gone.
pub(crate) fn dockerd_is_killed(fleet: &mut Fleet) {
    let work = Work::begin(fleet);
    let at = fleet.holder(0);
    fleet.hosts.nodes[at].engine(Process::kill);
    fleet.pass(8);
    fleet.one_writer();
    work.goes_on();
    fleet.hosts.nodes[at].start_docker();
    fleet.recover();
    work.goes_on();
    work.ended();
}

pub(crate) fn dockerd_is_stopped_for_half_a_minute(fleet: &mut Fleet) {
    let work = Work::begin(fleet);
    let node = &fleet.hosts.nodes[fleet.holder(0)];
    node.engine(|engine| engine.stop());
    fleet.pass(30);
    fleet.one_writer();
    node.engine(|engine| engine.resume());
    // Swarm gave the node up meanwhile, and has the engine start its containers anew.
    fleet.pass(6);
    fleet.recover();
    work.goes_on();
    work.ended();
}

/// Nobody enforces the lease inside the container, and then the node is cut off: the agent must stand in.
pub(crate) fn the_members_first_process_is_stopped_and_its_node_cut_off(fleet: &mut Fleet) {
    let mut work = Work::begin(fleet);
    work.write_beside_the_primary();
    let (at, former) = (fleet.holder(0), fleet.epoch(0));
    fleet.signal_member(at, 0, "STOP");
    fleet.pass(3);
    fleet.one_writer();
    work.strike();
    fleet.cut_link(at);
    work.moved(0, at);
    work.goes_on();
    fleet.pass(2);
    fleet.one_writer();
    fleet.heal_link(at);
    fleet.gives_up(at, 0, former);
    fleet.recover();
    work.ended();
}

pub(crate) fn all_servers_are_down_for_a_minute(fleet: &mut Fleet) {
    let work = Work::begin(fleet);
    each_server(fleet, |fleet, at| fleet.server(at, Process::kill));
    fleet.pass(60);
    each_server(fleet, Fleet::start_server);
    fleet.all_healthy();
    fleet.pass(3);
    work.goes_on();
    work.undisturbed(Duration::from_secs(15));
}

pub(crate) fn a_node_loses_power_while_all_servers_are_down(fleet: &mut Fleet) {
    let mut work = Work::begin(fleet);
    let at = fleet.holder(0);
    each_server(fleet, |fleet, at| fleet.server(at, Process::kill));
    fleet.pass(3);
    fleet.power_off(at);
    fleet.pass(8);
    work.strike();
    fleet.start_server((at + 1) % 3);
    work.moved(0, at);
    work.goes_on();
    work.ended();
    fleet.recover();
    fleet.one_writer();
}

fn each_server(fleet: &Fleet, act: impl Fn(&Fleet, usize)) {
    (0..fleet.hosts.nodes.len()).for_each(|at| act(fleet, at));
}
