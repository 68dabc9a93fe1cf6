//! The node's lease: held, lapsed, back, and waited for by others.

use futures::future::{Either, select};
use om_backend::Voter;
use om_backend::host::ControlFile;
use om_engines::member::LEASE_FILE;

use super::crashes::crash_after;
use super::*;

/// Renews and enforces once, and lets everything that follows from it end.
pub(super) fn keep(world: &World, agent: &Agent) {
    let lease = agent.known.lease.as_ref().expect("these volumes need a lease");
    world.run(async {
        agent.renew_round(lease).await;
        agent.enforce_lease(lease).await;
    });
    world.turns.finish();
}

/// An agent that knows the roster and has been up for long.
pub(super) fn known(world: &World, host: &FakeHost, count: u16) -> Agent {
    let agent = world.agent_on(host.clone());
    world.run(agent.take_roster(roster(count))).unwrap();
    world.clock.advance(TERM);
    agent
}

pub(super) fn holds(world: &World, agent: &Agent) -> bool {
    agent.known.lease.as_ref().unwrap().spell(world.clock.time()).is_some()
}

fn addresses(world: &World) -> Vec<std::net::IpAddr> {
    world.run(world.host.addresses("eth0")).unwrap()
}

/// The deadline that the container at `path` has.
fn deadline(world: &World, host: &FakeHost, path: &Path) -> Option<Duration> {
    let text = world.run(host.read_file(&path.join(".openmanage").join(LEASE_FILE))).unwrap()?;
    Some(Duration::from_millis(String::from_utf8(text).unwrap().trim().parse().unwrap()))
}

/// Runs `work` while `agent` keeps its lease.
fn beside_lease<T>(world: &World, agent: &Agent, work: impl Future<Output = T>) -> T {
    world.run(beside(agent.keep_lease(), work))
}

/// Runs `work` while something else goes on that never ends.
pub(super) async fn beside<T>(endless: impl Future<Output = ()>, work: impl Future<Output = T>) -> T {
    match select(std::pin::pin!(work), std::pin::pin!(endless)).await {
        Either::Left((value, _)) => value,
        Either::Right(_) => unreachable!("it never ends"),
    }
}

fn mount(world: &World, agent: &Agent, name: &str, id: &str) -> Result<PathBuf> {
    world.run(agent.mount(&name.parse().unwrap(), id))
}

/// Three nodes, and the first has its member mounted and running; returns the mount and the container.
fn running() -> (World, Agent, PathBuf, u32) {
    let world = World::of_nodes(3, Fencing::AfterLease);
    let agent = known(&world, &world.host, 3);
    keep(&world, &agent);
    let path = mount(&world, &agent, &data(0), "run").unwrap();
    let container = world.host.start_container(&path);
    (world, agent, path, container)
}

fn cut_off(world: &World, away: bool) {
    (2..=3).for_each(|index| world.voters.set_away(&node(index), away));
}

/// The voters are away for longer than the lease lasts.
fn lapse(world: &World, agent: &Agent) {
    cut_off(world, true);
    world.clock.advance(TERM);
    keep(world, agent);
    assert!(!holds(world, agent));
    cut_off(world, false);
}

#[test]
fn a_mount_has_its_deadline_before_its_container_starts_and_then_a_later_one() {
    let (world, agent, path, _) = running();
    let first = deadline(&world, &world.host, &path).unwrap();
    assert!(first > world.clock.time() && first < world.clock.time() + TERM);
    let journal = mount(&world, &agent, &format!("journal_{}", data(0)), "journal").unwrap();
    assert_eq!(deadline(&world, &world.host, &journal), Some(first));
    world.clock.advance(TERM / 5);
    keep(&world, &agent);
    assert_eq!(deadline(&world, &world.host, &path), Some(first + TERM / 5));
    assert_eq!(deadline(&world, &world.host, &journal), Some(first + TERM / 5));
}

#[test]
fn a_mount_waits_for_the_lease() {
    let world = World::of_nodes(3, Fencing::AfterLease);
    let agent = known(&world, &world.host, 3);
    cut_off(&world, true);
    let name = data(0).parse().unwrap();
    let error = beside_lease(&world, &agent, agent.mount(&name, "too early")).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
    world.assert_nothing_left();
    cut_off(&world, false);
    let path = beside_lease(&world, &agent, agent.mount(&name, "in time")).unwrap();
    assert!(deadline(&world, &world.host, &path).is_some());
}

#[test]
fn an_agent_started_anew_stops_nobody_whose_own_deadline_is_ahead() {
    let (world, agent, lapsed, lapsed_container) = running();
    let ahead = mount(&world, &agent, &data(1), "other").unwrap();
    let container = world.host.start_container(&ahead);
    let over = ControlFile { path: LEASE_FILE.to_owned(), content: b"1\n".to_vec(), mode: 0o600 };
    world.run(world.host.write_files(&lapsed.join(".openmanage"), &[over])).unwrap();
    cut_off(&world, true);
    let anew = world.agent();
    let lease = anew.known.lease.as_ref().unwrap();
    world.run(anew.resume_lease(lease)).unwrap();
    world.run(anew.enforce_lease(lease));
    world.turns.finish();
    assert!(world.host.is_stopped(lapsed_container) && !world.host.is_stopped(container));
    assert!(!world.host.is_frozen(world.device_at(&ahead)));
    world.clock.advance(TERM);
    world.run(anew.enforce_lease(lease));
    world.turns.finish();
    assert!(world.host.is_stopped(container), "its own has passed by now");
}

#[test]
fn what_was_frozen_under_an_interrupted_mount_is_thawed() {
    let (world, agent, path, container) = running();
    let other = mount(&world, &agent, &data(1), "other").unwrap();
    world.host.end_container(container);
    lapse(&world, &agent);
    // By the other's deadline the next agent takes up the lease.
    let ahead = format!("{}\n", (agent.now() + TERM).as_millis()).into_bytes();
    let ahead = ControlFile { path: LEASE_FILE.to_owned(), content: ahead, mode: 0o600 };
    world.run(world.host.write_files(&other.join(".openmanage"), &[ahead])).unwrap();
    let device = world.device_at(&path);
    assert!(world.host.is_frozen(device));
    // The next Mount had begun with the control folder when the agent died.
    for target in [path.join(".openmanage/openmanage-member"), path.join(".openmanage")] {
        world.run(world.host.unmount(&target)).unwrap();
    }
    drop(agent);
    let anew = world.agent();
    world.run(anew.recall_roster());
    let again = beside_lease(&world, &anew, anew.mount(&data(0).parse().unwrap(), "next")).unwrap();
    assert_eq!(again, path);
    beside_lease(&world, &anew, anew.sleep(TERM));
    assert!(!world.host.is_frozen(device) && !world.host.was_shut_down(device));
}

#[test]
fn a_majority_decides() {
    for (count, spare) in [(1, 0), (2, 0), (3, 1), (5, 2)] {
        let world = World::of_nodes(count, Fencing::AfterLease);
        let agent = known(&world, &world.host, count);
        (2..2 + spare).for_each(|index| world.voters.set_away(&node(index), true));
        keep(&world, &agent);
        assert!(holds(&world, &agent), "{spare} of {count} away");
        world.clock.advance(TERM);
        if count > 1 {
            world.voters.set_away(&node(2 + spare), true);
            keep(&world, &agent);
            assert!(!holds(&world, &agent), "{} of {count} away", spare + 1);
        }
    }
}

#[test]
fn a_false_alarm_costs_a_pause() {
    let (world, agent, path, container) = running();
    let (device, old) = (world.device_at(&path), deadline(&world, &world.host, &path).unwrap());
    lapse(&world, &agent);
    assert!(world.host.is_frozen(device) && addresses(&world).is_empty());
    assert!(world.host.is_stopped(container), "paused, it is not to run on when it is resumed");
    let done = world.host.history();
    let at = |call: &str| done.iter().position(|entry| entry.starts_with(call));
    assert!(at("remove ") < at("stop") && at("stop") < at("freeze"), "{done:?}");
    assert!(old <= world.clock.time() && deadline(&world, &world.host, &path) == Some(old));

    world.control.set_down(true);
    keep(&world, &agent);
    assert!(world.host.is_frozen(device), "the voters are back, but no server says that the epoch is still ours");
    assert_eq!(deadline(&world, &world.host, &path), Some(old));
    world.control.set_down(false);
    keep(&world, &agent);
    assert!(holds(&world, &agent) && !world.host.is_frozen(device) && !world.host.was_shut_down(device));
    assert!(deadline(&world, &world.host, &path).unwrap() > world.clock.time());
    assert_eq!(addresses(&world).len(), 1);
    assert_eq!(world.host.held_by(container), 3, "the container never lost its mounts");
}

#[test]
fn an_epoch_that_moved_on_is_shut_down_then_killed_then_thawed_then_unmounted() {
    let (world, agent, path, container) = running();
    let old = deadline(&world, &world.host, &path).unwrap();
    lapse(&world, &agent);
    world.claim_elsewhere(0, 2);
    let before = world.host.history().len();
    keep(&world, &agent);
    world.assert_nothing_left();
    assert_eq!(world.host.held_by(container), 0, "killed");
    let mut verbs: Vec<String> =
        world.host.history()[before..].iter().map(|call| call.rsplit_once(' ').unwrap().0.to_owned()).collect();
    verbs.dedup();
    // It is cut off without the member's lock, and again with it.
    assert_eq!(verbs, ["remove", "shut down", "kill", "remove", "shut down", "kill", "thaw", "unmount"]);
    assert_eq!(world.unfenced(0), [], "and the servers know");
    assert_eq!(deadline(&world, &world.host, &path), None);
    assert!(old <= world.clock.time());
}

#[test]
fn what_is_over_gets_no_deadline_even_while_its_fence_is_held_up() {
    let (world, agent, path, _) = running();
    let old = deadline(&world, &world.host, &path).unwrap();
    lapse(&world, &agent);
    world.claim_elsewhere(0, 2);
    let lease = agent.known.lease.as_ref().unwrap();
    let cluster = agent.settings.cluster.as_ref().unwrap();
    // The report alone; what it set going does not get a turn.
    let spell = {
        world.run(agent.renew_round(lease));
        futures::executor::block_on(agent.report(cluster)).unwrap();
        world.turns.die();
        futures::executor::block_on(agent.enforce_lease(lease));
        holds(&world, &agent)
    };
    assert!(spell, "for other members the lease is back");
    assert_eq!(deadline(&world, &world.host, &path), Some(old));
}

#[test]
fn an_agent_started_anew_goes_on_without_servers_and_without_a_pause() {
    let (world, agent, path, _) = running();
    drop(agent);
    world.control.set_down(true);
    world.clock.advance(TERM / 4);
    let agent = world.agent();
    world.run(agent.recall_roster());
    beside_lease(&world, &agent, agent.sleep(TERM * 4));
    assert!(holds(&world, &agent));
    assert!(deadline(&world, &world.host, &path).unwrap() > world.clock.time());
    let froze = world.host.history().iter().any(|call| call.starts_with("freeze"));
    assert!(!froze, "nothing was frozen");
    let asked = beside_lease(&world, &agent, agent.mount(&data(0).parse().unwrap(), "run")).unwrap();
    assert_eq!(asked, path, "mounted again without a server");
}

#[test]
fn an_agent_started_anew_after_the_lapse_begins_frozen() {
    let (world, agent, path, _) = running();
    drop(agent);
    world.control.set_down(true);
    world.clock.advance(TERM);
    let agent = world.agent();
    world.run(agent.recall_roster());
    beside_lease(&world, &agent, agent.sleep(TERM * 2));
    assert!(world.host.is_frozen(world.device_at(&path)) && !holds(&world, &agent));
    world.control.set_down(false);
    beside_lease(&world, &agent, agent.sleep(TERM));
    assert!(!world.host.is_frozen(world.device_at(&path)) && holds(&world, &agent));
}

/// Node 2 holds the member and keeps its lease; the member is assigned to node 1, which mounts it. Meanwhile node 3, and
/// with `restart` its voter's memory, is what the two majorities have in common.
fn move_from_a_holder_that_renews(offset: Duration, restart: Option<Duration>) {
    let world = World::of_nodes(3, Fencing::AfterLease);
    let (here, there) = (world.host.clone(), FakeHost::new(node(2)));
    let (claimant, holder) = (known(&world, &here, 3), known(&world, &there, 3));
    world.voters.put(node(1), Arc::new(claimant.clone()));
    world.voters.put(node(2), Arc::new(holder.clone()));
    keep(&world, &holder);
    let made =
        om_backend::Source::Image { path: image(&volume(0, om_model::VolumeRole::Data)), format: true, direct: true };
    world.run(here.mount(&made, Path::new("/made"))).unwrap();
    world.run(here.unmount(Path::new("/made"))).unwrap();
    let old = mount(&world, &holder, &data(0), "old").unwrap();
    there.start_container(&old);
    // Claimant and holder reach voter 3 and themselves only; and the holder no server: it learns nothing of its end.
    let blind = FakeControlPlane::default();
    blind.set_down(true);
    let mut holder = holder;
    holder.ports.control = Arc::new(blind);
    (1..=2).for_each(|index| world.voters.set_away(&node(index), true));
    // Both hold their leases by then: the claimant loses no time.
    beside_lease(&world, &holder, beside(claimant.keep_lease(), holder.sleep(TERM / 2 + offset)));
    world.assign_here(0);

    let third = FakeHost::new(node(3));
    world.run(world.agent_on(third.clone()).take_roster(roster(3))).unwrap();
    let restart_voter = async || {
        let voter = world.agent_on(third.clone());
        voter.recall_roster().await;
        world.voters.put(node(3), Arc::new(voter));
    };
    if restart == Some(Duration::ZERO) {
        world.run(restart_voter());
    }
    let restarting = async {
        if let Some(after) = restart.filter(|after| !after.is_zero()) {
            holder.sleep(after).await;
            restart_voter().await;
        }
        futures::future::pending::<()>().await;
    };
    let others = std::pin::pin!(async { futures::join!(holder.keep_lease(), claimant.keep_lease(), restarting) });
    let name = data(0).parse().unwrap();
    let mounting = std::pin::pin!(claimant.mount(&name, "new"));
    let Either::Left((mounted, _)) = world.run(select(mounting, others)) else { unreachable!() };
    let new = mounted.unwrap_or_else(|error| panic!("{offset:?} {restart:?}: {error}"));
    assert_eq!(new, Path::new(MOUNTS).join(format!("{}.e2", data(0))));
    let revoked = world.volumes.revoked.lock().unwrap()[&volume(0, om_model::VolumeRole::Data)].1;
    let stopped = deadline(&world, &there, &old).unwrap();
    assert!(stopped <= revoked, "{offset:?} {restart:?}: ran until {stopped:?}, revoked at {revoked:?}");
    assert!(deadline(&world, &here, &new).unwrap() > world.clock.time());
}

#[test]
fn a_volume_is_revoked_only_once_its_holders_deadline_has_passed() {
    (0..12).for_each(|step| move_from_a_holder_that_renews(Duration::from_millis(97 * step), None));
}

#[test]
fn a_voter_restarted_in_between_does_not_let_the_holder_go_on() {
    for step in 0..20 {
        let offset = Duration::from_millis(31 * step);
        move_from_a_holder_that_renews(offset, Some(Duration::ZERO));
        move_from_a_holder_that_renews(offset, Some(Duration::from_millis(173 * step + 1)));
    }
}

#[test]
fn no_majority_no_mount() {
    let world = World::of_nodes(3, Fencing::AfterLease);
    world.claim_elsewhere(0, 2);
    world.assign_here(0);
    let agent = known(&world, &world.host, 3);
    cut_off(&world, true);
    let life = "boot-0".parse().unwrap();
    let error = world.run(agent.lease_over(&node(2), &life)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
    world.voters.set_away(&node(3), false);
    world.run(agent.lease_over(&node(2), &life)).expect("two of three, and none promised anything");
    world.run(agent.renew(&node(2), &life, 3, TERM)).expect_err("it is barred");
}

#[test]
fn a_mount_that_waits_for_a_lease_may_be_cut_off_anywhere() {
    let mut crashes = 0;
    for steps in (0..).step_by(41) {
        let world = World::of_nodes(3, Fencing::AfterLease);
        world.claim_elsewhere(0, 2);
        world.assign_here(0);
        let agent = known(&world, &world.host, 3);
        let life = "boot-0".parse().unwrap();
        for index in 2..=3 {
            let voter = om_backend::Voters::voter(&world.voters, &node(index), "10.0.0.2:1".parse().unwrap());
            world.run(voter.renew(&node(2), &life, 3, TERM)).unwrap();
        }
        let over = world.clock.time() + TERM;
        let name = data(0).parse().unwrap();
        let first = async {
            let mounting = std::pin::pin!(agent.mount(&name, "first"));
            let keeping = std::pin::pin!(agent.keep_lease());
            select(mounting, keeping).await;
        };
        let cut = crash_after(steps, first).is_none();
        world.turns.die();
        let agent = world.agent();
        world.run(agent.recall_roster());
        let path = beside_lease(&world, &agent, agent.mount(&name, "second"));
        let path = path.unwrap_or_else(|error| panic!("after {steps} steps: {error}"));
        assert_eq!(path, Path::new(MOUNTS).join(format!("{}.e2", data(0))));
        assert!(world.volumes.revoked.lock().unwrap()[&volume(0, om_model::VolumeRole::Data)].1 >= over);
        if !cut {
            break;
        }
        crashes += 1;
    }
    assert!(crashes > 20, "there are awaits to crash at: {crashes}");
}
