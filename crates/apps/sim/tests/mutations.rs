//! Three deliberate bugs, each found within a few seeds. All of them: `openmanage-sim mutations`.
#![cfg(feature = "mutations")]

use om_sim::mutations::{Mutation, hunt};

fn is_found(mutation: Mutation, seeds: u64) {
    let hunt = hunt(mutation, 1, seeds);
    assert!(hunt.found.is_some(), "{} ({}) is not found by {seeds} seeds", mutation.name(), mutation.wrong());
}

#[test]
fn a_name_that_is_published_before_the_mount_is_found() {
    is_found(Mutation::PublishBeforeMount, 20);
}

#[test]
fn a_repeated_request_that_becomes_another_operation_is_found() {
    is_found(Mutation::RetryWithoutKey, 20);
}

#[test]
fn a_mount_that_may_format_what_has_rows_is_found() {
    is_found(Mutation::FormatsAgain, 20);
}
