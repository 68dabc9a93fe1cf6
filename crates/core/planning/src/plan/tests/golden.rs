//! What each kind of change does, in order.

use std::time::Duration;

use om_model::{Phase, ServiceSpec, VolumeSizes};

use crate::example::{TEN, TWENTY, assert_does, configure, existing, member, notes, planned, spec, stored};
use crate::{Change, Observed, Plan, VolumeFate};

fn done_to(observed: &Observed, change: &Change) -> Plan {
    planned(change, observed).unwrap_or_else(|refusal| panic!("{change:?}: {refusal}"))
}

fn done_to_active(change: &Change) -> Plan {
    done_to(&existing(spec(3), Phase::Active), change)
}

fn created(spec: ServiceSpec) -> Plan {
    done_to(&Observed::default(), &Change::Create { spec })
}

#[test]
fn create_of_three_reserves_everything_then_starts_the_primary_first() {
    let plan = created(spec(3));
    assert_does(
        &plan,
        "reserve name and address of orders-0
         reserve name and address of orders-1
         reserve name and address of orders-2
         generate passwords and certificates
         create data volume of orders-0 (10 GiB)
         create data volume of orders-1 (10 GiB)
         create data volume of orders-2 (10 GiB)
         create container of orders-0
         start orders-0
         create container of orders-1
         start orders-1
         create container of orders-2
         start orders-2
         wait for orders-0 to accept writes
         wait for orders-1 to follow the primary
         wait for orders-2 to follow the primary
         mark the service active",
    );
    assert!(notes(&plan, "postgresql 15 with 3 member(s)") && !notes(&plan, "no standby"), "{:?}", plan.notes);
}

#[test]
fn create_of_one_with_a_journal() {
    let volumes = VolumeSizes { data: TEN, journal: Some(TWENTY) };
    let plan = created(ServiceSpec { volumes, ..spec(1) });
    assert_does(
        &plan,
        "reserve name and address of orders-0
         generate passwords and certificates
         create data volume of orders-0 (10 GiB)
         create journal volume of orders-0 (20 GiB)
         create container of orders-0
         start orders-0
         wait for orders-0 to accept writes
         mark the service active",
    );
    assert!(notes(&plan, "a single member has no standby"), "{:?}", plan.notes);
}

#[test]
fn delete_that_keeps_the_volumes() {
    let plan = done_to_active(&Change::Delete { volumes: VolumeFate::Keep });
    assert_does(
        &plan,
        "mark the service deleting
         stop orders-0
         remove container of orders-0
         release volumes and name of orders-0
         stop orders-2
         remove container of orders-2
         release volumes and name of orders-2
         stop orders-1
         remove container of orders-1
         release volumes and name of orders-1
         keep data volume of orders-0
         keep data volume of orders-1
         keep data volume of orders-2
         free name and address of orders-0
         free name and address of orders-1
         free name and address of orders-2
         remove passwords and certificates
         remove the service's record",
    );
    assert!(notes(&plan, "volumes are kept"), "{:?}", plan.notes);
}

#[test]
fn delete_with_the_volumes_journals_included() {
    let volumes = VolumeSizes { data: TEN, journal: Some(TEN) };
    let observed = existing(ServiceSpec { volumes, ..spec(1) }, Phase::Stopped);
    let plan = done_to(&observed, &Change::Delete { volumes: VolumeFate::Delete });
    assert_does(
        &plan,
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
    assert!(notes(&plan, "cannot be undone"), "{:?}", plan.notes);
}

#[test]
fn delete_of_what_is_partly_there_keeps_the_volumes_there_are() {
    let mut observed = existing(spec(3), Phase::Creating);
    observed.volumes.truncate(1);
    let plan = done_to(&observed, &Change::Delete { volumes: VolumeFate::Keep });
    let kept: Vec<_> = plan.steps.iter().map(|p| p.step.describe()).filter(|line| line.starts_with("keep")).collect();
    assert_eq!(kept, ["keep data volume of orders-0"]);
}

#[test]
fn stop_ends_the_standbys_before_the_primary() {
    let plan = done_to_active(&Change::Stop);
    assert_does(
        &plan,
        "mark the service stopped
         stop orders-0
         release volumes and name of orders-0
         stop orders-2
         release volumes and name of orders-2
         stop orders-1
         release volumes and name of orders-1",
    );
    assert!(!notes(&plan, "already"));
    let again = done_to(&existing(spec(1), Phase::Stopped), &Change::Stop);
    assert_does(
        &again,
        "stop orders-0
         release volumes and name of orders-0",
    );
    assert!(notes(&again, "is stopped already"), "{:?}", again.notes);
}

#[test]
fn start_begins_with_the_primary_and_goes_on_by_index() {
    let expected = "start orders-1
         start orders-0
         start orders-2
         wait for orders-1 to accept writes
         wait for orders-0 to follow the primary
         wait for orders-2 to follow the primary
         ";
    let marked = format!("{expected}mark the service active");
    assert_does(&done_to(&existing(spec(3), Phase::Stopped), &Change::Start), &marked);
    let again = done_to_active(&Change::Start);
    assert_does(&again, expected);
    assert!(notes(&again, "members that run are left alone"), "{:?}", again.notes);
}

#[test]
fn restart_of_all_goes_one_by_one_and_says_that_writes_pause() {
    let plan = done_to_active(&Change::Restart { member: None });
    assert_does(
        &plan,
        "restart orders-0
         wait for orders-0 to follow the primary
         restart orders-2
         wait for orders-2 to follow the primary
         restart orders-1
         wait for orders-1 to accept writes",
    );
    assert_eq!(plan.write_pause, Some(Duration::from_secs(5)));
    assert!(notes(&plan, "writes pause while orders-1, the primary, restarts"), "{:?}", plan.notes);
}

#[test]
fn restart_of_a_standby_pauses_no_writes() {
    let plan = done_to_active(&Change::Restart { member: Some(member(2)) });
    assert_does(
        &plan,
        "restart orders-2
         wait for orders-2 to follow the primary",
    );
    assert_eq!((plan.write_pause, plan.notes.len()), (None, 0));
}

#[test]
fn configure_with_the_values_in_force_does_nothing() {
    for settings in [vec![], vec![("work_mem", None)], vec![("max_wal_senders", None)]] {
        let plan = done_to_active(&configure(&settings));
        assert_does(&plan, "");
        assert!(notes(&plan, "nothing changes"), "{:?}", plan.notes);
    }
}

#[test]
fn configure_reloads_where_that_is_enough() {
    let plan = done_to_active(&configure(&[("work_mem", Some("64MB"))]));
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
    assert_eq!(plan.write_pause, None);
    assert_eq!(stored(&plan).map(|spec| spec.settings["work_mem"].as_str()), Some("64MB"));
}

#[test]
fn configure_restarts_where_it_must_the_primary_last() {
    let plan = done_to_active(&configure(&[("max_connections", Some("300"))]));
    assert_does(
        &plan,
        "store the new specification
         restart orders-0
         wait for orders-0 to follow the primary
         restart orders-2
         wait for orders-2 to follow the primary
         restart orders-1
         wait for orders-1 to accept writes",
    );
    assert!(notes(&plan, "writes pause while orders-1"), "{:?}", plan.notes);
}

#[test]
fn configure_that_lowers_a_limit_restarts_the_primary_first() {
    let plan = done_to_active(&configure(&[("max_connections", Some("60"))]));
    assert_does(
        &plan,
        "store the new specification
         restart orders-1
         wait for orders-1 to accept writes
         restart orders-0
         wait for orders-0 to follow the primary
         restart orders-2
         wait for orders-2 to follow the primary",
    );
}

#[test]
fn configure_takes_settings_and_options_back_to_their_defaults() {
    let set = ServiceSpec {
        settings: [("work_mem".to_owned(), "64MB".to_owned())].into(),
        options: [("synchronous".to_owned(), "on".to_owned())].into(),
        ..spec(3)
    };
    let change = Change::Configure {
        settings: [("work_mem".into(), None)].into(),
        options: [("synchronous".into(), None)].into(),
    };
    let plan = done_to(&existing(set, Phase::Active), &change);
    assert_eq!(stored(&plan), Some(&spec(3)));
}

#[test]
fn grow_of_what_runs_enlarges_each_member_and_then_reloads() {
    let plan = done_to_active(&Change::Grow { data: Some(TWENTY), journal: None });
    assert_does(
        &plan,
        "grow data volume of orders-0 to 20 GiB
         wait for orders-0 to follow the primary
         grow data volume of orders-2 to 20 GiB
         wait for orders-2 to follow the primary
         grow data volume of orders-1 to 20 GiB
         wait for orders-1 to accept writes
         store the new specification
         reload configuration of orders-0
         reload configuration of orders-2
         reload configuration of orders-1",
    );
    assert_eq!(stored(&plan).map(|spec| spec.volumes.data), Some(TWENTY));
    assert!(notes(&plan, "never made smaller"), "{:?}", plan.notes);
}

#[test]
fn grow_of_what_is_stopped_waits_for_nobody() {
    let volumes = VolumeSizes { data: TEN, journal: Some(TEN) };
    let observed = existing(ServiceSpec { volumes, ..spec(1) }, Phase::Stopped);
    let plan = done_to(&observed, &Change::Grow { data: None, journal: Some(TWENTY) });
    assert_does(
        &plan,
        "grow data volume of orders-0 to 10 GiB
         grow journal volume of orders-0 to 20 GiB
         store the new specification",
    );
}

#[test]
fn grow_to_the_present_size_does_nothing() {
    for change in [Change::Grow { data: Some(TEN), journal: None }, Change::Grow { data: None, journal: None }] {
        let plan = done_to_active(&change);
        assert_does(&plan, "");
        assert!(notes(&plan, "nothing changes"), "{:?}", plan.notes);
    }
}
