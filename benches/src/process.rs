//! What a process costs: resident memory and processor time, as the kernel counts them.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// What a process has used up to now.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// User and system time of all its threads.
    pub processor: Duration,
    /// Resident memory in bytes: all of it.
    pub resident: u64,
    /// The part of `resident` that no file backs: what it allocated itself.
    pub anonymous: u64,
}

/// What the process has used up to now.
///
/// # Errors
/// If it is gone.
pub fn usage(pid: u32) -> Result<Usage> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).with_context(|| format!("process {pid} is gone"))?;
    let kib = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let number = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
        number.map(|kib| kib * 1024).with_context(|| format!("no {name} for process {pid}"))
    };
    Ok(Usage { processor: processor_time(pid)?, resident: kib("VmRSS")?, anonymous: kib("RssAnon")? })
}

/// The processor time that the process has used, its threads together.
///
/// # Errors
/// If it is gone.
pub fn processor_time(pid: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("process {pid} is gone"))?;
    // After the name, which may hold anything, in parentheses: fields 3 and up; utime and stime are 14 and 15.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let mut ticks = 0.0;
    for index in [11, 12] {
        let field = fields.get(index).with_context(|| format!("/proc/{pid}/stat is short"))?;
        ticks += field.parse::<f64>().with_context(|| format!("/proc/{pid}/stat has {field:?} for a number"))?;
    }
    let per_second = u32::try_from(rustix::param::clock_ticks_per_second())?;
    Ok(Duration::from_secs_f64(ticks / f64::from(per_second)))
}

/// Ids of the processes with this name.
pub fn named(name: &str) -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter(|pid| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim() == name)).collect()
}
