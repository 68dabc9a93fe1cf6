//! A machine's clocks: one that counts since it was started, at its own rate, and one on the wall, which may jump.
//!
//! **Invariant:** rates differ by less than the drift that leases allow for (`om_backend::lease::DRIFT_MAX`); the wall's time
//! may be anything.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use om_backend::Clock;
use om_model::Timestamp;

use crate::env::Env;
use crate::executor::EPOCH_MS;

/// The most that a machine's clock is fast or slow, in millionths: two of them are within the drift that is allowed for.
pub const RATE_MAX: i64 = 4_000;

/// The clocks of a machine. Clones are the same.
#[derive(Clone)]
pub struct MachineClock {
    env: Env,
    state: Arc<Mutex<State>>,
}

struct State {
    /// When the machine was started.
    started: Duration,
    /// How fast it is, in millionths.
    rate: i64,
    /// How far the wall's clock is ahead, in milliseconds.
    ahead: i64,
}

impl MachineClock {
    /// The clocks of a machine that is started now; it is fast by so many millionths.
    pub fn new(env: Env, rate: i64) -> Self {
        let state = State { started: env.now(), rate: rate.clamp(-RATE_MAX, RATE_MAX), ahead: 0 };
        Self { env, state: Arc::new(Mutex::new(state)) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The machine is started anew.
    pub fn restart(&self) {
        self.lock().started = self.env.now();
    }

    /// The wall's clock is set: ahead of the true time by so many milliseconds, or behind it.
    pub fn set_wall(&self, ahead: i64) {
        self.lock().ahead = ahead;
    }
}

#[async_trait]
impl Clock for MachineClock {
    fn now(&self) -> Timestamp {
        let true_time = EPOCH_MS + u64::try_from(self.env.now().as_millis()).unwrap_or(u64::MAX / 2);
        Timestamp::from_millis(true_time.saturating_add_signed(self.lock().ahead))
    }

    fn monotonic(&self) -> Duration {
        let state = self.lock();
        let since = self.env.now().saturating_sub(state.started);
        let micros = i128::try_from(since.as_micros()).unwrap_or(i128::MAX / 2_000_000);
        let counted = micros * i128::from(1_000_000 + state.rate) / 1_000_000;
        Duration::from_micros(u64::try_from(counted).unwrap_or(0))
    }

    async fn sleep(&self, length: Duration) {
        let rate = self.lock().rate;
        let micros = i128::try_from(length.as_micros()).unwrap_or(i128::MAX / 2_000_000);
        // Rounded up: whoever wakes finds the time passed.
        let real = micros * 1_000_000 / i128::from(1_000_000 + rate) + 2;
        self.env.sleep(Duration::from_micros(u64::try_from(real).unwrap_or(u64::MAX))).await;
    }
}
