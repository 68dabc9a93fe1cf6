//! One run of the simulator: from a seed, a cluster that things befall, until all is well again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::env::Env;
use crate::executor::Ended;
use crate::fleet::Fleet;
use crate::storage::Kind;
use crate::weather::{Coverage, Rates};

/// For so long things go wrong.
const STORM: Duration = Duration::from_secs(150);
/// Longer than any run.
const PATIENCE: Duration = Duration::from_secs(4 * 3600);

/// What is to be run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Where all chance comes from.
    pub seed: u64,
    /// The volumes; without, the seed decides.
    pub storage: Option<Kind>,
    /// What goes wrong at single steps.
    pub rates: Rates,
    /// For so long things go wrong.
    pub storm: Duration,
}

impl Options {
    /// A common run.
    pub fn new(seed: u64) -> Self {
        Self { seed, storage: None, rates: Rates::STORMY, storm: STORM }
    }
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Its seed.
    pub seed: u64,
    /// What did not hold; empty if all is well.
    pub violations: Vec<String>,
    /// What happened, line by line.
    pub trace: Vec<String>,
    /// A number that two different traces hardly have in common.
    pub fingerprint: u64,
    /// Where faults have hit.
    pub coverage: Coverage,
    /// The cluster's time that has passed.
    pub simulated: Duration,
    /// Rows that were acknowledged.
    pub rows: u64,
    /// Operations by their state at the end.
    pub operations: BTreeMap<&'static str, u64>,
}

/// Runs one cluster.
pub fn run(options: &Options) -> Outcome {
    let env = Env::new(options.seed);
    let drawn = if env.chance().happens(500) { Kind::SharedFile } else { Kind::Nbd };
    let fleet = Fleet::new(&env, options.storage.unwrap_or(drawn));
    env.note(|| format!("seed {}, {:?}", options.seed, fleet.storage.kind()));
    env.weather.set(options.rates);
    env.beside(fleet.clone().operator(options.storm));
    env.beside(fleet.clone().writers(options.storm + Duration::from_secs(60)));
    env.beside(fleet.clone().mishaps(options.storm));
    let done = Arc::new(AtomicBool::new(false));
    let (ending, told, storm) = (fleet.clone(), done.clone(), options.storm);
    env.beside(async move {
        ending.env.sleep(storm).await;
        // What befell a machine last has its end too.
        ending.env.sleep(Duration::from_secs(61)).await;
        ending.calm();
        ending.settle().await;
        told.store(true, Ordering::SeqCst);
    });
    let broken = || !fleet.ledger.violations().is_empty();
    let ended = env.executor.run_until(PATIENCE, || done.load(Ordering::SeqCst) || broken());
    if ended != Ended::Reached {
        fleet.ledger.violated(&format!("the run did not come to its end: {ended:?}"));
    }
    env.note(|| format!("end after {} steps", env.executor.polls()));
    let outcome = Outcome {
        seed: options.seed,
        violations: fleet.ledger.violations(),
        trace: env.trace.lines(),
        fingerprint: env.trace.fingerprint(),
        coverage: env.weather.coverage(),
        simulated: env.now(),
        rows: fleet.ledger.rows(),
        operations: fleet.progress().ended.clone(),
    };
    fleet.clear();
    outcome
}
