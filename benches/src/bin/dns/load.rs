//! Load: dnsperf on core 1, and what it said.

use std::path::Path;
use std::process::Command;

use crate::Outcome;
use crate::servers::Server;

/// A run with always 100 queries waiting.
pub(crate) struct Throughput {
    pub(crate) per_second: f64,
    /// The server's processor time per answered query, in microseconds.
    pub(crate) processor_micros: f64,
    pub(crate) lost: f64,
}

/// A run at 1,000 queries a second, in microseconds.
pub(crate) struct Latency {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

/// As many queries as the server answers.
pub(crate) fn throughput(server: &Server, queries: &Path, seconds: u32) -> Outcome<Throughput> {
    let before = server.processor_time()?;
    let said = dnsperf(server, queries, seconds, &["-q", "100"])?;
    let spent = server.processor_time()? - before;
    let completed = field(&said, "Queries completed:")?;
    if completed == 0.0 {
        return Err(format!("{} answered nothing:\n{said}", server.name).into());
    }
    Ok(Throughput {
        per_second: field(&said, "Queries per second:")?,
        processor_micros: spent.as_secs_f64() * 1e6 / completed,
        lost: field(&said, "Queries lost:")?,
    })
}

/// 1,000 queries a second, each one's time on a line of dnsperf's output.
pub(crate) fn latency(server: &Server, queries: &Path, seconds: u32) -> Outcome<Latency> {
    let said = dnsperf(server, queries, seconds, &["-Q", "1000", "-v"])?;
    let mut times: Vec<f64> = said
        .lines()
        .filter(|line| line.starts_with("> NOERROR"))
        .filter_map(|line| line.split_whitespace().last()?.parse().ok())
        .collect();
    if times.len() < 100 {
        return Err(format!("{} answered {} queries only:\n{said}", server.name, times.len()).into());
    }
    times.sort_by(f64::total_cmp);
    let at = |percent: usize| times[times.len() * percent / 100] * 1e6;
    Ok(Latency { p50: at(50), p99: at(99) })
}

fn dnsperf(server: &Server, queries: &Path, seconds: u32, options: &[&str]) -> Outcome<String> {
    let output = Command::new("taskset")
        .args(["-c", "1", "dnsperf", "-s", &server.address.ip().to_string(), "-p", &server.address.port().to_string()])
        .args(["-l", &seconds.to_string(), "-d"])
        .arg(queries)
        .args(options)
        .output()
        .map_err(|error| format!("cannot run taskset and dnsperf: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(said);
    }
    Err(format!("dnsperf failed: {said}{}", String::from_utf8_lossy(&output.stderr)).into())
}

/// The number after `name` in dnsperf's summary.
fn field(said: &str, name: &str) -> Outcome<f64> {
    let line = said.lines().find_map(|line| line.trim_start().strip_prefix(name));
    let number = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    number.ok_or_else(|| format!("dnsperf did not say {name:?}:\n{said}").into())
}
