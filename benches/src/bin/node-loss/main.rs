//! The node of a PostgreSQL primary loses its power: how long until its member runs, is found and takes writes elsewhere, for
//! each volume provider; beside plain Docker Swarm, which fences nobody; and how often a short silence moves something.
//!
//! Everything runs on the hosts of the test bed: real Docker engines in a real Swarm, real databases, a storage that loses
//! what was not flushed and sees who writes what. Parts: `run` (one loss of power), `watching` and `inside` (what is seen of
//! it while it goes on), `plain` (the peer), `stalls` (false alarms), `tell` (the page).
//!
//! **Invariant:** all moments are of one clock, that of the machine which all hosts share; a run that does not come to its
//! end is named on the page instead of being left out.

#![allow(clippy::disallowed_methods, reason = "a benchmark measures real time")]

mod inside;
mod plain;
mod run;
mod stalls;
mod tell;
mod watching;

use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use om_benches::{Report, machine};
use om_tests::fleet::{Fleet, Provider};

use crate::plain::{Plain, Setting};
use crate::run::Run;
use crate::stalls::Stalls;
use crate::tell::{Measured, Ours, Peer};

/// Runs of a part that may fail before the part is given up.
const FAILURES: usize = 3;

/// Set by a signal: the part that runs comes to its end, nothing new begins, and all is removed.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

#[derive(Parser)]
#[command(about = "Measures what the loss of a node costs, beside plain Docker Swarm, and counts false alarms")]
struct Options {
    /// How often the node loses its power, for each provider.
    #[arg(long, default_value_t = 20)]
    runs: usize,
    /// The same for plain Docker Swarm, for each of its settings.
    #[arg(long, default_value_t = 5)]
    peer_runs: usize,
    /// How often a node is silent for a part of the detection budget.
    #[arg(long, default_value_t = 1000)]
    stalls: usize,
    /// The volume providers.
    #[arg(long, value_delimiter = ',', default_value = "shared-file,nbd", value_parser = provider)]
    providers: Vec<Provider>,
    /// 2 runs, 1 of the peer and 20 stalls: to see that it works.
    #[arg(long)]
    quick: bool,
}

fn provider(word: &str) -> Result<Provider, String> {
    let known = [Provider::SharedFile, Provider::Nbd].into_iter().find(|provider| provider.as_str() == word);
    known.ok_or_else(|| "shared-file or nbd".to_owned())
}

fn main() -> Result<()> {
    let mut options = Options::parse();
    if options.quick {
        (options.runs, options.peer_runs, options.stalls) = (2, 1, 20);
    }
    machine::need_release_program()?;
    heed_signals()?;
    let page = keep_output_for_the_page()?;
    let mut report = Report::begin("node-loss", "A node is lost");
    let ours = options.providers.iter().map(|provider| ours(*provider, options.runs)).collect();
    let peers = [Setting::Default, Setting::Fastest].map(|setting| peer(setting, options.peer_runs));
    let stalls = stalls(options.providers.first().copied().unwrap_or(Provider::SharedFile), options.stalls);
    ensure!(!interrupted(), "interrupted; everything is removed, and nothing is written");
    tell::tell(&mut report, &Measured { ours, peers: peers.into(), stalls })?;
    rustix::stdio::dup2_stdout(page).context("cannot write to the standard output again")?;
    report.print()
}

/// One provider's runs. A failure ends the cluster, and the runs that are left go on with a new one.
fn ours(provider: Provider, count: usize) -> Ours {
    let mut runs: Vec<Run> = Vec::new();
    let failures = in_parts(|| {
        if runs.len() == count {
            return;
        }
        eprintln!("{}: starting the cluster", provider.as_str());
        let fleet = Fleet::start(provider);
        let database = fleet.service();
        fleet.all_healthy();
        while runs.len() < count && !interrupted() {
            let run = run::measure(&fleet, &database);
            eprintln!("{} {} of {count}: {run}", provider.as_str(), runs.len() + 1);
            runs.push(run);
        }
    });
    Ours { provider, runs, failures }
}

/// The peer's runs with one of its settings.
fn peer(setting: Setting, count: usize) -> Peer {
    let mut runs = Vec::new();
    let failures = in_parts(|| {
        if runs.len() == count {
            return;
        }
        eprintln!("{setting}: starting the Swarm");
        let plain = Plain::start(setting);
        while runs.len() < count && !interrupted() {
            // In turn a node that does not lead the Swarm, and the one that does.
            let run = plain.measure(runs.len() % 2 == 1);
            eprintln!("{setting} {} of {count}: {run}", runs.len() + 1);
            runs.push(run);
        }
    });
    Peer { setting, runs, failures }
}

/// The false alarms.
fn stalls(provider: Provider, count: usize) -> Stalls {
    let mut stalls = Stalls::none();
    stalls.failures = in_parts(|| {
        if stalls.count() >= count {
            return;
        }
        eprintln!("stalls: starting the cluster");
        let fleet = Fleet::start(provider);
        fleet.service();
        fleet.all_healthy();
        stalls.inject(&fleet, count);
    });
    stalls
}

/// Does a part, and again if it fails, until it has failed too often. Yields why it failed.
fn in_parts(mut part: impl FnMut()) -> Vec<String> {
    let mut failures = Vec::new();
    while failures.len() < FAILURES && !interrupted() {
        match catch_unwind(AssertUnwindSafe(&mut part)) {
            Ok(()) => break,
            Err(panic) => {
                let words = words(panic.as_ref());
                eprintln!("failed: {words}");
                failures.push(words);
            }
        }
    }
    failures
}

/// What a panic said.
fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without words").to_owned()
}

fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// Has ctrl-C and SIGTERM end the run in order, so that nothing stays behind.
fn heed_signals() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut term = {
        let _within = runtime.enter();
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?
    };
    std::thread::spawn(move || {
        runtime.block_on(async {
            loop {
                tokio::select! {
                    _ = tokio::signal::ctrl_c() => {}
                    _ = term.recv() => {}
                }
                INTERRUPTED.store(true, Ordering::Relaxed);
                eprintln!("ending after this run, and removing everything");
            }
        });
    });
    Ok(())
}

/// The standard output is for the page alone: what else is printed, by the test bed too, goes to the standard error.
fn keep_output_for_the_page() -> Result<OwnedFd> {
    let page = rustix::io::dup(std::io::stdout()).context("cannot keep the standard output")?;
    rustix::stdio::dup2_stdout(std::io::stderr()).context("cannot use the standard error")?;
    Ok(page)
}

/// Seconds from one moment to another.
fn seconds(from: Instant, to: Instant) -> f64 {
    to.saturating_duration_since(from).as_secs_f64()
}
