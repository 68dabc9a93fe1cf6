//! Reports: roster, what is over, addresses; and the watch as servers see it.

use std::net::IpAddr;

use futures::executor::block_on;
use futures::future::select;
use om_backend::NodeAgent;

use super::*;

/// Lets the agent do what it always does, for so long.
pub(super) fn live(world: &World, agent: &Agent, length: Duration) {
    let (living, end) = (std::pin::pin!(agent.run()), std::pin::pin!(agent.sleep(length)));
    world.run(select(living, end));
}

const SECOND: Duration = Duration::from_secs(1);

fn addresses(world: &World) -> Vec<IpAddr> {
    block_on(world.host.addresses("eth0")).unwrap()
}

#[test]
fn the_roster_is_taken_over_and_kept_and_never_goes_back() {
    let world = World::of_nodes(3, Fencing::AtOnce);
    let agent = world.agent();
    live(&world, &agent, SECOND);
    assert_eq!(agent.roster(), roster(3));
    world.control.set_roster(roster(2));
    live(&world, &agent, SECOND * 2);
    assert_eq!(agent.roster(), roster(3));

    world.control.set_down(true);
    let agent = world.agent();
    live(&world, &agent, SECOND);
    assert_eq!(agent.roster(), roster(3), "an agent started anew knows it without a server");
}

#[test]
fn a_node_reports_at_once_and_every_second() {
    let world = World::of_nodes(3, Fencing::AtOnce);
    live(&world, &world.agent(), Duration::from_millis(100));
    assert_eq!(world.control.times_reported(), 1);
    live(&world, &world.agent(), Duration::from_millis(10_500));
    assert_eq!(world.control.times_reported(), 12);
}

#[test]
fn what_is_over_is_given_up_by_force_and_released() {
    let world = World::of_nodes(3, Fencing::AtOnce);
    let path = world.mount(&data(0), "run").unwrap();
    world.host.start_container(&path);
    let stays = world.mount(&data(1), "stays").unwrap();
    world.claim_elsewhere(0, 2);
    live(&world, &world.agent(), SECOND * 2);
    assert_eq!(world.unfenced(0), []);
    assert!(world.host.left_behind().iter().all(|left| left.starts_with(&stays)));
    assert_eq!(addresses(&world), ["172.30.0.11".parse::<IpAddr>().unwrap()]);

    world.host.start_container(&stays);
    world.control.forget(&service(), &member(1));
    live(&world, &world.agent(), SECOND * 2);
    world.assert_nothing_left();
}

#[test]
fn alone_nothing_is_watched_or_reported() {
    let world = World::new();
    world.mount(&data(0), "run").unwrap();
    live(&world, &world.agent(), SECOND * 5);
    assert_eq!(world.control.times_reported(), 0);
    assert!(addresses(&world).is_empty(), "the orchestrator gives addresses");
}

#[test]
fn an_address_is_there_while_its_member_is_mounted() {
    let world = World::of_nodes(3, Fencing::AtOnce);
    world.mount(&data(0), "run").unwrap();
    assert_eq!(addresses(&world), ["172.30.0.10".parse::<IpAddr>().unwrap()]);
    world.mount(&format!("journal_{}", data(0)), "journal").unwrap();
    world.unmount(&format!("journal_{}", data(0)), "journal").unwrap();
    assert_eq!(addresses(&world).len(), 1, "the journal has no address");
    world.unmount(&data(0), "run").unwrap();
    assert_eq!(addresses(&world), [] as [IpAddr; 0]);
    world.mount(&data(0), "run").unwrap();
    block_on(world.agent().release(&service(), &member(0))).unwrap();
    assert_eq!(addresses(&world), [] as [IpAddr; 0]);
}

#[test]
fn stray_addresses_of_the_range_are_swept_up_and_no_others() {
    let world = World::of_nodes(3, Fencing::AtOnce);
    world.mount(&data(0), "run").unwrap();
    for stray in ["172.30.0.50", "10.0.0.1"] {
        block_on(world.host.add_address("eth0", (stray.parse().unwrap(), 24))).unwrap();
    }
    live(&world, &world.agent(), SECOND);
    let expected: [IpAddr; 2] = ["10.0.0.1".parse().unwrap(), "172.30.0.10".parse().unwrap()];
    assert_eq!(addresses(&world), expected);
}

#[test]
fn addresses_are_announced_again_when_the_servers_answer_again() {
    let world = World::of_nodes(3, Fencing::AtOnce);
    world.mount(&data(0), "run").unwrap();
    let announced = || world.host.history().iter().filter(|call| *call == "add 172.30.0.10").count();
    let agent = world.agent();
    live(&world, &agent, SECOND * 3);
    assert_eq!(announced(), 1);
    world.control.set_down(true);
    let (living, outage) = (std::pin::pin!(agent.run()), async {
        agent.sleep(SECOND * 3).await;
        world.control.set_down(false);
        agent.sleep(SECOND * 3).await;
    });
    world.run(select(living, std::pin::pin!(outage)));
    assert_eq!(announced(), 2);
}

#[test]
fn a_failed_sweep_address_is_not_taken_from_a_mount_under_way() {
    let world = World::of_nodes(3, Fencing::AtOnce);
    let agent = world.agent();
    let name = data(0).parse().unwrap();
    let sweeping = async {
        while !world.host.left_behind().iter().any(|path| path.ends_with("openmanage-member")) {
            agent.sweep_addresses().await.unwrap();
        }
        agent.sweep_addresses().await.unwrap();
    };
    let (mounted, ()) = world.run(async { futures::join!(agent.mount(&name, "run"), sweeping) });
    mounted.unwrap();
    assert_eq!(addresses(&world).len(), 1);
}

#[test]
fn servers_are_told_of_silence_but_not_by_an_agent_that_was_stopped() {
    let world = World::of_nodes(3, Fencing::AtOnce);
    let agent = world.agent();
    // Nobody answers the prober.
    live(&world, &agent, SECOND * 4);
    let views = world.run(agent.peers()).unwrap();
    assert_eq!(views.iter().map(|view| view.node.clone()).collect::<Vec<_>>(), [node(2), node(3)], "not itself");
    assert!(views.iter().all(|view| view.silent_for >= SECOND * 2), "{views:?}");
    world.clock.advance(SECOND * 30);
    let views = world.run(agent.peers()).unwrap();
    assert!(views.iter().all(|view| view.silent_for.is_zero()), "{views:?}");
}
