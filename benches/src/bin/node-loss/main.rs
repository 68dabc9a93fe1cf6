//! The node of a PostgreSQL primary loses its power: how long until its member runs, is found and takes writes elsewhere, for
//! each volume provider; beside plain Docker Swarm, which fences nobody. (How often a short silence moves something, the
//! benchmark `false-alarms` counts.)
//!
//! Everything runs on the hosts of the test bed: real Docker engines in a real Swarm, real databases, a storage that loses
//! what was not flushed and sees who writes what. Parts: `run` (one loss of power), `watching` and `inside` (what is seen of
//! it while it goes on), `plain` (the peer), `tell` (the page).
//!
//! **Invariant:** all moments are of one clock, that of the machine which all hosts share; a run that does not come to its
//! end is named on the page instead of being left out.

#![allow(clippy::disallowed_methods, reason = "a benchmark measures real time")]

mod inside;
mod plain;
mod run;
mod tell;
mod watching;

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use om_benches::fleets::{heed_signals, in_parts, interrupted, keep_output_for_the_page};
use om_benches::{Report, machine};
use om_tests::fleet::{Fleet, Provider};

use crate::plain::{Plain, Setting};
use crate::run::Run;
use crate::tell::{Measured, Ours, Peer};

#[derive(Parser)]
#[command(about = "Measures what the loss of a node costs, beside plain Docker Swarm")]
struct Options {
    /// How often the node loses its power, for each provider.
    #[arg(long, default_value_t = 20)]
    runs: usize,
    /// The same for plain Docker Swarm, for each of its settings.
    #[arg(long, default_value_t = 5)]
    peer_runs: usize,
    /// The volume providers.
    #[arg(long, value_delimiter = ',', default_value = "shared-file,nbd", value_parser = provider)]
    providers: Vec<Provider>,
    /// 2 runs and 1 of the peer: to see that it works.
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
        (options.runs, options.peer_runs) = (2, 1);
    }
    machine::need_release_program()?;
    heed_signals()?;
    let page = keep_output_for_the_page()?;
    let mut report = Report::begin("node-loss", "A node is lost");
    let ours = options.providers.iter().map(|provider| ours(*provider, options.runs)).collect();
    let peers = [Setting::Default, Setting::Fastest].map(|setting| peer(setting, options.peer_runs));
    ensure!(!interrupted(), "interrupted; everything is removed, and nothing is written");
    tell::tell(&mut report, &Measured { ours, peers: peers.into() })?;
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

/// Seconds from one moment to another.
fn seconds(from: Instant, to: Instant) -> f64 {
    to.saturating_duration_since(from).as_secs_f64()
}
