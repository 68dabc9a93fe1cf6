//! Rosters that change while leases are held and barred.

use om_backend::Voter;

use super::leases::{beside, holds, keep, known};
use super::*;

/// The roster of that revision: these nodes.
fn of(revision: u64, nodes: &[u16]) -> Roster {
    let mut all = roster(5);
    all.nodes.retain(|known| nodes.iter().any(|index| known.id == node(*index)));
    Roster { revision, ..all }
}

fn life() -> om_model::Incarnation {
    "boot-0".parse().unwrap()
}

#[test]
fn a_voter_refuses_whoever_asks_by_an_older_roster_and_promises_by_none_of_its_own() {
    let world = World::of_nodes(3, Fencing::AfterLease);
    let voter = world.agent();
    world.clock.advance(TERM);
    let refused = |roster: u64| {
        for said in [
            world.run(voter.renew(&node(2), &life(), roster, TERM)),
            world.run(voter.bar(&node(2), &life(), roster, TERM)).map(drop),
        ] {
            let error = said.unwrap_err();
            assert_eq!(error.kind, ErrorKind::Refused, "{error}");
        }
    };
    refused(3);
    world.run(voter.take_roster(roster(3))).unwrap();
    refused(2);
    world.run(voter.renew(&node(2), &life(), 3, TERM)).expect("the same");
    world.run(voter.renew(&node(2), &life(), 4, TERM)).expect("a newer one: this agent is behind");
    assert_eq!(world.run(voter.bar(&node(2), &life(), 5, TERM)).unwrap(), TERM);
    assert_eq!(voter.roster(), roster(3), "it believes servers only");
}

#[test]
fn who_is_refused_asks_a_server_at_once_and_goes_on() {
    let world = World::of_nodes(3, Fencing::AfterLease);
    let agent = known(&world, &world.host, 3);
    keep(&world, &agent);
    let next = Roster { revision: 4, ..roster(3) };
    (2..=3).for_each(|index| drop(world.put_voter(index, &next)));
    world.clock.advance(TERM);
    world.control.set_roster(next.clone());
    keep(&world, &agent);
    assert!(!holds(&world, &agent), "refused by a majority");
    assert_eq!(agent.roster(), next, "and told the reason by a server at once");
    keep(&world, &agent);
    assert!(holds(&world, &agent));
}

#[test]
fn of_two_takers_at_once_the_older_roster_does_not_end_on_disk() {
    for (first, second) in [(4, 5), (5, 4)] {
        let world = World::of_nodes(3, Fencing::AfterLease);
        let agent = world.agent();
        let take = |revision| agent.take_roster(Roster { revision, ..roster(3) });
        world.run(async { futures::try_join!(take(first), take(second)) }).unwrap();
        let after = world.agent();
        world.run(after.recall_roster());
        assert_eq!((agent.roster().revision, after.roster().revision), (5, 5));
    }
}

/// Nodes 1 and 2 are a majority of {1, 2, 3}; 3, 4 and 5 are one of all five, and neither has a voter of the other. Node 1
/// holds its lease by the first; node 5, by the last, wants it to be over. `behind` node 2 was told of the roster in between
/// so long before the last one was made.
fn claim_two_rosters_later(behind: Duration) {
    let world = World::of_nodes(5, Fencing::AfterLease);
    let (first, between, last) = (of(11, &[1, 2, 3]), of(12, &[1, 2, 3, 4]), of(13, &[1, 2, 3, 4, 5]));
    let holder = world.put_voter(1, &first);
    let voters: Vec<Agent> = (2..=5).map(|index| world.put_voter(index, &first)).collect();
    let claimant = voters[3].clone();
    world.clock.advance(TERM);
    // Nobody reaches the servers any more; what they say is told by the test. The holder hears of nothing.
    world.control.set_down(true);
    // Those between which the network is cut: 1 and 2 on one side, 3, 4 and 5 on the other.
    (3..=5).for_each(|index| world.voters.set_away(&node(index), true));
    keep(&world, &holder);
    let until = holder.known.lease.as_ref().unwrap().until();
    // A majority of the roster in between (2, 3 and 4) knows it, and only then the last is made.
    for voter in &voters[..3] {
        world.run(voter.take_roster(between.clone())).unwrap();
    }
    world.clock.advance(behind);
    for voter in &voters[1..] {
        world.run(voter.take_roster(last.clone())).unwrap();
    }
    let keeping = holder.keep_lease();
    let claiming = async {
        // The other side of the cut.
        (3..=5).for_each(|index| world.voters.set_away(&node(index), false));
        (1..=2).for_each(|index| world.voters.set_away(&node(index), true));
        claimant.lease_over(&node(1), &life()).await
    };
    world.run(beside(keeping, claiming)).unwrap();
    assert!(world.clock.time() >= until, "{behind:?}: over at {:?}, it runs until {until:?}", world.clock.time());
    let lease = holder.known.lease.as_ref().unwrap();
    (1..=2).for_each(|index| world.voters.set_away(&node(index), false));
    world.run(holder.renew_round(lease));
    assert!(lease.until() <= until, "{behind:?}: it was prolonged by a roster that is over");
}

#[test]
fn a_holder_two_rosters_behind_a_claimant_does_not_go_on_beside_it() {
    (0..30).for_each(|step| claim_two_rosters_later(Duration::from_millis(97 * step)));
}
