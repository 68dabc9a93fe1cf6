//! Starting in the background, and ending what was started there.

use std::fs::OpenOptions;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use om_cli::UpSettings;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::state::StateDir;

const START_WITHIN: Duration = Duration::from_secs(30);
const END_WITHIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Starts `up` in the background with the flags this process was given, and returns once it serves.
pub(crate) async fn up(settings: &UpSettings) -> Result<()> {
    let state = StateDir::open(&settings.state)?;
    if let Some(process) = running(&state) {
        println!("openmanage runs already (process {})", process.as_raw_nonzero());
        return Ok(());
    }
    let log = OpenOptions::new().create(true).append(true).open(state.log());
    let log = log.with_context(|| format!("cannot write {}", state.log().display()))?;
    let mut command = Command::new(std::env::current_exe().context("cannot find this program's own path")?);
    command.args(std::env::args_os().skip(1).filter(|flag| flag != "--detach" && flag != "-d"));
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0);
    let mut child = command.spawn().context("cannot start in the background")?;
    let clock = om_system::runtime().clock;
    let began = clock.monotonic();
    while running(&state).is_none() {
        if let Some(status) = child.try_wait()? {
            bail!("it ended at once ({status}); its log is {}:\n{}", state.log().display(), last_words(&state.log()));
        }
        if clock.monotonic().saturating_sub(began) > START_WITHIN {
            bail!("it does not serve after {} s; its log is {}", START_WITHIN.as_secs(), state.log().display());
        }
        clock.sleep(LOOK_EVERY).await;
    }
    println!("openmanage serves (process {}, log {})", child.id(), state.log().display());
    Ok(())
}

/// Ends the process that serves from this state directory. Members go on.
pub(crate) async fn down(state: &Path) -> Result<()> {
    if !state.exists() {
        println!("nothing runs from {}", state.display());
        return Ok(());
    }
    let state = StateDir::open(state)?;
    let Some(process) = running(&state) else {
        println!("nothing runs from {}", state.root().display());
        return Ok(());
    };
    kill_process(process, Signal::TERM).context("cannot end it")?;
    let clock = om_system::runtime().clock;
    let began = clock.monotonic();
    while test_kill_process(process).is_ok() && running(&state).is_some() {
        if clock.monotonic().saturating_sub(began) > END_WITHIN {
            bail!("process {} does not end; kill -9 it if need be: no data is lost", process.as_raw_nonzero());
        }
        clock.sleep(LOOK_EVERY).await;
    }
    println!("openmanage has ended; the services go on");
    Ok(())
}

/// The process that serves from this directory, if it is alive and is this program.
pub(crate) fn running(state: &StateDir) -> Option<Pid> {
    let number: i32 = std::fs::read_to_string(state.process()).ok()?.trim().parse().ok()?;
    let name = std::fs::read_to_string(format!("/proc/{number}/comm")).ok()?;
    name.trim().starts_with("openmanage").then(|| Pid::from_raw(number)).flatten()
}

fn last_words(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(5)..].join("\n")
}
