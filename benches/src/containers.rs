//! Containers that a benchmark makes itself, to compare with those that OpenManage makes.
//!
//! Their volumes are anonymous ones, which go with them: to list volumes, Docker asks every driver it ever saw, and waits
//! many seconds for each that is gone.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use om_tests::docker::docker;

use crate::http;

/// The image that benchmarks run: the one OpenManage runs members from.
pub const IMAGE: &str = "openmanage/postgresql:15";
/// The label on everything made here.
const LABEL: &str = "com.openmanage.bench";
const ENGINE: &str = "/var/run/docker.sock";

/// Everything labelled as a benchmark's, removed when this is dropped; and when it is made, since a killed run leaves it.
pub struct Containers(());

impl Containers {
    /// Clears away what a killed run left.
    pub fn begin() -> Self {
        clear();
        Self(())
    }

    /// Makes a container with further arguments of `docker create`, and does not start it. It sleeps.
    ///
    /// # Errors
    /// What Docker said.
    pub fn sleeper(&self, arguments: &[&str]) -> Result<String> {
        let first = ["create", "--label", LABEL, "--network", "none", "--entrypoint", "sleep"];
        let made = docker(&[&first[..], arguments, &[IMAGE, "3600"]].concat());
        made.map_err(|said| anyhow!("docker create: {said}"))
    }
}

impl Drop for Containers {
    fn drop(&mut self) {
        clear();
    }
}

/// The label, for containers that a script makes.
pub fn label() -> &'static str {
    LABEL
}

/// Removes every container that carries the label, with its volumes.
fn clear() {
    let filter = format!("label={LABEL}");
    for container in docker(&["ps", "--all", "--quiet", "--filter", &filter]).unwrap_or_default().lines() {
        let _ = docker(&["rm", "--force", "--volumes", container]);
    }
}

/// How long the engine takes to start the container: the call that `docker start` makes, without the command line's own
/// 25 ms.
///
/// # Errors
/// What the engine said.
pub fn start(container: &str) -> Result<Duration> {
    let began = Instant::now();
    http::once(Path::new(ENGINE), "POST", &format!("/containers/{container}/start"), "")?;
    Ok(began.elapsed())
}

/// Kills the container and returns once the engine has cleaned up after it.
///
/// # Errors
/// What the engine said.
pub fn stop(container: &str) -> Result<()> {
    http::once(Path::new(ENGINE), "POST", &format!("/containers/{container}/kill"), "")?;
    http::once(Path::new(ENGINE), "POST", &format!("/containers/{container}/wait"), "").map(drop)
}
