//! One run of the simulator: from a seed, a cluster that things befall, until all is well again.
//!
//! [`run`] is the common one; [`play`] is one in which somebody else decides what happens meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::executor::block_on;
use om_control::ServiceOperation;
use om_controldb::{ControlDb, Key, PAGE_MAX};
use om_model::Event;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::env::Env;
use crate::executor::Ended;
use crate::fleet::{Fleet, Size};
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
    /// How large the cluster is, and how hasty; without, the seed decides.
    pub size: Option<Size>,
    /// In how many runs of thousand a machine stays off at the end until its members are recovered elsewhere.
    pub for_good: u32,
    /// Whether the trace has a line for every call of a port; it is another trace then.
    pub calls: bool,
}

impl Options {
    /// A common run.
    pub fn new(seed: u64) -> Self {
        Self { seed, storage: None, rates: Rates::STORMY, storm: STORM, size: None, for_good: 200, calls: false }
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
    /// What the server noted: its journal.
    pub events: Vec<Event>,
}

impl Outcome {
    /// What came of the run of `fleet`.
    pub(crate) fn of(seed: u64, fleet: &Fleet) -> Self {
        let env = &fleet.env;
        let mut coverage = env.weather.coverage();
        for operation in every::<ServiceOperation>(fleet, "operations/") {
            operation.steps.iter().chain(&operation.rollback).for_each(|record| coverage.count(record));
        }
        Self {
            seed,
            violations: fleet.ledger.violations(),
            trace: env.trace.lines(),
            fingerprint: env.trace.fingerprint(),
            coverage,
            simulated: env.now(),
            rows: fleet.ledger.rows(),
            operations: fleet.progress().ended.clone(),
            events: every(fleet, "events/"),
        }
    }

    /// What is known of a run that ended in a panic.
    pub(crate) fn panicked(seed: u64, message: &str) -> Self {
        Self {
            seed,
            violations: vec![format!("panicked: {message}")],
            trace: Vec::new(),
            fingerprint: 0,
            coverage: Coverage::default(),
            simulated: Duration::ZERO,
            rows: 0,
            operations: BTreeMap::new(),
            events: Vec::new(),
        }
    }
}

/// Runs one cluster: users change services and write rows, and one mishap follows another.
pub fn run(options: &Options) -> Outcome {
    let storm = options.storm;
    play(options, |fleet| {
        fleet.env.beside(fleet.clone().operator(storm));
        fleet.env.beside(fleet.clone().writers(storm + Duration::from_secs(60)));
        fleet.env.beside(fleet.clone().mishaps(storm));
    })
}

/// Runs one cluster in which happens what `begin` begins; after the storm all is calm, and must become well.
pub fn play(options: &Options, begin: impl FnOnce(&Arc<Fleet>)) -> Outcome {
    let env = Env::new(options.seed);
    if options.calls {
        env.trace.tell_calls();
    }
    let drawn = if env.chance().happens(500) { Kind::SharedFile } else { Kind::Nbd };
    let size = size_of(&env);
    let fleet = Fleet::new(&env, options.storage.unwrap_or(drawn), options.size.unwrap_or(size));
    env.note(|| format!("seed {}, {:?}", options.seed, fleet.storage.kind()));
    env.weather.set(options.rates);
    begin(&fleet);
    let done = Arc::new(AtomicBool::new(false));
    let (ending, told) = (fleet.clone(), done.clone());
    let (storm, for_good) = (options.storm, options.for_good);
    env.beside(async move {
        ending.env.sleep(storm).await;
        // What befell a machine last has its end too.
        ending.env.sleep(Duration::from_secs(61)).await;
        ending.calm();
        if ending.env.chance().happens(for_good) {
            ending.lose_one().await;
        }
        ending.settle().await;
        told.store(true, Ordering::SeqCst);
    });
    let broken = || !fleet.ledger.violations().is_empty();
    let ended = env.executor.run_until(PATIENCE, || done.load(Ordering::SeqCst) || broken());
    if ended != Ended::Reached {
        fleet.ledger.violated(&format!("the run did not come to its end: {ended:?}"));
    }
    env.note(|| format!("end after {} steps", env.executor.polls()));
    let outcome = Outcome::of(options.seed, &fleet);
    fleet.clear();
    outcome
}

/// Mostly as users have it; now and then more machines, so that two can be lost at once, and less patience than a lease lasts,
/// so that a move is under way before the former holder has noticed anything.
fn size_of(env: &Env) -> Size {
    let common = Size::default();
    let hasty = env.between(Duration::from_millis(600), Duration::from_millis(1800));
    let lease = env.between(common.lease, common.lease * 2);
    match env.chance().happens(600) {
        true => common,
        false => {
            let machines = if env.chance().happens(400) { 5 } else { common.machines };
            Size { machines, budget: hasty, lease }
        }
    }
}

#[derive(Deserialize)]
struct Envelope<T> {
    record: T,
}

/// Every record of a kind, read past all faults.
fn every<T: DeserializeOwned>(fleet: &Fleet, prefix: &str) -> Vec<T> {
    let prefix = Key::new(prefix).expect("a prefix");
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = block_on(fleet.records.db().list(&prefix, after.as_ref(), PAGE_MAX));
        let page = page.expect("the in-memory store always answers");
        let read = |value: &[u8]| serde_json::from_slice::<Envelope<T>>(value).ok().map(|envelope| envelope.record);
        found.extend(page.entries.iter().filter_map(|entry| read(&entry.value)));
        after = page.entries.last().map(|entry| entry.key.clone());
        if !page.more {
            return found;
        }
    }
}
