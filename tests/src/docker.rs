//! Docker, seen from outside: by its own command line, never through our code.

use std::process::Command;

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

/// Names of the volumes of the driver.
pub fn volumes(driver: &str) -> Vec<String> {
    lines(&["volume", "ls", "--quiet", "--filter", &format!("driver={driver}")])
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
