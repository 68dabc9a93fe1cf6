//! The shell script.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use om_benches::containers::{self, Containers, IMAGE};

use crate::Split;

const SCRIPT: &str = include_str!("peer.sh");

/// Runs it once. What it makes goes with `_cleared`.
pub(crate) fn create(_cleared: &Containers, round: usize) -> Result<Split> {
    let prefix = format!("bench-create-{}-{round}", std::process::id());
    let output = Command::new("timeout")
        .args(["120", "bash", "-c", SCRIPT, "peer.sh", IMAGE, containers::label(), &prefix])
        .stdin(Stdio::null())
        .output()
        .context("cannot run bash")?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "the script failed: {said}{}", String::from_utf8_lossy(&output.stderr));
    let lap = |line: &str| {
        let (name, seconds) = line.split_once('\t').with_context(|| format!("the script said {line:?}"))?;
        Ok((name.to_owned(), seconds.parse::<f64>()? * 1000.0))
    };
    said.lines().map(lap).collect()
}
