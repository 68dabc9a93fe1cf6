//! Starting in the background, and ending what was started there.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use om_cli::UpSettings;

use crate::process::Present;
use crate::settings;
use crate::state::StateDir;

const START_WITHIN: Duration = Duration::from_secs(30);
const END_WITHIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// A log larger than this many bytes is begun anew at the next start.
const LOG_MAX: u64 = 32 << 20;

/// Tells the process that is started in the background that it is that process: its flags are those of the first.
const DETACHED: &str = "OPENMANAGE_DETACHED";

/// True in the process that [`up`] started.
pub(crate) fn detached() -> bool {
    std::env::var_os(DETACHED).is_some()
}

/// Starts `up` in the background with the flags this process was given, and returns once it serves.
pub(crate) async fn up(asked: &UpSettings) -> Result<()> {
    let state = StateDir::open(&asked.state)?;
    settings::settle(state.settings()?, asked.clone())?;
    if let Some(present) = Present::of(&state)?.filter(|present| present.serves) {
        println!("openmanage runs already (process {})", present.pid.as_raw_nonzero());
        return Ok(());
    }
    let log = open_log(&state.log()).with_context(|| format!("cannot write {}", state.log().display()))?;
    let mut command = Command::new(std::env::current_exe().context("cannot find this program's own path")?);
    command.args(std::env::args_os().skip(1)).env(DETACHED, "1");
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0);
    let mut child = command.spawn().context("cannot start in the background")?;
    let clock = om_system::runtime().clock;
    let began = clock.monotonic();
    while !Present::of(&state)?.is_some_and(|present| present.serves) {
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

/// The log, to be written on. One that has grown large is put aside first, in the place of the one before.
fn open_log(path: &Path) -> std::io::Result<File> {
    if path.metadata().is_ok_and(|log| log.len() > LOG_MAX) {
        std::fs::rename(path, path.with_extension("log.1"))?;
    }
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

/// Ends the process that serves from this state directory, and returns once it has ended. Members go on.
pub(crate) async fn down(state: &Path) -> Result<()> {
    let present = StateDir::existing(state)?.map(|state| Present::of(&state)).transpose()?.flatten();
    let Some(present) = present else {
        println!("nothing runs from {}", state.display());
        return Ok(());
    };
    present.end()?;
    let clock = om_system::runtime().clock;
    let began = clock.monotonic();
    while !present.ended()? {
        if clock.monotonic().saturating_sub(began) > END_WITHIN {
            bail!("process {} does not end; kill -9 it if need be: no data is lost", present.pid.as_raw_nonzero());
        }
        clock.sleep(LOOK_EVERY).await;
    }
    println!("openmanage has ended; the services go on");
    Ok(())
}

fn last_words(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(5)..].join("\n")
}
