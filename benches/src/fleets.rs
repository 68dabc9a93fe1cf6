//! What the benchmarks on a whole cluster share: parts that may fail, an end in order, a page alone on the standard output.

use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};

/// Runs of a part that may fail before the part is given up.
const FAILURES: usize = 3;

/// Set by a signal: the part that runs comes to its end, nothing new begins, and all is removed.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Does a part, and again if it fails, until it has failed too often. Yields why it failed.
pub fn in_parts(mut part: impl FnMut()) -> Vec<String> {
    let mut failures = Vec::new();
    while failures.len() < FAILURES && !interrupted() {
        match catch_unwind(AssertUnwindSafe(&mut part)) {
            Ok(()) => break,
            Err(panic) => {
                let words = words(panic.as_ref());
                eprintln!("failed: {words}");
                failures.push(words);
            }
        }
    }
    failures
}

/// What a panic said.
pub fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without words").to_owned()
}

/// True once a signal asked to end.
pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// Has ctrl-C and SIGTERM end the run in order, so that nothing stays behind.
///
/// # Errors
/// If signals cannot be waited for.
pub fn heed_signals() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut term = {
        let _within = runtime.enter();
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?
    };
    std::thread::spawn(move || {
        runtime.block_on(async {
            loop {
                tokio::select! {
                    _ = tokio::signal::ctrl_c() => {}
                    _ = term.recv() => {}
                }
                INTERRUPTED.store(true, Ordering::Relaxed);
                eprintln!("ending after this run, and removing everything");
            }
        });
    });
    Ok(())
}

/// The standard output is for the page alone: what else is printed, by the test bed too, goes to the standard error. Returns
/// the former standard output.
///
/// # Errors
/// If the outputs cannot be changed.
pub fn keep_output_for_the_page() -> Result<OwnedFd> {
    let page = rustix::io::dup(std::io::stdout()).context("cannot keep the standard output")?;
    rustix::stdio::dup2_stdout(std::io::stderr()).context("cannot use the standard error")?;
    Ok(page)
}
