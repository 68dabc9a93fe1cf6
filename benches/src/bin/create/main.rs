//! Creating a PostgreSQL service of three members, split by step, against a plain shell script that starts the same three
//! servers by hand (`peer.sh`). The two take turns.
//!
//! Our time is what the command line takes, from its start to its end. Steps are as the operation's record has them.

#![allow(clippy::disallowed_methods, reason = "a benchmark measures real time")]

mod ours;
mod peer;

use anyhow::Result;
use clap::Parser;
use om_benches::containers::Containers;
use om_benches::{Figures, Report, machine};
use om_tests::World;

use crate::ours::Part;

/// What our own share of a create may be, in milliseconds.
const AIM: f64 = 1000.0;

/// Parts of a run in order, each with its milliseconds.
type Split = Vec<(String, f64)>;

#[derive(Parser)]
#[command(about = "Compares creating a service of three members with a shell script")]
struct Options {
    /// How often each is done.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

fn main() -> Result<()> {
    let options = Options::parse();
    machine::need_release_program()?;
    let mut report = Report::begin("create", "Creating a service of three members, against a shell script");
    let world = World::start();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    // The first round of each warms up.
    for round in 0..=options.rounds {
        eprintln!("round {round} of {}", options.rounds);
        let (split, peer) = (ours::create(&world, round)?, peer::create(&Containers::begin(), round)?);
        if round > 0 {
            ours.push(split);
            theirs.push(peer);
        }
    }
    tell(&mut report, &ours, &theirs)?;
    report.print()
}

/// The same part of every run.
fn part(runs: &[Split], index: usize) -> Result<Figures> {
    Figures::of(runs.iter().map(|run| run[index].1))
}

fn total(runs: &[Split]) -> Result<Figures> {
    Figures::of(runs.iter().map(|run| run.iter().map(|(_, took)| took).sum()))
}

fn cells(name: &str, figures: &Figures) -> Vec<String> {
    let (least, most) = figures.range();
    vec![name.to_owned(), format!("{:.0}", figures.median()), format!("{least:.0}–{most:.0}")]
}

fn tell(report: &mut Report, ours: &[Vec<Part>], theirs: &[Split]) -> Result<()> {
    let own = Figures::of(ours.iter().map(|run| run.iter().filter(|part| part.own).map(|part| part.took).sum()))?;
    let splits: Vec<Split> =
        ours.iter().map(|run| run.iter().map(|part| (part.name.clone(), part.took)).collect()).collect();
    let (our_total, their_total) = (total(&splits)?, total(theirs)?);
    let verdict = if own.median() <= AIM { "reached" } else { "**missed**" };
    report.say(&format!(
        "`openmanage create postgresql NAME --replicas 3`, as the command line's user waits for it, and a shell script \
         (`benches/src/bin/create/peer.sh`) that starts three PostgreSQL servers of the same image on local volumes. \
         They take turns, {} runs each. The script does less: no TLS, no passwords, no bounded volumes, no slots, no \
         names, and it starts the standbys only once the primary answers.",
        ours.len()
    ));
    report.say(&format!(
        "Aim: our own share (everything but making and starting containers and waiting for PostgreSQL) at most \
         {AIM:.0} ms. Measured: {:.0} ms: {verdict}. The whole takes {:.2} times as long as the script.",
        own.median(),
        our_total.median() / their_total.median()
    ));
    let columns = ["openmanage", "median, ms", "range, ms"];
    let mut rows = Vec::new();
    for (index, Part { name, own, .. }) in ours[0].iter().enumerate() {
        let name = if *own { format!("{name} (own)") } else { name.clone() };
        rows.push(cells(&name, &part(&splits, index)?));
    }
    rows.push(cells("**our own share**", &own));
    rows.push(cells("**total**", &our_total));
    report.table(&columns, &rows);
    let mut rows = Vec::new();
    for (index, (name, _)) in theirs[0].iter().enumerate() {
        rows.push(cells(name, &part(theirs, index)?));
    }
    rows.push(cells("**total**", &their_total));
    report.table(&["shell script", "median, ms", "range, ms"], &rows);
    let last = vec!["openmanage ÷ script".to_owned(), format!("{:.2}", our_total.median() / their_total.median())];
    report.table(&["ratio", "total"], &[last]);
    Ok(())
}
