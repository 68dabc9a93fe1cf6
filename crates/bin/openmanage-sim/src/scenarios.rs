//! `openmanage-sim scenarios`: plays the scenarios, each on both kinds of volumes with several seeds.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use om_sim::run::Outcome;
use om_sim::scenarios::{Scenario, THEMES, all, play};
use om_sim::storage::Kind;

/// What to play.
#[derive(clap::Args)]
pub(crate) struct Wanted {
    /// Lists them, and plays none
    #[arg(long)]
    list: bool,
    /// Only those whose name or theme has this in it
    #[arg(long)]
    only: Option<String>,
    /// The first seed
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// With how many seeds
    #[arg(long, default_value_t = 5)]
    seeds: u64,
    /// The volumes; without, both kinds
    #[arg(long, value_parser = super::storage)]
    storage: Option<Kind>,
    /// With this deliberate bug in it (a build with the feature `mutations`)
    #[arg(long, value_name = "MUTATION")]
    planted: Option<String>,
    /// Tells everything that happened in those that fail; in the one that is played, if it is one only
    #[arg(long)]
    explain: bool,
}

impl Wanted {
    fn scenarios(&self) -> Vec<(&'static str, &'static Scenario)> {
        let wanted = |theme: &str, scenario: &Scenario| {
            self.only.as_deref().is_none_or(|only| scenario.name.contains(only) || theme == only)
        };
        let every = THEMES.iter().flat_map(|(theme, scenarios)| scenarios.iter().map(move |one| (*theme, one)));
        every.filter(|(theme, scenario)| wanted(theme, scenario)).collect()
    }
}

/// Plays what is wanted; false if something failed.
pub(crate) fn run(wanted: &Wanted) -> bool {
    let scenarios = wanted.scenarios();
    if wanted.list {
        for (theme, scenario) in &scenarios {
            println!("{theme:<14} {}\n    {}\n    after: {}", scenario.name, scenario.about, scenario.source);
        }
        println!("{} of {} scenarios", scenarios.len(), all().count());
        return true;
    }
    let kinds = wanted.storage.map_or_else(|| vec![Kind::SharedFile, Kind::Nbd], |kind| vec![kind]);
    let mut plays = Vec::new();
    for (_, scenario) in &scenarios {
        for kind in &kinds {
            plays.extend((wanted.from..wanted.from + wanted.seeds).map(|seed| (*scenario, *kind, seed)));
        }
    }
    let failed = play_all(&plays, wanted);
    println!("{} plays of {} scenarios, {failed} failed", plays.len(), scenarios.len());
    failed == 0 && !plays.is_empty()
}

/// Plays them on all processors; how many failed.
fn play_all(plays: &[(&'static Scenario, Kind, u64)], wanted: &Wanted) -> usize {
    let (next, failed, telling) = (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::new(()));
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                if let Some(Err(error)) = wanted.planted.as_deref().map(super::mutations::plant) {
                    return eprintln!("{error}");
                }
                while let Some((scenario, kind, seed)) = plays.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = play(scenario, *kind, *seed);
                    failed.fetch_add(usize::from(!outcome.violations.is_empty()), Ordering::Relaxed);
                    let _one_at_a_time = telling.lock().unwrap_or_else(PoisonError::into_inner);
                    tell(scenario, *kind, &outcome, wanted.explain, plays.len() == 1);
                }
            });
        }
    });
    failed.into_inner()
}

fn tell(scenario: &Scenario, kind: Kind, outcome: &Outcome, explain: bool, alone: bool) {
    if explain && (alone || !outcome.violations.is_empty()) {
        outcome.trace.iter().for_each(|line| println!("{line}"));
    }
    for why in &outcome.violations {
        println!("{} on {kind:?} from seed {}: {why}", scenario.name, outcome.seed);
    }
    if alone && outcome.violations.is_empty() {
        println!("{}: {:.1} s simulated, {} rows", scenario.name, outcome.simulated.as_secs_f64(), outcome.rows);
    }
}
