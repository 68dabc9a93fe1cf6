//! What is refused, what a change needs, what is rendered.

use std::collections::BTreeMap;

use om_model::{ByteSize, MemberName, ServiceSpec, VolumeSizes};

use super::super::{Postgresql, render, settings, tuning, units};
use super::{config, spec};
use crate::engine::{ChangeClass, Engine};

fn with_setting(name: &str, value: &str) -> ServiceSpec {
    ServiceSpec { settings: [(name.to_owned(), value.to_owned())].into(), ..spec() }
}

fn refusal(spec: &ServiceSpec) -> Option<String> {
    Postgresql.problems(spec).first().map(ToString::to_string)
}

#[test]
fn good_settings_pass_and_bad_ones_name_field_and_accepted_values() {
    let good = [
        ("work_mem", "16MB"),
        ("work_mem", "4096"),
        ("max_connections", "200"),
        ("random_page_cost", "1.5"),
        ("wal_level", "logical"),
        ("statement_timeout", "30s"),
        ("jit", "off"),
        ("pg_stat_statements.max", "1000"),
        ("shared_preload_libraries", "pg_stat_statements"),
        ("checkpoint_timeout", "15 min"),
        ("autovacuum_work_mem", "-1"),
    ];
    for (name, value) in good {
        assert_eq!(refusal(&with_setting(name, value)), None, "{name} = {value}");
    }
    let bad = [
        ("work_mem", "lots", "integer"),
        ("work_mem", "1 parsec", "kB"),
        ("max_connections", "0", "1 to 262143"),
        ("max_connections", "1.5", "1 to 262143"),
        ("wal_level", "minimal", "replica, logical"),
        ("jit", "perhaps", "on, off"),
        ("synchronous_commit", "maybe", "local, remote_write, remote_apply, on, off"),
        ("statement_timeout", "1MB", "ms"),
        ("wrok_mem", "1MB", "manual"),
        ("timezone", "UTC", "TimeZone"),
        ("log_line_prefix", "a\nb", "one line"),
        ("fsync", "off", "leave it out"),
        ("ssl", "off", "leave it out"),
        ("Listen_Addresses", "*", "leave it out"),
        ("server_version", "9", "manual"),
        ("../x", "1", "manual"),
    ];
    for (name, value, word) in bad {
        let said = refusal(&with_setting(name, value)).unwrap_or_else(|| panic!("{name} = {value} was accepted"));
        assert!(said.starts_with(&format!("settings.{name}: ")), "{said}");
        assert!(word == "integer" || said.contains(word), "{said} lacks {word}");
    }
}

#[test]
fn counts_versions_and_options_are_checked() {
    assert_eq!(refusal(&spec()), None);
    assert!(refusal(&ServiceSpec { replicas: 10, ..spec() }).is_some_and(|said| said.contains("1 to 9")));
    assert!(refusal(&ServiceSpec { version: "9.6".into(), ..spec() }).is_some_and(|said| said.contains("15")));
    let option = |value: &str, replicas| {
        refusal(&ServiceSpec { options: [("synchronous".to_owned(), value.to_owned())].into(), replicas, ..spec() })
    };
    assert_eq!(option("on", 3), None);
    assert!(option("on", 1).is_some_and(|said| said.starts_with("options.synchronous: ")));
    assert!(option("yes", 3).is_some_and(|said| said.contains("off, on")));
    let unknown = ServiceSpec { options: [("turbo".to_owned(), "on".to_owned())].into(), ..spec() };
    assert!(refusal(&unknown).is_some_and(|said| said.contains("synchronous")));
}

#[test]
fn every_computed_setting_is_in_the_table_and_in_range() {
    for memory in [128_u64 << 20, 1 << 30, 512 << 30] {
        for (data, journal) in [(256_u64 << 20, None), (64 << 40, None), (1 << 40, Some(256_u64 << 20))] {
            let mut resources = spec().resources;
            resources.memory = ByteSize::bytes(memory);
            let volumes = VolumeSizes { data: ByteSize::bytes(data), journal: journal.map(ByteSize::bytes) };
            for (name, value) in tuning::computed(&resources, &volumes) {
                let problem =
                    settings::problem(&name, &value).filter(|found| !found.problem.contains("by the platform"));
                assert_eq!(problem, None, "memory {memory}, data {data}");
                assert!(settings::find(&name).is_some(), "{name}");
            }
        }
    }
}

#[test]
fn the_log_cannot_fill_the_smallest_volumes() {
    for (data, journal) in [(256_u64, None), (1024, None), (10_000, Some(256_u64)), (100, Some(100_000))] {
        let size = |mib| ByteSize::mib(mib).expect("small");
        let volumes = VolumeSizes { data: size(data), journal: journal.map(size) };
        let all = tuning::computed(&spec().resources, &volumes);
        let mib = |name: &str| units::parse(&all[name], "MB").expect("a size");
        let volume = journal.unwrap_or(data) as f64;
        assert!(mib("max_wal_size") + mib("max_slot_wal_keep_size") < volume * 0.9, "{volume} MiB");
        assert!(mib("min_wal_size") <= mib("max_wal_size"));
    }
}

#[test]
fn changes_are_classified_by_what_the_server_needs() {
    let class = |new: &ServiceSpec| Postgresql.change_class(&spec(), new);
    assert_eq!(class(&spec()), ChangeClass::Nothing);
    assert_eq!(class(&with_setting("work_mem", "5MB")), ChangeClass::Reload);
    assert_eq!(class(&with_setting("max_connections", "300")), ChangeClass::Restart);
    assert_eq!(class(&with_setting("max_wal_size", "1024MB")), ChangeClass::Nothing, "the computed value");
    let synchronous = ServiceSpec { options: [("synchronous".to_owned(), "on".to_owned())].into(), ..spec() };
    assert_eq!(class(&synchronous), ChangeClass::Reload);
    let mut more = spec();
    more.resources.memory = ByteSize::bytes(2 << 30);
    assert_eq!(class(&more), ChangeClass::Restart);
}

#[test]
fn the_primary_is_restarted_last() {
    let names: Vec<MemberName> = ["a-0", "a-1", "a-2"].map(|name| name.parse().expect("a name")).into();
    let order = Postgresql.restart_order(&names, Some(&names[0]));
    assert_eq!(order, [names[1].clone(), names[2].clone(), names[0].clone()]);
}

/// The order for a change from the plain specification with `from` to the one with `to`, by index.
fn order(from: &[(&str, &str)], to: &[(&str, &str)]) -> Vec<String> {
    let with = |settings: &[(&str, &str)]| ServiceSpec {
        settings: settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        ..spec()
    };
    let names: Vec<MemberName> = ["a-0", "a-1", "a-2"].map(|name| name.parse().expect("a name")).into();
    let (from, to) = (with(from), with(to));
    let order = Postgresql.configure_order(&from, &to, &names, Some(&names[1]));
    match Postgresql.not_at_once(&from, &to) {
        Some(refused) => vec![refused.to_string()],
        None => order.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn a_lowered_limit_goes_to_the_primary_first_and_a_raised_one_to_the_standbys() {
    let (standbys_first, primary_first) = (["a-0", "a-2", "a-1"], ["a-1", "a-0", "a-2"]);
    assert_eq!(order(&[], &[("shared_buffers", "1GB")]), standbys_first, "no limit");
    for (name, default) in [
        // 1 GiB of memory gives 102 connections.
        ("max_connections", "102"),
        ("max_worker_processes", "8"),
        ("max_prepared_transactions", "0"),
        ("max_locks_per_transaction", "64"),
    ] {
        assert_eq!(order(&[], &[(name, default)]), standbys_first, "{name} stays");
        assert_eq!(order(&[], &[(name, "150")]), standbys_first, "{name} raised");
        assert_eq!(order(&[(name, "150")], &[]), primary_first, "{name} back to its default");
        assert_eq!(order(&[(name, "1500")], &[(name, "150")]), primary_first, "{name} compared as a number");
    }
    assert_eq!(order(&[], &[("max_connections", "101")]), primary_first, "less than the computed default");
}

#[test]
fn limits_that_move_both_ways_are_to_be_changed_in_two_steps() {
    let refused = order(&[("max_locks_per_transaction", "128")], &[("max_connections", "300")]);
    let [said] = refused.as_slice() else { panic!("{refused:?}") };
    assert!(
        said.starts_with("settings.max_locks_per_transaction: is lowered while max_connections is raised"),
        "{said}"
    );
    assert!(said.ends_with("accepted: two changes: first what is raised, then what is lowered"), "{said}");
}

#[test]
fn the_rendered_configuration_is_as_reviewed() {
    let mut primary = config(0);
    primary.options.insert("synchronous".into(), "on".into());
    primary.settings.insert("log_line_prefix".into(), r"it's \ %m".into());
    let rendered = render::configuration(&primary, &BTreeMap::new()).expect("renders");
    assert_eq!(rendered, include_str!("primary.conf"));
    let floors = [("max_connections".to_owned(), 400), ("max_wal_senders".to_owned(), 5)].into();
    let rendered = render::configuration(&config(1), &floors).expect("renders");
    assert_eq!(rendered, include_str!("standby.conf"));
    assert_eq!(render::access(), include_str!("pg_hba.conf"));
}
