//! How often a silence that is shorter than the detection budget moves something: a node's cable is pulled again and again,
//! for a quarter, half and three quarters of the budget.
//!
//! Everything runs on the hosts of the test bed, as for `node-loss`. Parts: `stalls` (the silences), this file (the page).
//!
//! **Invariant:** nothing that was declared lost, moved or paused between the first silence and the last is left uncounted.

#![allow(clippy::disallowed_methods, reason = "a benchmark measures real time")]

mod stalls;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use om_benches::fleets::{heed_signals, in_parts, interrupted, keep_output_for_the_page};
use om_benches::{Report, machine};
use om_tests::fleet::{Fleet, Provider};

use crate::stalls::{Stalls, Tally, budget};

/// Below this part of the budget nothing is to move.
const NO_MOVE_BELOW: u32 = 60;

#[derive(Parser)]
#[command(about = "Counts what silences shorter than the detection budget move")]
struct Options {
    /// How often a node is silent.
    #[arg(long, default_value_t = 1000)]
    stalls: usize,
    /// 20 silences: to see that it works.
    #[arg(long)]
    quick: bool,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let count = if options.quick { 20 } else { options.stalls };
    machine::need_release_program()?;
    heed_signals()?;
    let page = keep_output_for_the_page()?;
    let mut report = Report::begin("false-alarms", "Short silences");
    let mut stalls = Stalls::none();
    let failures = in_parts(|| {
        if stalls.count() >= count {
            return;
        }
        eprintln!("starting the cluster");
        // The provider whose volumes need a lease: there a silence may pause a database.
        let fleet = Fleet::start(Provider::SharedFile);
        fleet.service();
        fleet.all_healthy();
        stalls.inject(&fleet, count);
    });
    ensure!(!interrupted(), "interrupted; everything is removed, and nothing is written");
    tell(&mut report, &stalls, &failures);
    rustix::stdio::dup2_stdout(page).context("cannot write to the standard output again")?;
    report.print()
}

/// Adds what was counted to the page.
fn tell(report: &mut Report, stalls: &Stalls, failures: &[String]) {
    report.say(&format!(
        "PostgreSQL with three members on three nodes, each a host of its own with a Docker engine, all in one Swarm, with \
         etcd, a server and an agent on every node. {} times a node's cable was pulled for a part of the detection budget \
         ({:.1} s), the nodes and the lengths in turn. Lost: how often a node was declared lost for it. Pauses: how often a node's lease lapsed, so that its databases \
         were stopped until it was back.",
        stalls.count(),
        budget().as_secs_f64()
    ));
    let row = |(part, tally): &(u32, Tally)| {
        let pauses = if stalls.leases { tally.pauses.to_string() } else { "–".to_owned() };
        vec![
            format!("{part} % of the budget"),
            tally.stalls.to_string(),
            tally.lost.to_string(),
            tally.moves.to_string(),
            pauses,
        ]
    };
    let rows: Vec<_> = stalls.tallies.iter().map(row).collect();
    report.table(&["silence", "times", "lost", "moves", "pauses"], &rows);
    let below: u64 =
        stalls.tallies.iter().filter(|(part, _)| *part < NO_MOVE_BELOW).map(|(_, tally)| tally.moves).sum();
    let verdict = if below == 0 { "reached" } else { "**missed**" };
    report.say(&format!("Aim: no move below {NO_MOVE_BELOW} % of the budget. Measured: {below}: {verdict}."));
    for failure in failures {
        let first = failure.lines().next().unwrap_or_default();
        report.say(&format!("**Begun again, since a part did not come to its end: {first}**"));
    }
}
