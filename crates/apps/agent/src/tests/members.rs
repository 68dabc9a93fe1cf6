//! What the servers ask, and what happens while there are none.

use futures::executor::block_on;
use om_backend::NodeAgent;

use super::*;

#[test]
fn members_answer_from_where_they_are_mounted() {
    let world = World::new();
    let agent = world.agent();
    let error = block_on(agent.status(&service(), &member(0))).unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
    let control = world.mount(&data(0), "run").unwrap().join(".openmanage");
    block_on(agent.status(&service(), &member(0))).unwrap();
    block_on(agent.reload(&service(), &member(0))).unwrap();
    let config: MemberConfig = serde_json::from_slice(&world.read(&control.join("member.json")).unwrap()).unwrap();
    assert_eq!(config.configuration, 2, "the new configuration was there before the member was told");
    let asked = world.channel.0.lock().unwrap().clone();
    assert_eq!(asked, [(control.clone(), Request::Status), (control, Request::Reload)]);
}

#[test]
fn release_is_refused_while_a_container_holds_anything() {
    let world = World::new();
    world.mount(&data(0), "run").unwrap();
    let journal = world.mount(&format!("journal_{}", data(0)), "run-journal").unwrap();
    let container = world.host.start_container(&journal);
    let error = block_on(world.agent().release(&service(), &member(0))).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    world.host.end_container(container);
    block_on(world.agent().release(&service(), &member(0))).unwrap();
    world.assert_nothing_left();
    block_on(world.agent().release(&service(), &member(0))).expect("releasing again is done");
}

#[test]
fn growing_what_is_not_mounted_is_left_to_the_next_mount() {
    let world = World::new();
    let volume = VolumeId { service: service(), member: member(0), role: om_model::VolumeRole::Data };
    block_on(world.agent().grow(&volume)).unwrap();
    assert_eq!(world.host.times_grown(), 0);
    world.mount(&data(0), "run").unwrap();
    block_on(world.agent().grow(&volume)).unwrap();
    assert_eq!(world.host.times_grown(), 1);
}

#[test]
fn without_servers_what_is_mounted_can_be_mounted_again_and_nothing_else() {
    let world = World::new();
    let path = world.mount(&data(0), "first").unwrap();
    world.control.set_down(true);
    assert_eq!(world.mount(&data(0), "first").unwrap(), path);
    assert_eq!(world.mount(&data(0), "second").unwrap(), path, "the container died without an Unmount");
    let container = world.host.start_container(&path);
    refused(world.mount(&data(0), "third"));
    assert_eq!(world.mount(&data(1), "other").unwrap_err().kind, ErrorKind::Unavailable);
    world.host.end_container(container);
    world.unmount(&data(0), "second").unwrap();
    world.assert_nothing_left();
}

#[test]
fn who_asks_for_a_member_that_could_not_be_mounted_is_told_why() {
    let world = World::new();
    let agent = world.agent();
    let ask = || block_on(agent.status(&service(), &member(0))).unwrap_err().detail;
    let before = ask();
    world.control.set_down(true);
    let error = world.run(agent.mount(&data(0).parse().unwrap(), "run")).unwrap_err();
    assert_eq!(ask(), format!("{before}: {error}"));
    world.control.set_down(false);
    world.run(agent.mount(&data(0).parse().unwrap(), "run")).unwrap();
    world.run(agent.unmount(&data(0).parse().unwrap(), "run")).unwrap();
    assert_eq!(ask(), before, "what is over is not told");
}

#[test]
fn another_nodes_member_is_not_touched() {
    let world = World::new();
    let (elsewhere, life) = ("node-2".parse().unwrap(), "boot-0".parse().unwrap());
    world.control.with_binding(&service(), &member(0), |binding| {
        binding.claim(&elsewhere, &life, Timestamp::from_millis(0)).unwrap();
    });
    let error = refused(world.mount(&data(0), "stray"));
    assert!(error.detail.contains("node-2"), "it names the holder: {error}");
    world.assert_nothing_left();
}

#[test]
fn a_former_holder_not_proven_fenced_keeps_the_member_unmounted() {
    let world = World::new();
    let (elsewhere, life) = ("node-2".parse().unwrap(), "boot-0".parse().unwrap());
    world.control.with_binding(&service(), &member(0), |binding| {
        binding.claim(&elsewhere, &life, Timestamp::from_millis(0)).unwrap();
        binding.assigned = Some("node-1".parse().unwrap());
    });
    refused(world.mount(&data(0), "too early"));
    world.assert_nothing_left();
    world.control.with_binding(&service(), &member(0), |binding| binding.unfenced.clear());
    world.mount(&data(0), "in time").unwrap();
}
