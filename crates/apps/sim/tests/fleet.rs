//! The whole cluster from many seeds: nothing is violated, everything is interrupted, and every run can be had again.
//!
//! `OPENMANAGE_SIM_SEEDS` says how many seeds; `OPENMANAGE_SIM_FROM` which is the first.

use std::collections::BTreeSet;

use om_sim::many::{many, replay_command};
use om_sim::run::{Options, Outcome, run};
use om_sim::storage::Kind;

/// So many seeds, unless told otherwise.
const SEEDS: u64 = 2_000;
/// With fewer seeds than this nothing can be said about what was never hit.
const ENOUGH: u64 = 1_500;

fn number(name: &str, otherwise: u64) -> u64 {
    let told = std::env::var(name).ok();
    told.map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")))
}

fn both_at_once(options: &Options) -> [Outcome; 2] {
    std::thread::scope(|scope| {
        let runs = [scope.spawn(|| run(options)), scope.spawn(|| run(options))];
        runs.map(|run| run.join().expect("the run ends"))
    })
}

#[test]
fn a_seed_gives_the_same_trace_every_time() {
    let mut fingerprints = BTreeSet::new();
    for storage in [Kind::SharedFile, Kind::Nbd] {
        for seed in [1, 2, 77, u64::MAX] {
            let options = Options { storage: Some(storage), ..Options::new(seed) };
            let [one, other] = both_at_once(&options);
            let differs = one.trace.iter().zip(&other.trace).position(|(one, other)| one != other);
            assert_eq!(differs, None, "seed {seed}: where the traces begin to differ");
            assert_eq!(one.trace.len(), other.trace.len(), "seed {seed}: one trace is longer");
            assert_eq!(one.fingerprint, other.fingerprint, "seed {seed}");
            assert_eq!(one.coverage, other.coverage, "seed {seed}");
            assert!(one.trace.len() > 100, "seed {seed}: hardly anything happened");
            assert!(fingerprints.insert(one.fingerprint), "seed {seed}, {storage:?}: the trace of another");
        }
    }
}

#[test]
fn many_seeds_violate_nothing_and_leave_no_step_alone() {
    let (from, seeds) = (number("OPENMANAGE_SIM_FROM", 1), number("OPENMANAGE_SIM_SEEDS", SEEDS));
    let sum = many(from..from + seeds, &Options::new(from), |_, _| {});
    println!("{}", sum.coverage.table());
    println!(
        "{} runs, {:.4} cluster-years, {} rows, operations {:?}",
        sum.runs,
        sum.cluster_years(),
        sum.rows,
        sum.operations
    );
    assert_eq!(sum.runs, seeds);
    assert!(sum.failed.is_empty(), "{} of {seeds} seeds failed:\n{}", sum.failed.len(), sum.failures(None));
    if seeds >= ENOUGH {
        let gaps = sum.gaps();
        assert!(gaps.is_empty(), "never interrupted:\n{}", gaps.join("\n"));
    }
}

/// The seeds of `seeds.txt`: which, over what storage, and what each found.
fn known() -> Vec<(u64, Option<Kind>, &'static str)> {
    let text = include_str!("seeds.txt");
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let seed = |line: &'static str| {
        let mut words = line.splitn(3, char::is_whitespace);
        let seed = words.next().and_then(|word| word.parse().ok());
        let storage = match words.next() {
            Some("any") => None,
            Some(word) => Some([Kind::SharedFile, Kind::Nbd].into_iter().find(|kind| kind.word() == word)?),
            None => return None,
        };
        Some((seed?, storage, words.next()?.trim()))
    };
    lines.map(|line| seed(line).unwrap_or_else(|| panic!("seeds.txt: SEED STORAGE WHAT expected: {line}"))).collect()
}

#[test]
fn seeds_that_once_found_something_find_nothing_now() {
    for (seed, storage, what) in known() {
        let outcome = run(&Options { storage, ..Options::new(seed) });
        let command = replay_command(seed, storage);
        assert_eq!(outcome.violations, Vec::<String>::new(), "{seed}, which once found: {what}; {command}");
    }
}
