//! Every scenario holds, for both kinds of volumes and several seeds.

use om_sim::scenarios::{THEMES, play};
use om_sim::storage::Kind;

/// With how many seeds each is played on each kind of volumes.
const SEEDS: u64 = 5;

fn theme_holds(theme: &str) {
    let (_, scenarios) = THEMES.iter().find(|(name, _)| *name == theme).expect("a theme");
    let mut failed = Vec::new();
    for scenario in *scenarios {
        for kind in [Kind::SharedFile, Kind::Nbd] {
            for seed in 1..=SEEDS {
                let outcome = play(scenario, kind, seed);
                let told = outcome.violations.into_iter();
                failed.extend(told.map(|why| format!("{} on {kind:?} from seed {seed}: {why}", scenario.name)));
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

macro_rules! themes {
    ($($theme:ident),*) => {
        $(#[test] fn $theme() { theme_holds(stringify!($theme)); })*

        #[test]
        fn no_theme_is_left_out() {
            let here = [$(stringify!($theme)),*];
            let there: Vec<_> = THEMES.iter().map(|(name, _)| *name).collect();
            assert_eq!(there, here);
        }
    };
}

themes!(
    leadership,
    operator_loss,
    node_loss,
    partitions,
    recovery,
    intermediate,
    stale_reads,
    volumes,
    requests,
    moments
);

#[test]
fn names_are_unique() {
    let mut names: Vec<_> = om_sim::scenarios::all().map(|scenario| scenario.name).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
}

#[test]
fn a_scenario_is_the_same_again() {
    let scenario = om_sim::scenarios::all().next().expect("some");
    let (one, other) = (play(scenario, Kind::Nbd, 7), play(scenario, Kind::Nbd, 7));
    assert_eq!(one.trace, other.trace);
    assert_eq!(one.fingerprint, other.fingerprint);
}

/// The names in backticks in the last column of the tables.
fn named_in(tables: &str) -> std::collections::BTreeSet<&str> {
    let cells = tables.lines().filter(|line| line.starts_with('|')).filter_map(|line| line.rsplit('|').nth(1));
    let words = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    words
        .filter(|word| word.contains('_') && word.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_'))
        .collect()
}

#[test]
fn the_tables_name_every_scenario_and_no_other() {
    let told = named_in(include_str!("../../../../docs/scenarios.md"));
    let there: std::collections::BTreeSet<_> = om_sim::scenarios::all().map(|scenario| scenario.name).collect();
    assert_eq!(told.difference(&there).collect::<Vec<_>>(), Vec::<&&str>::new(), "in the tables, and not played");
    assert_eq!(there.difference(&told).collect::<Vec<_>>(), Vec::<&&str>::new(), "played, and in no table");
}
