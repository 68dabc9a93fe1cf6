//! The container that the member program runs in: its processes, its files, its signals.
//!
//! Main pieces: [`ContainerProcesses`] (starts programs and the database server, and reaps whatever ends: the program is
//! PID 1; it stops and continues everybody), [`ContainerFiles`] (files with owners), [`stop_requested`] (SIGTERM and SIGINT).
//!
//! **Architecture invariant:** nothing here looks a user or a host up through the C library: the program is linked
//! statically and runs in images that know nothing of it.

#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, reason = "an adapter of the system: its time-outs and pauses are real")]

mod everyone;
mod files;
mod processes;
mod reaper;

use std::io;

use futures::future::BoxFuture;
use tokio::signal::unix::{SignalKind, signal};

pub use files::ContainerFiles;
pub use processes::ContainerProcesses;

/// Ends once the container is asked to stop (SIGTERM or SIGINT). Without this PID 1 would never notice: the kernel
/// drops signals that it has no handler for.
///
/// # Errors
/// The handlers cannot be set.
pub fn stop_requested() -> io::Result<BoxFuture<'static, ()>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(Box::pin(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }))
}
