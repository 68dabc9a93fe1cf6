//! Where a benchmark runs.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use rustix::thread::{CpuSet, sched_setaffinity};

/// Processor, cores, memory and kernel, in a few words.
///
/// # Errors
/// If the kernel does not tell.
pub fn describe() -> Result<String> {
    let processors = fs::read_to_string("/proc/cpuinfo").context("cannot read /proc/cpuinfo")?;
    let model = processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown processor", |(_, name)| name);
    let cores = processors.lines().filter(|line| line.starts_with("processor")).count();
    let memory = fs::read_to_string("/proc/meminfo").context("cannot read /proc/meminfo")?;
    let kib = memory.lines().find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next()?.parse().ok());
    let gib = kib.unwrap_or(0.0_f64) / (1024.0 * 1024.0);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").context("cannot read the kernel's release")?;
    Ok(format!("{model}, {cores} cores, {gib:.0} GiB of memory, Linux {}", kernel.trim()))
}

/// Processes that ran or waited to run, on average over the last minute.
pub fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or("?").to_owned()
}

/// Keeps this process, and the threads it starts from now on, on one core. Does nothing where there is only one.
///
/// # Errors
/// If the kernel refuses.
pub fn pin_here(core: usize) -> Result<()> {
    if std::thread::available_parallelism().is_ok_and(|cores| cores.get() < 2) {
        return Ok(());
    }
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).with_context(|| format!("cannot run on core {core}"))
}

/// Keeps every thread of a running process on one core.
///
/// # Errors
/// If `taskset` cannot.
pub fn pin_process(pid: u32, core: usize) -> Result<()> {
    let output = Command::new("taskset").args(["-apc", &core.to_string(), &pid.to_string()]).output();
    let output = output.context("cannot run taskset (package util-linux)")?;
    ensure!(output.status.success(), "taskset: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Checks that a release build of `openmanage` is named for [`World`](om_tests::World), which would take a debug build.
///
/// # Errors
/// If it is not.
pub fn need_release_program() -> Result<()> {
    let program = std::env::var_os("OPENMANAGE_BINARY").map(PathBuf::from).filter(|path| path.is_file());
    program.map(drop).context("run this by ./bench, or name a release build of openmanage in OPENMANAGE_BINARY")
}
