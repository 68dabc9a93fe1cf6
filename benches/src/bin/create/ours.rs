//! One create by the command line, taken apart by what the operation's record says.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use om_tests::World;
use serde_json::Value;

/// Steps by the beginning of what they say, what they are called together, and whether the time in them is our own.
const KINDS: [(&str, &str, bool); 7] = [
    ("reserve", "steps: names and addresses", true),
    ("generate", "step: passwords and certificates", true),
    ("create data volume", "steps: volumes", true),
    ("create container", "steps: create the containers", false),
    ("start", "steps: start the containers, their volumes mounted", false),
    ("wait", "steps: wait for PostgreSQL", false),
    ("mark", "step: mark the service active", true),
];

/// A part of the whole, in milliseconds.
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) took: f64,
    /// True if nobody else is waited for in it.
    pub(crate) own: bool,
}

/// Creates a service and deletes it; what the creation's time went into.
pub(crate) fn create(world: &World, round: usize) -> Result<Vec<Part>> {
    let service = format!("bench-{round}");
    let began = now()?;
    world.call(&["create", "postgresql", &service, "--replicas", "3", "--volume-size", "1GiB"]).ok();
    let ended = now()?;
    let path = format!("/v1/operations?service={service}");
    let found = world.http("GET", &path, "").map_err(anyhow::Error::msg)?.json();
    let operation = found["items"].get(0).context("the service has no operation")?;
    let parts = split(operation, began, ended)?;
    world.call(&["delete", &service, "--delete-volumes", "--yes"]).ok();
    Ok(parts)
}

fn split(operation: &Value, began: f64, ended: f64) -> Result<Vec<Part>> {
    let accepted = time(operation, "created")?;
    let mut sums = [0.0; KINDS.len()];
    let mut between = 0.0;
    let mut last = accepted;
    for step in operation["steps"].as_array().context("the operation has no steps")? {
        let (step_began, step_ended) = (time(step, "began")?, time(step, "ended")?);
        let what = step["what"].as_str().unwrap_or_default();
        let kind = KINDS.iter().position(|(beginning, ..)| what.starts_with(beginning));
        sums[kind.with_context(|| format!("a step of no known kind: {what}"))?] += step_ended - step_began;
        between += step_began - last;
        last = step_ended;
    }
    let own = |name: &str, took| Part { name: name.to_owned(), took, own: true };
    let mut parts = vec![own("command line and request, until accepted", accepted - began)];
    for ((_, name, own), took) in KINDS.iter().zip(sums) {
        parts.push(Part { name: (*name).to_owned(), took, own: *own });
    }
    parts.push(own("between steps: plan, progress written down", between));
    parts.push(own("from the last step until the command line ends", ended - last));
    Ok(parts)
}

/// Milliseconds since the epoch, on the clock that the operation's times are of.
fn now() -> Result<f64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64() * 1000.0)
}

fn time(record: &Value, field: &str) -> Result<f64> {
    let text = record[field].as_str().with_context(|| format!("no {field} in {record}"))?;
    let at: jiff::Timestamp = text.parse().with_context(|| format!("{field} is {text:?}"))?;
    Ok(at.as_millisecond() as f64)
}
