//! How a lease stands, and what a voter says.

use std::sync::Arc;

use om_backend::Clock;
use om_backend::lease::{bar_lasts, promises_after};
use om_model::{Incarnation, NodeId};

use super::*;
use crate::tests::machine::VirtualClock;

const TERM: Duration = Duration::from_millis(1000);
/// A term as its holder counts it.
const OWN: Duration = Duration::from_millis(990);

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn a_lease_counts_from_before_it_was_asked_for_and_less_than_the_term() {
    let lease = Lease::new(TERM);
    lease.extend(ms(100), ms(300));
    let spell = lease.unconfirmed(ms(300)).expect("held, not confirmed");
    assert_eq!(lease.deadline(ms(300)), None, "nothing runs on what is not confirmed");
    lease.confirm(spell, ms(310));
    assert_eq!(lease.deadline(ms(320)), Some(ms(100) + OWN));
    assert_eq!(lease.deadline(ms(100) + OWN), None, "at the deadline it is over");
    lease.extend(ms(200), ms(1195));
    assert_eq!(lease.unconfirmed(ms(1195)), None, "an answer that came too late");
}

#[test]
fn a_lapse_between_asking_a_server_and_its_answer_is_not_confirmed() {
    let lease = Lease::new(TERM);
    lease.extend(ms(0), ms(0));
    let spell = lease.unconfirmed(ms(10)).unwrap();
    // The server was asked in this spell; then the lease lapsed and came back.
    lease.extend(ms(2000), ms(2001));
    lease.confirm(spell, ms(2002));
    assert_eq!(lease.spell(ms(2002)), None);
    assert!(lease.unconfirmed(ms(2002)).unwrap() > spell);
}

#[test]
fn an_answer_after_the_end_begins_a_new_spell_even_if_nobody_looked_meanwhile() {
    let lease = Lease::new(TERM);
    lease.resume(ms(500), ms(0));
    let spell = lease.spell(ms(0)).expect("what the agent before held, confirmed");
    lease.extend(ms(400), ms(499));
    assert_eq!(lease.spell(ms(1300)), Some(spell), "in time");
    lease.extend(ms(1350), ms(1400));
    assert_eq!(lease.spell(ms(1400)), None, "asked in time, answered too late: a lapse");
}

fn who() -> (NodeId, Incarnation) {
    ("a".parse().unwrap(), "life".parse().unwrap())
}

#[test]
fn a_voter_promises_bars_and_forgets_the_bar() {
    let clock = Arc::new(VirtualClock::default());
    let voter = Promises::new(clock.clone());
    let (node, life) = who();
    clock.advance(TERM);
    voter.renew(&node, &life, TERM).unwrap();
    clock.advance(ms(300));
    assert_eq!(voter.bar(&node, &life, TERM), ms(700));
    voter.renew(&node, &life, TERM).expect_err("barred");
    voter.renew(&node, &"another".parse().unwrap(), TERM).expect("another life is not");
    clock.advance(ms(700));
    assert_eq!(voter.bar(&node, &life, TERM), Duration::ZERO);
    clock.advance(bar_lasts(TERM) - ms(1));
    voter.renew(&node, &life, TERM).expect_err("barred for so long after the last bar");
    clock.advance(ms(1));
    voter.renew(&node, &life, TERM).expect("a node that is back holds leases again");
    assert_eq!(voter.bar(&node, &life, TERM), TERM);
}

#[test]
fn a_voter_started_anew_answers_for_what_it_may_have_promised_and_promises_nothing_at_first() {
    let clock = Arc::new(VirtualClock::default());
    clock.advance(ms(5000));
    let voter = Promises::new(clock.clone());
    let (node, life) = who();
    voter.renew(&node, &life, TERM).expect_err("it may have barred it");
    clock.advance(promises_after(TERM));
    voter.renew(&node, &"other".parse().unwrap(), TERM).unwrap();
    let so_far = clock.monotonic() - ms(5000);
    assert_eq!(voter.bar(&node, &life, TERM), TERM - so_far);
    clock.advance(TERM - so_far);
    assert_eq!(voter.bar(&node, &life, TERM), Duration::ZERO);
}
