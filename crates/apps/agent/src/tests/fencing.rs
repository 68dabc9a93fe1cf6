//! Step 2, fence, for each kind of provider; and giving up by force.

use futures::executor::block_on;
use om_backend::NodeAgent;
use om_model::{Proof, VolumeRole};

use super::crashes::{at_every_await, crash_after};
use super::*;

fn proofs(world: &World) -> Vec<(u64, Proof)> {
    world.control.proofs().into_iter().map(|(_, epoch, proof)| (epoch.get(), proof)).collect()
}

#[test]
fn a_provider_that_cannot_take_volumes_away_waits_for_a_word() {
    let world = World::of_nodes(3, Fencing::None);
    world.claim_elsewhere(0, 2);
    world.assign_here(0);
    let error = refused(world.mount(&data(0), "too early"));
    assert!(error.detail.contains("node-2"), "{error}");
    assert!(error.next.unwrap().contains("openmanage node fence node-2"));
    world.assert_nothing_left();
    assert_eq!(proofs(&world), [], "nothing was proven");
    world.control.with_binding(&service(), &member(0), |binding| binding.unfenced.clear());
    world.mount(&data(0), "in time").unwrap();
}

#[test]
fn two_formers_are_both_cut_off_before_anything_is_mounted() {
    let world = World::of_nodes(3, Fencing::AtOnce);
    world.claim_elsewhere(0, 2);
    world.claim_elsewhere(0, 3);
    world.assign_here(0);
    let path = world.mount(&data(0), "run").unwrap();
    assert_eq!(path, Path::new(MOUNTS).join(format!("{}.e3", data(0))));
    assert_eq!(proofs(&world), [(1, Proof::Revoked), (2, Proof::Revoked)]);
    for role in [VolumeRole::Data, VolumeRole::Journal] {
        let revoked = world.volumes.revoked.lock().unwrap()[&volume(0, role)].0;
        assert_eq!(revoked, Epoch::new(2), "{role:?}: data and journal have one fence");
    }
}

#[test]
fn a_former_of_this_nodes_own_is_taken_away_by_force() {
    let world = World::of_nodes(3, Fencing::AtOnce);
    let old = world.mount(&format!("journal_{}", data(0)), "old").unwrap();
    let container = world.host.start_container(&old);
    world.claim_elsewhere(0, 2);
    world.assign_here(0);
    let new = world.mount(&data(0), "new").unwrap();
    assert_eq!(new, Path::new(MOUNTS).join(format!("{}.e3", data(0))));
    assert!(world.host.history().contains(&format!("shut down {}", old.display())), "not only unmounted");
    assert!(!world.host.left_behind().contains(&old));
    assert_eq!(proofs(&world), [(1, Proof::Released), (2, Proof::Revoked)]);
    world.host.end_container(container);
}

#[test]
fn a_reborn_former_needs_no_revoking() {
    let world = World::of_nodes(1, Fencing::None);
    let former = Former { node: node(1), incarnation: "boot-before".parse().unwrap(), epoch: Epoch::new(1) };
    world.control.with_binding(&service(), &member(0), |binding| {
        binding.claim(&node(1), &world.host.incarnation(), Timestamp::from_millis(0)).unwrap();
        binding.epoch = Epoch::new(2);
        binding.unfenced.push(former);
    });
    world.mount(&data(0), "run").unwrap();
    assert_eq!(proofs(&world), [(1, Proof::Reborn)]);
}

#[test]
fn a_fencing_mount_cut_off_anywhere_is_completed_by_the_next() {
    let crashes = at_every_await(|steps| {
        let world = World::of_nodes(3, Fencing::AtOnce);
        world.mount(&format!("journal_{}", data(0)), "old").unwrap();
        world.claim_elsewhere(0, 2);
        world.claim_elsewhere(0, 3);
        world.assign_here(0);
        let name = data(0).parse().unwrap();
        let cut = crash_after(steps, world.agent().mount(&name, "first")).is_none();
        // What is over by now must not be mounted yet; nothing is mounted before all is proven.
        let mounted = world.host.left_behind().iter().any(|path| path.ends_with(format!("{}.e4", data(0))));
        assert!(!mounted || world.unfenced(0).is_empty(), "after {steps} steps");
        let again = crash_after(steps / 2, world.agent().mount(&name, "second")).is_none();
        let path = world.mount(&data(0), "third").unwrap_or_else(|error| panic!("after {steps} steps: {error}"));
        assert_eq!(path, Path::new(MOUNTS).join(format!("{}.e4", data(0))));
        assert!(world.host.left_behind().iter().all(|left| left.starts_with(&path)), "the old epoch is gone");
        let _ = again;
        !cut
    });
    assert!(crashes > 40, "there are awaits to crash at: {crashes}");
}

/// The calls on the host since `before` of them, by their verbs, without repetitions.
fn verbs(world: &World, before: usize) -> Vec<String> {
    let history = world.host.history();
    let mut verbs: Vec<String> = history[before..]
        .iter()
        .map(|call| call.rsplit_once(' ').expect("a call and its subject").0.to_owned())
        .collect();
    verbs.dedup();
    verbs
}

#[test]
fn force_takes_the_address_then_the_file_system_then_the_processes_then_the_mounts() {
    let world = World::of_nodes(3, Fencing::AtOnce);
    let path = world.mount(&data(0), "run").unwrap();
    let container = world.host.start_container(&path);
    let before = world.host.history().len();
    let agent = world.agent();
    world.run(agent.fence(&service(), &member(0), Epoch::new(1))).unwrap();
    assert_eq!(verbs(&world, before)[..3], ["remove", "shut down", "kill"]);
    assert_eq!(verbs(&world, before).last().unwrap(), "unmount");
    world.assert_nothing_left();
    assert!(block_on(world.host.addresses("eth0")).unwrap().is_empty());
    world.run(agent.fence(&service(), &member(0), Epoch::new(1))).expect("done again");
    world.host.end_container(container);
}

#[test]
fn force_leaves_later_epochs_and_other_members_alone() {
    let world = World::of_nodes(3, Fencing::AtOnce);
    let other = world.mount(&data(1), "other").unwrap();
    world.mount(&data(0), "old").unwrap();
    world.claim_elsewhere(0, 2);
    world.assign_here(0);
    world.control.with_binding(&service(), &member(0), |binding| binding.release(Epoch::new(2)));
    world.run(world.agent().fence_here(&service(), &member(0), Epoch::new(1))).unwrap();
    let new = world.mount(&data(0), "new").unwrap();
    let containers = [&other, &new].map(|path| world.host.start_container(path));
    world.run(world.agent().fence(&service(), &member(0), Epoch::new(2))).unwrap();
    assert!(world.host.left_behind().contains(&new) && world.host.left_behind().contains(&other));
    for path in [&new, &other] {
        assert!(!world.host.was_shut_down(world.device_at(path)));
    }
    assert!(world.volumes.attached.lock().unwrap().contains(&volume(0, VolumeRole::Data)));
    assert_eq!(block_on(world.host.addresses("eth0")).unwrap().len(), 2);
    containers.into_iter().for_each(|container| world.host.end_container(container));
}

#[test]
fn a_file_system_that_is_not_the_volumes_own_is_never_shut_down() {
    let world = World::of_nodes(3, Fencing::None);
    let path = world.mount(&data(0), "run").unwrap();
    let container = world.host.start_container(&path);
    world.run(world.agent().fence(&service(), &member(0), Epoch::new(1))).unwrap();
    assert!(!world.host.history().iter().any(|call| call.starts_with("shut down")));
    world.assert_nothing_left();
    world.host.end_container(container);
}

#[test]
fn a_fence_cut_off_anywhere_is_completed_by_the_next() {
    let crashes = at_every_await(|steps| {
        let world = World::of_nodes(3, Fencing::AtOnce);
        let path = world.mount(&data(0), "run").unwrap();
        world.host.start_container(&path);
        let cut = crash_after(steps, world.agent().fence_here(&service(), &member(0), Epoch::new(1))).is_none();
        world.run(world.agent().fence(&service(), &member(0), Epoch::new(1))).unwrap();
        world.assert_nothing_left();
        assert!(block_on(world.host.addresses("eth0")).unwrap().is_empty());
        !cut
    });
    assert!(crashes > 20, "there are awaits to crash at: {crashes}");
}

#[test]
fn what_was_given_up_is_not_mounted_again_under_its_epoch() {
    let world = World::of_nodes(3, Fencing::AtOnce);
    world.mount(&data(0), "run").unwrap();
    world.unmount(&data(0), "run").unwrap();
    world.run(world.agent().release(&service(), &member(0))).unwrap();
    // Before the server that asked has written it down, a container starts again; its agent is another by now.
    let path = world.mount(&data(0), "again").unwrap();
    assert_eq!(path, Path::new(MOUNTS).join(format!("{}.e2", data(0))));
    world.control.with_binding(&service(), &member(0), |binding| {
        binding.release(Epoch::new(1));
        assert!(binding.holder.is_some(), "the late note of it changes nothing");
    });
    world.run(world.agent().fence(&service(), &member(0), Epoch::new(2))).unwrap();
    let path = world.mount(&data(0), "once more").unwrap();
    assert_eq!(path, Path::new(MOUNTS).join(format!("{}.e3", data(0))));
    world.host.reboot();
    world.mount(&data(0), "in another life").unwrap();
}
