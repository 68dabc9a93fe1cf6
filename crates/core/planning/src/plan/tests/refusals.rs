//! What is refused before anything is touched, and in which words.

use om_model::spec::VOLUME_MAX;
use om_model::{ByteSize, Phase, Place, ServiceName, ServiceSpec, VolumeSizes};

use crate::example::{TEN, TWENTY, configure, existing, id, member, planned, spec};
use crate::{Change, Observed, Refusal, VolumeFate, plan, possible_neighbours};

/// The refused fields of a change, as a user reads them.
#[track_caller]
fn refused(observed: &Observed, change: &Change) -> Vec<String> {
    match planned(change, observed) {
        Err(Refusal::Invalid(invalid)) => invalid.fields().iter().map(ToString::to_string).collect(),
        other => panic!("not refused for its fields: {other:?}"),
    }
}

#[track_caller]
fn create_refused(spec: ServiceSpec) -> Vec<String> {
    refused(&Observed::default(), &Change::Create { spec })
}

#[track_caller]
fn conflict(observed: &Observed, change: &Change) -> String {
    match planned(change, observed) {
        Err(refusal @ Refusal::Conflict { .. }) => refusal.to_string(),
        other => panic!("no conflict: {other:?}"),
    }
}

#[test]
fn an_unknown_engine_names_those_there_are() {
    let said = create_refused(ServiceSpec { engine: "mongodb".into(), ..spec(3) });
    assert_eq!(said, ["engine: \"mongodb\" is not in this release; accepted: postgresql"]);
}

#[test]
fn an_unknown_version_names_those_there_are() {
    let said = create_refused(ServiceSpec { version: "9.6".into(), ..spec(3) });
    assert_eq!(said[0], "version: \"9.6\" is not in this release for postgresql; accepted: 15");
}

#[test]
fn counts_and_sizes_out_of_range_are_refused_together() {
    let volumes = VolumeSizes { data: ByteSize::bytes(0), journal: Some(ByteSize::bytes(u64::MAX)) };
    let said = create_refused(ServiceSpec { volumes, ..spec(1000) });
    assert_eq!(said[0], "replicas: is 1000; accepted: 1 to 100");
    assert_eq!(said[1], "volumes.data: is 0 B; accepted: 256 MiB to 65536 GiB");
    assert!(said[2].starts_with("volumes.journal: is "), "{said:?}");
    assert_eq!(said[3], "replicas: is 1000; accepted: 1 to 9 for postgresql");
    assert!(create_refused(spec(0))[0].starts_with("replicas: is 0; accepted: 1 to 100"));
}

#[test]
fn settings_and_options_are_the_engines_to_refuse() {
    let said = create_refused(ServiceSpec {
        settings: [("work_mem".to_owned(), "lots".to_owned())].into(),
        options: [("synchronous".to_owned(), "on".to_owned())].into(),
        ..spec(1)
    });
    assert!(said.iter().any(|line| line.starts_with("settings.work_mem: ")), "{said:?}");
    assert!(said.iter().any(|line| line.starts_with("options.synchronous: ")), "{said:?}");
}

#[test]
fn places_must_be_where_nodes_are_and_no_more_than_members() {
    let places = |zones: &[&str]| {
        let place = |zone: &&str| Place { region: "us-east-1".parse().expect("a region"), zone: (*zone).to_owned() };
        zones.iter().map(place).collect()
    };
    let said = create_refused(ServiceSpec { places: places(&["a"]), ..spec(3) });
    assert_eq!(said, ["places: zone \"a\" has no node; accepted: none: this cluster's nodes are in no zone"]);
    let observed = Observed { zones: vec!["a".into(), "b".into(), "c".into()], ..Observed::default() };
    let of = |places, replicas| Change::Create { spec: ServiceSpec { places, ..spec(replicas) } };
    let said = refused(&observed, &of(places(&["a", "z"]), 3));
    assert_eq!(said, ["places: zone \"z\" has no node; accepted: a, b, c"]);
    let said = refused(&observed, &of(places(&["a", "b", "c"]), 2));
    assert_eq!(said, ["replicas: 2 member(s) cannot be in 3 zones; accepted: at least 3, or fewer zones"]);
    assert!(planned(&of(places(&["a", "b", "c"]), 3), &observed).is_ok());
}

fn called(name: &str, neighbours: &[&str]) -> Result<(), String> {
    let name: ServiceName = name.parse().expect("a name");
    let there = |name: &&str| {
        let mut service = existing(spec(3), Phase::Active).service.expect("there");
        service.name = name.parse().expect("a name");
        service
    };
    let observed = Observed { neighbours: neighbours.iter().map(there).collect(), ..Observed::default() };
    plan(&name, &id(), &Change::Create { spec: spec(3) }, &observed).map(drop).map_err(|refusal| refusal.to_string())
}

#[test]
fn a_name_is_refused_where_a_dns_name_would_have_two_owners() {
    for (name, there, label) in [
        ("orders-0", "orders", "orders-0"),
        ("orders-2", "orders", "orders-2"),
        ("orders-primary", "orders", "orders-primary"),
        ("orders", "orders-1", "orders-1"),
        ("orders", "orders-primary", "orders-primary"),
    ] {
        let said = called(name, &[there]).expect_err(name);
        let expected =
            format!("name: {name} needs the DNS name {label}, which service {there} has; accepted: a NAME for");
        assert!(said.starts_with(&expected), "{said}");
    }
    for (name, there) in
        [("orders-3", "orders"), ("orders", "orders-00"), ("orders-0-0", "orders"), ("orders", "order")]
    {
        assert_eq!(called(name, &[there]), Ok(()), "{name} beside {there}");
    }
}

#[test]
fn the_platforms_own_names_are_refused() {
    for label in ["openmanage-manageserver", "openmange-manageserver", "ns"] {
        let said = called(label, &[]).expect_err(label);
        assert!(said.starts_with(&format!("name: {label} needs the DNS name {label}, which OpenManage has")), "{said}");
    }
    assert_eq!(called("nsx", &[]), Ok(()));
}

#[test]
fn only_a_few_records_can_clash() {
    let possible = |name: &str, replicas| {
        let found = possible_neighbours(&name.parse().expect("a name"), replicas);
        found.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(possible("orders", 2), ["orders-0", "orders-1", "orders-primary"]);
    assert_eq!(possible("orders-0", 1), ["orders", "orders-0-0", "orders-0-primary"]);
    assert_eq!(possible("orders", u16::MAX).len(), 101, "bounded whatever is asked");
    let longest = "a".repeat(50);
    assert!(possible(&longest, 3).is_empty(), "no service can be named like its members");
}

#[test]
fn changes_of_what_is_not_there_are_told_so() {
    let refusal = planned(&Change::Stop, &Observed::default()).expect_err("nothing there");
    assert_eq!(refusal, Refusal::NotFound("orders".into()));
}

#[test]
fn what_is_being_deleted_can_only_be_deleted() {
    let deleting = existing(spec(3), Phase::Deleting);
    let grow = Change::Grow { data: Some(TWENTY), journal: None };
    for change in [Change::Stop, Change::Start, Change::Restart { member: None }, configure(&[]), grow] {
        assert_eq!(conflict(&deleting, &change), "service orders is being deleted (wait for it to be gone)");
    }
    assert!(planned(&Change::Delete { volumes: VolumeFate::Keep }, &deleting).is_ok());
}

#[test]
fn restart_and_configure_need_a_service_that_runs() {
    let stopped = existing(spec(3), Phase::Stopped);
    let said = conflict(&stopped, &Change::Restart { member: None });
    assert_eq!(said, "cannot restart: service orders is stopped (start it first: openmanage start orders)");
    let said = conflict(&stopped, &configure(&[("work_mem", Some("8MB"))]));
    assert!(said.starts_with("cannot change the configuration: service orders is stopped"), "{said}");
    let creating = existing(spec(3), Phase::Creating);
    let said = conflict(&creating, &Change::Restart { member: None });
    assert!(said.ends_with("(its creation did not finish: see openmanage operations list --service orders)"), "{said}");
    let said = conflict(&creating, &Change::Grow { data: Some(TWENTY), journal: None });
    assert!(said.starts_with("cannot grow volumes: service orders is creating"), "{said}");
}

#[test]
fn a_member_of_another_service_is_not_restarted() {
    let change = Change::Restart { member: Some(member(7)) };
    let said = refused(&existing(spec(3), Phase::Active), &change);
    assert_eq!(said, ["member: orders-7 is not one of the service's; accepted: orders-0, orders-1, orders-2"]);
}

#[test]
fn a_configuration_that_the_engine_refuses_is_not_stored() {
    let active = existing(spec(3), Phase::Active);
    let said = refused(&active, &configure(&[("work_mem", Some("lots"))]));
    assert!(said[0].starts_with("settings.work_mem: \"lots\""), "{said:?}");
    let both_ways = configure(&[("max_connections", Some("60")), ("max_worker_processes", Some("16"))]);
    let said = refused(&active, &both_ways);
    assert!(
        said[0].starts_with("settings.max_connections: is lowered while max_worker_processes is raised"),
        "{said:?}"
    );
    assert!(said[0].contains("accepted: two changes"), "{said:?}");
}

#[test]
fn volumes_are_never_made_smaller_nor_out_of_nothing() {
    let active = existing(spec(3), Phase::Active);
    let small = Change::Grow { data: Some(ByteSize::bytes(1 << 30)), journal: Some(TEN) };
    assert_eq!(
        refused(&active, &small),
        [
            "volumes.data: is 1 GiB; accepted: 10 GiB (its size now) to 65536 GiB",
            "volumes.journal: the service has no journal volume; accepted: none",
        ]
    );
    let large = Change::Grow { data: Some(ByteSize::bytes(VOLUME_MAX.as_bytes() + 1)), journal: None };
    assert_eq!(refused(&active, &large).len(), 1);
    let volumes = VolumeSizes { data: TEN, journal: Some(TWENTY) };
    let with_journal = existing(ServiceSpec { volumes, ..spec(3) }, Phase::Active);
    let said = refused(&with_journal, &Change::Grow { data: None, journal: Some(TEN) });
    assert_eq!(said, ["volumes.journal: is 10 GiB; accepted: 20 GiB (its size now) to 65536 GiB"]);
}

#[test]
fn the_name_in_a_refusal_is_the_one_asked_for() {
    let said =
        plan(&"nothere".parse().expect("a name"), &id(), &Change::Start, &Observed::default()).expect_err("gone");
    assert_eq!(said.to_string(), "service \"nothere\" does not exist");
}
