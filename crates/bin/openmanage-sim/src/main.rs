//! `openmanage-sim`: runs whole clusters in a simulated world, from seeds, and replays them.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::{Parser, Subcommand};
use om_sim::run::{Options, Outcome, run};
use om_sim::storage::Kind;
use om_sim::weather::Coverage;

#[derive(Parser)]
#[command(version, about = "Runs whole clusters in a simulated world, each from one seed")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs many seeds and tells which of them broke something
    Run {
        /// The first seed
        #[arg(long, default_value_t = 1)]
        from: u64,
        /// How many seeds
        #[arg(long, default_value_t = 200)]
        seeds: u64,
        /// The volumes; without, each seed decides
        #[arg(long, value_parser = storage)]
        storage: Option<Kind>,
    },
    /// Runs one seed again, which does the very same again
    Replay {
        /// The seed
        seed: u64,
        /// The volumes; without, the seed decides
        #[arg(long, value_parser = storage)]
        storage: Option<Kind>,
        /// Tells everything that happened
        #[arg(long)]
        explain: bool,
    },
}

fn storage(word: &str) -> Result<Kind, String> {
    match word {
        "shared-file" => Ok(Kind::SharedFile),
        "nbd" => Ok(Kind::Nbd),
        _ => Err("shared-file or nbd".to_owned()),
    }
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Run { from, seeds, storage } => many(from, seeds, storage),
        Command::Replay { seed, storage, explain } => replay(&Options { storage, ..Options::new(seed) }, explain),
    }
}

fn replay(options: &Options, explain: bool) -> ExitCode {
    let outcome = run(options);
    if explain {
        outcome.trace.iter().for_each(|line| println!("{line}"));
    }
    tell(&outcome);
    println!("fingerprint {:016x}, {:.1} s simulated, {} rows", outcome.fingerprint, outcome.simulated.as_secs_f64(), outcome.rows);
    if outcome.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn tell(outcome: &Outcome) {
    for violation in &outcome.violations {
        println!("seed {}: {violation}", outcome.seed);
    }
}

/// The runs of all threads together.
#[derive(Default)]
struct Sum {
    failed: Vec<u64>,
    coverage: Coverage,
    simulated: Duration,
    rows: u64,
}

fn many(from: u64, seeds: u64, storage: Option<Kind>) -> ExitCode {
    let (next, sum, began) = (AtomicU64::new(from), Mutex::new(Sum::default()), Instant::now());
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= from + seeds {
                        return;
                    }
                    let outcome = run(&Options { storage, ..Options::new(seed) });
                    tell(&outcome);
                    let mut sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
                    if !outcome.violations.is_empty() {
                        sum.failed.push(seed);
                    }
                    sum.coverage.add(&outcome.coverage);
                    sum.simulated += outcome.simulated;
                    sum.rows += outcome.rows;
                }
            });
        }
    });
    let mut sum = sum.into_inner().unwrap_or_else(PoisonError::into_inner);
    sum.failed.sort_unstable();
    for (step, hits) in &sum.coverage.steps {
        println!("{step:<50} {:>9} passed {:>6} crashes {:?}", hits.passed, hits.crashes(), hits.faults);
    }
    let took = began.elapsed();
    println!(
        "{seeds} seeds in {:.1} s, {:.1} h simulated, {} rows; failed: {:?}",
        took.as_secs_f64(),
        sum.simulated.as_secs_f64() / 3600.0,
        sum.rows,
        sum.failed
    );
    if sum.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
