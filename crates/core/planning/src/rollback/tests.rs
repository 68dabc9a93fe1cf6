//! The way back from each kind of change, taken half-way.

use om_model::{Operation, OperationState, Phase, StepRecord, Timestamp, VolumeSizes};

use super::*;
use crate::example::{TEN, TWENTY, assert_does, configure, existing, id, member, orders, planned, spec, stored};

/// `change` with its first `done` steps done and the next one begun.
fn half_done(change: &Change, observed: &Observed, done: usize) -> Operation<Change, Step> {
    let plan = planned(change, observed).unwrap_or_else(|refusal| panic!("{change:?}: {refusal}"));
    let state = |index: usize| match index {
        index if index < done => StepState::Done,
        index if index == done => StepState::Running,
        _ => StepState::Pending,
    };
    let record = |(index, planned): (usize, crate::PlannedStep)| StepRecord {
        step: planned.step,
        state: state(index),
        began: None,
        ended: None,
        attempts: 0,
        error: None,
    };
    Operation {
        id: "ffeeddccbbaa99887766554433221100".parse().expect("an id"),
        kind: change.kind(),
        service: orders(),
        service_id: id(),
        parameters: change.clone(),
        state: OperationState::Running,
        steps: plan.steps.into_iter().enumerate().map(record).collect(),
        rollback: vec![],
        planned: true,
        cancel_requested: false,
        reason: None,
        owner_generation: 1,
        created: Timestamp::default(),
        deadline: Timestamp::default(),
        ended: None,
    }
}

/// The way back, asked for twice: the same both times.
fn back(operation: &Operation<Change, Step>, observed: &Observed) -> Option<Plan> {
    let first = rollback(operation, observed);
    assert_eq!(first, rollback(operation, observed), "planning is a function of its arguments");
    first
}

/// The way back from `change` of an active service of three with its first `done` steps done and the next one begun.
fn back_after(done: usize, change: &Change) -> Option<Plan> {
    let active = existing(spec(3), Phase::Active);
    back(&half_done(change, &active, done), &active)
}

#[test]
fn a_create_is_taken_down_with_its_volumes() {
    let volumes = VolumeSizes { data: TEN, journal: Some(TEN) };
    let creating = existing(om_model::ServiceSpec { volumes, ..spec(1) }, Phase::Creating);
    let change = Change::Create { spec: creating.service.clone().expect("there").spec };
    for done in 0..3 {
        let operation = half_done(&change, &Observed::default(), done);
        assert_does(
            &back(&operation, &creating).expect("a way back"),
            "mark the service deleting
             stop orders-0
             remove container of orders-0
             release volumes and name of orders-0
             delete data volume of orders-0
             delete journal volume of orders-0
             free name and address of orders-0
             remove passwords and certificates
             remove the service's record",
        );
    }
}

#[test]
fn a_create_that_left_no_record_has_nothing_to_take_back() {
    let operation = half_done(&Change::Create { spec: spec(3) }, &Observed::default(), 2);
    assert_does(&back(&operation, &Observed::default()).expect("a way back"), "");
}

#[test]
fn a_delete_under_way_has_no_way_back() {
    for volumes in [VolumeFate::Keep, VolumeFate::Delete] {
        assert_eq!(back_after(0, &Change::Delete { volumes }), None);
    }
}

#[test]
fn what_has_not_begun_needs_nothing() {
    let active = existing(spec(3), Phase::Active);
    let grow = Change::Grow { data: Some(TWENTY), journal: None };
    let delete = Change::Delete { volumes: VolumeFate::Keep };
    let configured = configure(&[("work_mem", Some("8MB"))]);
    for change in [delete, Change::Stop, Change::Start, Change::Restart { member: None }, configured, grow] {
        let mut operation = half_done(&change, &active, 0);
        operation.steps[0].state = StepState::Pending;
        assert_does(&back(&operation, &active).expect("a way back"), "");
    }
}

#[test]
fn a_stop_is_started_again_the_primary_first() {
    assert_does(
        &back_after(3, &Change::Stop).expect("a way back"),
        "start orders-1
         start orders-0
         start orders-2
         wait for orders-1 to accept writes
         wait for orders-0 to follow the primary
         wait for orders-2 to follow the primary
         mark the service active",
    );
}

#[test]
fn a_start_is_stopped_again() {
    let stopped = existing(spec(3), Phase::Stopped);
    assert_does(
        &back(&half_done(&Change::Start, &stopped, 2), &stopped).expect("a way back"),
        "mark the service stopped
         stop orders-0
         release volumes and name of orders-0
         stop orders-2
         release volumes and name of orders-2
         stop orders-1
         release volumes and name of orders-1",
    );
}

#[test]
fn a_service_that_was_so_already_stays_so() {
    for (change, phase) in [(Change::Stop, Phase::Stopped), (Change::Start, Phase::Active)] {
        let observed = existing(spec(3), phase);
        assert_does(&back(&half_done(&change, &observed, 2), &observed).expect("a way back"), "");
    }
}

#[test]
fn a_restart_leaves_every_member_running() {
    assert_does(
        &back_after(2, &Change::Restart { member: None }).expect("a way back"),
        "start orders-0
         wait for orders-0 to follow the primary
         start orders-2
         wait for orders-2 to follow the primary",
    );
    assert_does(
        &back_after(1, &Change::Restart { member: Some(member(1)) }).expect("a way back"),
        "start orders-1
         wait for orders-1 to accept writes",
    );
}

#[test]
fn a_reload_is_reloaded_with_the_former_values() {
    let plan = back_after(1, &configure(&[("work_mem", Some("8MB"))])).expect("a way back");
    assert_does(
        &plan,
        "store the new specification
         reload configuration of orders-0
         wait for orders-0 to follow the primary
         reload configuration of orders-2
         wait for orders-2 to follow the primary
         reload configuration of orders-1
         wait for orders-1 to accept writes",
    );
    assert_eq!(stored(&plan), Some(&spec(3)));
}

#[test]
fn a_raised_limit_is_lowered_again_on_the_primary_first_and_only_restarted_members_restart() {
    let plan = back_after(3, &configure(&[("max_connections", Some("300"))])).expect("a way back");
    assert_does(
        &plan,
        "store the new specification
         reload configuration of orders-1
         wait for orders-1 to accept writes
         restart orders-0
         wait for orders-0 to follow the primary
         restart orders-2
         wait for orders-2 to follow the primary",
    );
    assert_eq!(stored(&plan), Some(&spec(3)));
}

#[test]
fn a_lowered_limit_is_raised_again_on_the_standbys_first() {
    assert_does(
        &back_after(1, &configure(&[("max_connections", Some("60"))])).expect("a way back"),
        "store the new specification
         reload configuration of orders-0
         wait for orders-0 to follow the primary
         reload configuration of orders-2
         wait for orders-2 to follow the primary
         restart orders-1
         wait for orders-1 to accept writes",
    );
}

#[test]
fn a_volume_that_may_have_grown_is_not_made_smaller() {
    assert_eq!(back_after(0, &Change::Grow { data: Some(TWENTY), journal: None }), None);
}

#[test]
fn a_recovery_has_no_way_back_once_the_member_is_given_to_a_node_that_is_there() {
    use crate::plan::tests::moves::{node, spread};
    let change = Change::Recover { member: member(0), from_node: node("a"), epoch: om_model::Epoch::new(1) };
    let lost = spread(Phase::Active, "a");
    let operation = half_done(&change, &lost, 1);
    let mut given = lost.clone();
    given.members[0].binding.assigned = Some(node("d"));
    assert_eq!(back(&operation, &given), None, "a person must look");
    assert_does(&back(&operation, &lost).expect("nothing was given"), "");
    for site in &mut given.sites.nodes {
        site.present &= site.id != node("d");
    }
    assert_does(&back(&operation, &given).expect("another recovery follows"), "");
}

#[test]
fn a_move_goes_back_to_where_it_was() {
    use crate::plan::tests::moves::{node, spread};
    let change = Change::Move { member: member(0), to: None };
    let there = spread(Phase::Active, "");
    let stopped = half_done(&change, &there, 1);
    assert_does(
        &back(&stopped, &there).expect("a way back"),
        "start orders-0\nwait for orders-0 to follow the primary",
    );
    let mut given = there.clone();
    given.members[0].binding.assigned = Some(node("d"));
    assert_does(
        &back(&half_done(&change, &there, 4), &given).expect("a way back"),
        "stop orders-0
         release volumes and name of orders-0
         give orders-0 to node a
         create container of orders-0
         start orders-0
         remove former container of orders-0
         wait for orders-0 to follow the primary",
    );
}
