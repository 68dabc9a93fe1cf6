//! Our name server against Debian's Knot, both pinned to one core and asked by dnsperf on the other.
//!
//! `cargo run --release -p om-benches --bin dns [SECONDS]` prints a Markdown table: queries a second with 100 always
//! waiting, what one query costs the server in processor time, and the latency at 1,000 queries a second. Each number is
//! the median of three runs, the two servers taking turns, so that what else the machine does hits both alike.
//!
//! Needs `dnsperf`, `knotd` and `taskset`. The program runs itself with `serve` as the server under test.

#![allow(clippy::disallowed_methods, reason = "a benchmark measures real time")]

mod load;
mod servers;

use std::fmt::Write;
use std::process::ExitCode;

use load::{Latency, Throughput};
use servers::Server;

/// Runs of each measurement.
const ROUNDS: usize = 3;

/// What is always reported of a failed step: the step and the reason.
type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let ended = match arguments.first().map(String::as_str) {
        Some("serve") => servers::serve(),
        seconds => compare(seconds.and_then(|text| text.parse().ok()).unwrap_or(5)),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dns benchmark: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Three runs of one server.
#[derive(Default)]
struct Runs {
    throughput: Vec<Throughput>,
    latency: Vec<Latency>,
}

impl Runs {
    fn measure(&mut self, server: &Server, queries: &std::path::Path, seconds: u32) -> Outcome<()> {
        self.throughput.push(load::throughput(server, queries, seconds)?);
        self.latency.push(load::latency(server, queries, seconds)?);
        Ok(())
    }
}

fn compare(seconds: u32) -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let queries = servers::write_queries(folder.path())?;
    let (ours, knot) = (servers::ours()?, servers::knot(folder.path())?);
    let (mut our_runs, mut knot_runs) = (Runs::default(), Runs::default());
    for round in 1..=ROUNDS {
        eprintln!("round {round} of {ROUNDS}");
        our_runs.measure(&ours, &queries, seconds)?;
        knot_runs.measure(&knot, &queries, seconds)?;
    }
    print!("{}", table(&our_runs, &knot_runs, seconds)?);
    Ok(())
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn table(ours: &Runs, knot: &Runs, seconds: u32) -> Outcome<String> {
    let mut text = format!(
        "{}; {} A records, {seconds} s a run, median of {ROUNDS}; server on core 0, dnsperf on core 1\n\n",
        servers::machine()?,
        servers::RECORDS
    );
    text += "| DNS | openmanage | knotd | ratio |\n|---|---:|---:|---:|\n";
    let mut row = |name: &str, digits: usize, of: &dyn Fn(&Runs) -> f64| {
        let (our, their) = (of(ours), of(knot));
        writeln!(text, "| {name} | {our:.digits$} | {their:.digits$} | {:.2} |", our / their)
    };
    row("queries a second, 100 waiting", 0, &|runs| median(runs.throughput.iter().map(|run| run.per_second)))?;
    row("processor time per query, µs", 2, &|runs| median(runs.throughput.iter().map(|run| run.processor_micros)))?;
    row("queries lost", 0, &|runs| median(runs.throughput.iter().map(|run| run.lost)))?;
    row("p50 at 1,000 a second, µs", 0, &|runs| median(runs.latency.iter().map(|run| run.p50)))?;
    row("p99 at 1,000 a second, µs", 0, &|runs| median(runs.latency.iter().map(|run| run.p99)))?;
    Ok(text.replace("NaN", "–"))
}
