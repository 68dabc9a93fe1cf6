//! `openmanage-sim`: runs whole clusters in a simulated world, from seeds, and replays them.

mod mutations;
mod scenarios;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use om_sim::explain::{Filter, readable, story};
use om_sim::journal::{Journal, replayed};
use om_sim::many::{Sum, many};
use om_sim::run::{Options, Outcome, run};
use om_sim::storage::Kind;
use rustix::time::{ClockId, clock_gettime};

/// A line of progress after so many runs.
const TOLD_EVERY: u64 = 100;

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
        /// With this deliberate bug in it (a build with the feature `mutations`)
        #[arg(long, value_name = "MUTATION")]
        planted: Option<String>,
        /// Tells everything that happened
        #[arg(long)]
        explain: bool,
        /// Tells every call of a port, too
        #[arg(long, requires = "explain")]
        calls: bool,
        /// Of what happened, only what happened until then
        #[arg(long, value_name = "SECONDS", requires = "explain")]
        until: Option<f64>,
        /// Of what happened, only lines with this word
        #[arg(long, value_name = "WORD", requires = "explain")]
        about: Option<String>,
        /// Writes the events that its servers noted, as `openmanage events --output json` does
        #[arg(long, value_name = "FILE")]
        journal: Option<PathBuf>,
    },
    /// Runs what a real cluster's events tell of: `openmanage events --output json > FILE`
    Incident {
        /// The events
        file: PathBuf,
        /// The volumes; without, the seed decides
        #[arg(long, value_parser = storage)]
        storage: Option<Kind>,
        /// What the events do not tell is drawn from this
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Tells everything that happened
        #[arg(long)]
        explain: bool,
    },
    /// Plays the scenarios by name
    Scenarios(scenarios::Wanted),
    /// Plants every deliberate bug, one after another, and runs seeds until one finds it
    Mutations(mutations::Arguments),
}

fn storage(word: &str) -> Result<Kind, String> {
    match word {
        "shared-file" => Ok(Kind::SharedFile),
        "nbd" => Ok(Kind::Nbd),
        _ => Err("shared-file or nbd".to_owned()),
    }
}

fn main() -> Result<ExitCode> {
    let passed = match Arguments::parse().command {
        Command::Run { from, seeds, storage } => many_seeds(from, seeds, storage),
        Command::Replay { seed, storage, planted, explain, calls, until, about, journal } => {
            if let Some(name) = planted {
                mutations::plant(&name)?;
            }
            let outcome = run(&Options { storage, calls, ..Options::new(seed) });
            if let Some(file) = journal {
                let text = Journal::noted(&outcome.events)?.text();
                std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
            }
            told(&outcome, explain.then_some(Filter { until, about }).as_ref())
        }
        Command::Incident { file, storage, seed, explain } => {
            incident(&file, &Options { storage, ..Options::new(seed) }, explain)?
        }
        Command::Scenarios(wanted) => scenarios::run(&wanted),
        Command::Mutations(arguments) => return Ok(mutations::all(&arguments)),
    };
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Tells what came of one run; true if all is well.
fn told(outcome: &Outcome, filter: Option<&Filter>) -> bool {
    if let Some(filter) = filter {
        println!("{}", readable(&outcome.trace, filter));
    }
    if let Some(story) = story(&outcome.trace) {
        println!("{story}");
    }
    for violation in &outcome.violations {
        println!("seed {}: {violation}", outcome.seed);
    }
    let (simulated, rows) = (outcome.simulated.as_secs_f64(), outcome.rows);
    println!("fingerprint {:016x}, {simulated:.1} s simulated, {rows} rows", outcome.fingerprint);
    outcome.violations.is_empty()
}

fn incident(file: &PathBuf, options: &Options, explain: bool) -> Result<bool> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let journal = Journal::read(&text).with_context(|| format!("{} is no journal", file.display()))?;
    print!("{}", journal.schedule());
    let replay = replayed(&journal, options);
    print!("{}", replay.comparison);
    Ok(told(&replay.outcome, explain.then(Filter::default).as_ref()))
}

/// Runs many seeds; true if none failed and nothing was left out.
fn many_seeds(from: u64, seeds: u64, storage: Option<Kind>) -> bool {
    let (began, terminal) = (passed(ClockId::Monotonic), std::io::stderr().is_terminal());
    let options = Options { storage, ..Options::new(from) };
    let sum = many(from..from + seeds, &options, |outcome, sum| {
        for violation in &outcome.violations {
            println!("seed {}: {violation}", outcome.seed);
        }
        if terminal && sum.runs.is_multiple_of(TOLD_EVERY) {
            let took = passed(ClockId::Monotonic) - began;
            eprintln!("{} of {seeds} seeds after {took:.0} s, {} failed", sum.runs, sum.failed.len());
        }
    });
    println!("{}", sum.coverage.table());
    let seldom = sum.coverage.seldom();
    if !seldom.is_empty() {
        println!("too seldom to say anything: {}\n", seldom.join(", "));
    }
    let gaps = sum.gaps();
    gaps.iter().for_each(|gap| println!("not covered: {gap}"));
    figures(&sum, passed(ClockId::Monotonic) - began);
    print!("{}", sum.failures(storage));
    sum.failed.is_empty() && gaps.is_empty()
}

/// What a clock of the process shows, in seconds.
fn passed(clock: ClockId) -> f64 {
    let now = clock_gettime(clock);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}

/// How much was simulated, and what it cost.
fn figures(sum: &Sum, took: f64) {
    let hours = passed(ClockId::ProcessCPUTime) / 3600.0;
    println!("{} seeds in {took:.1} s; operations: {:?}; {} rows", sum.runs, sum.operations, sum.rows);
    println!(
        "{:.1} h of a cluster's life simulated in {hours:.3} h of processor time: {:.2} cluster-years per processor-hour",
        sum.simulated.as_secs_f64() / 3600.0,
        sum.cluster_years() / hours
    );
    println!("{} failed", sum.failed.len());
}
