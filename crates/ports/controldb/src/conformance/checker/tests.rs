//! Tests of the checker: right histories pass, planted wrong ones do not.

use super::*;

fn revision(number: u64) -> Revision {
    Revision::new(format!("r{number}"))
}

/// Values and revisions carry the same number here.
fn op(client: usize, during: std::ops::Range<u64>, action: Action, outcome: Outcome) -> Operation {
    let key = Key::new("k").expect("good");
    Operation { client, key, action, outcome, invoked: during.start, returned: during.end }
}

fn create(value: u64) -> Action {
    Action::Create(value)
}

fn update(from: u64, to: u64) -> Action {
    Action::Update(revision(from), to)
}

fn delete(from: u64) -> Action {
    Action::Delete(revision(from))
}

fn wrote(value: u64) -> Outcome {
    Outcome::Written(revision(value))
}

fn found(value: u64) -> Outcome {
    Outcome::Found(value, revision(value))
}

#[track_caller]
fn accepted(operations: &[Operation]) {
    let history = History { operations: operations.to_vec() };
    if let Err(violation) = check(&history) {
        panic!("{violation}");
    }
}

#[track_caller]
fn rejected(operations: &[Operation], because: &str) {
    let history = History { operations: operations.to_vec() };
    let violation = check(&history).expect_err("the history is wrong").to_string();
    assert!(violation.contains(because), "{violation}");
}

use Outcome::{Absent, Conflict, Deleted, Unknown};

#[test]
fn a_life_in_sequence_is_accepted() {
    accepted(&[
        op(0, 0..1, Action::Read, Absent),
        op(0, 2..3, create(1), wrote(1)),
        op(1, 4..5, create(2), Conflict),
        op(1, 6..7, update(1, 3), wrote(3)),
        op(0, 8..9, update(1, 4), Conflict),
        op(0, 10..11, Action::Read, found(3)),
        op(0, 12..13, delete(3), Deleted),
        op(0, 14..15, delete(3), Conflict),
        op(1, 16..17, Action::Read, Absent),
    ]);
}

#[test]
fn overlapping_operations_may_take_either_order() {
    let base = [op(0, 0..1, create(1), wrote(1)), op(0, 2..9, update(1, 2), wrote(2))];
    for seen in [1, 2] {
        accepted(&[base[0].clone(), base[1].clone(), op(1, 3..4, Action::Read, found(seen))]);
    }
    // Both writers at once: one wins, and the loser's read shows whose value it is.
    accepted(&[
        op(0, 0..10, create(1), Conflict),
        op(1, 1..9, create(2), wrote(2)),
        op(2, 2..3, Action::Read, found(2)),
    ]);
}

#[test]
fn a_stale_read_is_rejected() {
    rejected(
        &[op(0, 0..1, create(1), wrote(1)), op(0, 2..3, update(1, 2), wrote(2)), op(1, 4..5, Action::Read, found(1))],
        "explains client 1's Read",
    );
    rejected(&[op(0, 0..1, create(1), wrote(1)), op(1, 2..3, Action::Read, Absent)], "no order");
}

#[test]
fn two_reads_that_go_back_in_time_are_rejected() {
    // Either may be right by itself, as both overlap the update; not one after the other.
    let base = [op(0, 0..1, create(1), wrote(1)), op(0, 2..20, update(1, 2), wrote(2))];
    let reads = |first, second| {
        let reads = [op(1, 3..4, Action::Read, found(first)), op(2, 5..6, Action::Read, found(second))];
        [base.to_vec(), reads.to_vec()].concat()
    };
    accepted(&reads(1, 2));
    rejected(&reads(2, 1), "no order");
}

#[test]
fn a_lost_update_is_rejected() {
    rejected(
        &[
            op(0, 0..1, create(1), wrote(1)),
            op(0, 2..8, update(1, 2), wrote(2)),
            op(1, 3..9, update(1, 3), wrote(3)),
            op(0, 10..11, Action::Read, found(3)),
        ],
        "no order",
    );
}

#[test]
fn a_double_create_is_rejected() {
    let twice = [op(0, 0..5, create(1), wrote(1)), op(1, 1..6, create(2), wrote(2))];
    rejected(&twice, "no order");
    accepted(&[twice.to_vec(), vec![op(2, 2..4, delete(1), Deleted)]].concat());
}

#[test]
fn a_false_conflict_is_rejected() {
    rejected(&[op(0, 0..1, create(1), Conflict)], "no order");
    rejected(&[op(0, 0..1, create(1), wrote(1)), op(0, 2..3, update(1, 2), Conflict)], "no order");
}

#[test]
fn a_revision_that_comes_back_is_rejected() {
    let again = Outcome::Written(revision(1));
    rejected(
        &[op(0, 0..1, create(1), wrote(1)), op(0, 2..3, delete(1), Deleted), op(0, 4..5, create(2), again)],
        "contradicts",
    );
}

#[test]
fn an_unknown_write_may_have_happened_later_or_never() {
    let base = [op(0, 0..1, create(1), wrote(1)), op(0, 2..3, update(1, 2), Unknown)];
    let then = |reads: &[Operation]| [base.to_vec(), reads.to_vec()].concat();
    accepted(&then(&[]));
    accepted(&then(&[op(1, 4..5, Action::Read, found(1)), op(1, 6..7, Action::Read, found(1))]));
    accepted(&then(&[op(1, 4..5, Action::Read, found(1)), op(1, 6..7, Action::Read, found(2))]));
    rejected(&then(&[op(1, 4..5, Action::Read, found(2)), op(1, 6..7, Action::Read, found(1))]), "no order");
    // Not before it was asked for.
    rejected(
        &[op(0, 0..1, create(1), wrote(1)), op(1, 2..3, Action::Read, found(2)), op(0, 4..5, update(1, 2), Unknown)],
        "no order",
    );
}

#[test]
fn a_value_nobody_wrote_is_rejected() {
    rejected(&[op(0, 0..1, create(1), wrote(1)), op(1, 2..3, Action::Read, found(0))], "no order");
}

#[test]
fn keys_are_checked_each_by_itself() {
    let mut elsewhere = op(1, 2..3, Action::Read, Absent);
    elsewhere.key = Key::new("other").expect("good");
    accepted(&[op(0, 0..1, create(1), wrote(1)), elsewhere]);
}
