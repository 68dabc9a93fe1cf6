//! Docker, seen from outside: by its own command line, never through our code.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

/// Runs `docker` with these arguments.
///
/// # Errors
/// What it printed on its standard error.
pub fn docker(arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("docker").args(arguments).output().expect("docker can be run");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// Ids of the containers, running or not, with this label (`key=value`).
pub fn containers(label: &str) -> Vec<String> {
    lines(&["ps", "--all", "--quiet", "--no-trunc", "--filter", &format!("label={label}")])
}

/// Ids of the networks with this label.
pub fn networks(label: &str) -> Vec<String> {
    lines(&["network", "ls", "--quiet", "--no-trunc", "--filter", &format!("label={label}")])
}

/// A container that a test started; removed when dropped.
#[derive(Debug)]
pub struct Started {
    /// Its id.
    pub id: String,
}

impl Started {
    /// `docker run --detach` with these arguments.
    ///
    /// # Errors
    /// What Docker said. A container that was made all the same is removed.
    pub fn run(arguments: &[&str]) -> Result<Self, String> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("om-tests-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let started = Self { id: name.clone() };
        docker(&[&["run", "--detach", "--name", &name], arguments].concat()).map(|_| started)
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = docker(&["rm", "--force", &self.id]);
    }
}

/// All that Docker knows of a container.
///
/// # Panics
/// If there is no such container.
#[track_caller]
pub fn inspect(container: &str) -> Value {
    let text = docker(&["inspect", "--type", "container", container]).expect("the container exists");
    let mut list: Vec<Value> = serde_json::from_str(&text).expect("docker prints JSON");
    list.remove(0)
}

/// What a container has written to its standard output and error.
///
/// # Panics
/// If the container is gone.
#[track_caller]
pub fn output(container: &str) -> String {
    let output = Command::new("docker").args(["logs", container]).output().expect("docker can be run");
    assert!(output.status.success(), "no output of {container}");
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

/// The process id, on this machine, of a container's first process.
///
/// # Panics
/// If the container is gone.
#[track_caller]
pub fn pid(container: &str) -> u64 {
    inspect(container)["State"]["Pid"].as_u64().expect("a process id")
}

/// When the container was started last, as Docker prints it.
///
/// # Panics
/// If the container is gone.
#[track_caller]
pub fn started_at(container: &str) -> String {
    inspect(container)["State"]["StartedAt"].as_str().expect("a time").to_owned()
}

fn lines(arguments: &[&str]) -> Vec<String> {
    docker(arguments).expect("docker answers").lines().map(str::to_owned).collect()
}
