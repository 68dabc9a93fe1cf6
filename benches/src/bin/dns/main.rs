//! Our name server against Debian's Knot, both pinned to one core and asked by dnsperf on the other.
//!
//! `dns [SECONDS]`, the seconds of each run, prints a Markdown table: queries a second with 100 always waiting, what one query costs the server in processor time, and the latency at 1,000 queries a second. Each number is
//! the median of three runs, the two servers taking turns, so that what else the machine does hits both alike.
//!
//! Needs `dnsperf`, `knotd` and `taskset`. The program runs itself with `serve` as the server under test.

#![allow(clippy::disallowed_methods, reason = "a benchmark measures real time")]

mod load;
mod servers;

use std::process::ExitCode;

use om_benches::Report;

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
    let report = Report::begin("dns", "Names: our server against Knot");
    let folder = tempfile::tempdir()?;
    let queries = servers::write_queries(folder.path())?;
    let (ours, knot) = (servers::ours()?, servers::knot(folder.path())?);
    let (mut our_runs, mut knot_runs) = (Runs::default(), Runs::default());
    for round in 1..=ROUNDS {
        eprintln!("round {round} of {ROUNDS}");
        our_runs.measure(&ours, &queries, seconds)?;
        knot_runs.measure(&knot, &queries, seconds)?;
    }
    tell(report, &our_runs, &knot_runs, seconds)
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn tell(mut report: Report, ours: &Runs, knot: &Runs, seconds: u32) -> Outcome<()> {
    report.say(&format!(
        "Both servers serve the same {} A records from core 0; dnsperf asks from core 1, {seconds} s a run. Each figure is \
         the median of {ROUNDS} runs, the two servers taking turns.",
        servers::RECORDS
    ));
    let mut rows = Vec::new();
    let mut row = |name: &str, digits: usize, of: &dyn Fn(&Runs) -> f64| {
        let (our, their) = (of(ours), of(knot));
        let ratio = if their == 0.0 { "–".to_owned() } else { format!("{:.2}", our / their) };
        rows.push(vec![name.to_owned(), format!("{our:.digits$}"), format!("{their:.digits$}"), ratio]);
        our / their
    };
    let throughput =
        row("queries a second, 100 waiting", 0, &|runs| median(runs.throughput.iter().map(|r| r.per_second)));
    row("processor time per query, µs", 2, &|runs| median(runs.throughput.iter().map(|r| r.processor_micros)));
    row("queries lost", 0, &|runs| median(runs.throughput.iter().map(|r| r.lost)));
    row("p50 at 1,000 a second, µs", 0, &|runs| median(runs.latency.iter().map(|r| r.p50)));
    let p99 = row("p99 at 1,000 a second, µs", 0, &|runs| median(runs.latency.iter().map(|r| r.p99)));
    let verdict = |reached: bool| if reached { "reached" } else { "**missed**" };
    report.say(&format!(
        "Aims: at least 0.3 of Knot's queries a second: {throughput:.2}, {}; at 1,000 queries a second a 99th percentile \
         of at most twice Knot's: {p99:.2}, {}.",
        verdict(throughput >= 0.3),
        verdict(p99 <= 2.0)
    ));
    report.table(&["DNS", "openmanage", "knotd 3.2", "ratio"], &rows);
    Ok(report.print()?)
}
