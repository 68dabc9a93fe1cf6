//! The machine's own clock, tasks and entropy, behind the ports of [`om_backend::runtime`].
//!
//! - [`MachineClock`]: the wall clock, CLOCK_BOOTTIME, and tokio's timer.
//! - [`MachineTasks`]: tokio's tasks.
//! - [`MachineEntropy`]: the kernel's random numbers.
//! - [`runtime`]: the three together.
//!
//! **Architecture invariant:** with the adapters' own tests, this is the one home of the wall clock, of bare spawns and
//! of randomness. Everything else receives them through a [`Runtime`], or it could not be simulated.

#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, reason = "the home of what these bans send through ports")]

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use futures::FutureExt;
use futures::future::BoxFuture;
use om_backend::{Clock, Entropy, Runtime, Tasks};
use om_model::Timestamp;
use rustix::time::{ClockId, clock_gettime};

#[cfg(test)]
mod tests;

/// The machine's clock, tasks and entropy. The tasks run on the tokio runtime that calls [`Tasks::spawn`].
pub fn runtime() -> Runtime {
    Runtime { clock: Arc::new(MachineClock), tasks: Arc::new(MachineTasks), entropy: Arc::new(MachineEntropy) }
}

/// The machine's clocks and tokio's timer.
#[derive(Clone, Copy, Debug, Default)]
pub struct MachineClock;

/// Tasks of the current tokio runtime.
#[derive(Clone, Copy, Debug, Default)]
pub struct MachineTasks;

/// The kernel's random numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct MachineEntropy;

#[async_trait]
impl Clock for MachineClock {
    fn now(&self) -> Timestamp {
        // A clock set before 1970 is shown as 1970: nothing rests on it.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    fn monotonic(&self) -> Duration {
        let time = clock_gettime(ClockId::Boottime);
        // The kernel promises 0 <= tv_sec and 0 <= tv_nsec < 10^9 for this clock.
        Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
    }

    async fn sleep(&self, length: Duration) {
        tokio::time::sleep(length).await;
    }
}

impl Tasks for MachineTasks {
    fn spawn(&self, name: &'static str, task: BoxFuture<'static, ()>) {
        tokio::spawn(async move {
            // A panic ends its task only; said here, with the task's name, or nobody would learn of it.
            if std::panic::AssertUnwindSafe(task).catch_unwind().await.is_err() {
                tracing::error!(task = name, "a task panicked and has ended");
            }
        });
    }
}

impl Entropy for MachineEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        // Fails only on kernels without getrandom(2) and /dev/urandom: going on with guessable secrets is worse.
        getrandom::fill(buffer).expect("the kernel gives random numbers");
    }
}
