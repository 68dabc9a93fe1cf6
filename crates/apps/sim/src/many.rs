//! Many runs, one seed each, on all processors: what failed, what was covered, and how to see it again.
//!
//! **Invariant:** runs share nothing but the sum they are added to.

use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::coverage::Coverage;
use crate::fleet::Mishap;
use crate::run::{Options, Outcome, run};
use crate::storage::Kind;

/// A year, in seconds.
const YEAR: f64 = 31_557_600.0;

/// What came of many runs.
#[derive(Clone, Debug, Default)]
pub struct Sum {
    /// How many there were.
    pub runs: u64,
    /// What did not hold, by seed.
    pub failed: BTreeMap<u64, Vec<String>>,
    /// Where faults have hit.
    pub coverage: Coverage,
    /// The clusters' time that has passed.
    pub simulated: Duration,
    /// Rows that were acknowledged.
    pub rows: u64,
    /// Operations by their state at the end.
    pub operations: BTreeMap<&'static str, u64>,
}

impl Sum {
    fn add(&mut self, outcome: &Outcome) {
        self.runs += 1;
        if !outcome.violations.is_empty() {
            self.failed.insert(outcome.seed, outcome.violations.clone());
        }
        self.coverage.add(&outcome.coverage);
        self.simulated += outcome.simulated;
        self.rows += outcome.rows;
        for (state, count) in &outcome.operations {
            *self.operations.entry(state).or_default() += count;
        }
    }

    /// What was never hit, though it should have been.
    pub fn gaps(&self) -> Vec<String> {
        let mishaps: Vec<String> = Mishap::ALL.iter().map(|(mishap, _)| format!("{mishap:?}")).collect();
        self.coverage.gaps(&mishaps)
    }

    /// Every failed seed: what did not hold, and the command that does the same again.
    pub fn failures(&self, storage: Option<Kind>) -> String {
        let mut text = String::new();
        for (seed, violations) in &self.failed {
            for violation in violations {
                text += &format!("seed {seed}: {violation}\n");
            }
            text += &format!("    {}\n", replay_command(*seed, storage));
        }
        text
    }

    /// How many years of clusters' life have passed.
    pub fn cluster_years(&self) -> f64 {
        self.simulated.as_secs_f64() / YEAR
    }
}

/// What one types to see a run again.
pub fn replay_command(seed: u64, storage: Option<Kind>) -> String {
    let storage = storage.map(|kind| format!(" --storage {}", kind.word())).unwrap_or_default();
    format!("cargo run -p openmanage-sim -- replay {seed}{storage} --explain")
}

/// Runs these seeds, as many at once as there are processors; `tell` hears of each run, and of all so far.
pub fn many(seeds: Range<u64>, options: &Options, tell: impl Fn(&Outcome, &Sum) + Sync) -> Sum {
    let (next, sum) = (AtomicU64::new(seeds.start), Mutex::new(Sum::default()));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            let outcome = run_caught(&Options { seed, ..*options });
            let mut sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
            sum.add(&outcome);
            tell(&outcome, &sum);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, std::num::NonZero::get) {
            scope.spawn(work);
        }
    });
    sum.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a seed; a panic is a violation like others, and does not end the other runs.
fn run_caught(options: &Options) -> Outcome {
    catch_unwind(AssertUnwindSafe(|| run(options))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
        Outcome::panicked(options.seed, text)
    })
}
