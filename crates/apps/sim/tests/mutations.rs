//! Three deliberate bugs, each found within a few seeds. All of them: `openmanage-sim mutations`.
#![cfg(feature = "mutations")]

use om_model::mutation::Mutation;
use om_sim::mutations::hunt;

fn is_found(mutation: Mutation, seeds: u64) {
    let hunt = hunt(mutation, 1, seeds);
    assert!(hunt.found.is_some(), "{} ({}) is not found by {seeds} seeds", mutation.name(), mutation.wrong());
}

#[test]
fn a_name_that_is_published_before_the_mount_is_found() {
    is_found(Mutation::PublishBeforeMount, 5);
}

#[test]
fn a_former_holder_that_is_not_cut_off_is_found() {
    is_found(Mutation::NotRevoked, 20);
}

#[test]
fn a_pending_mark_that_stays_is_found() {
    is_found(Mutation::PendingNotCleared, 5);
}
