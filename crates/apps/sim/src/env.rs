//! What every part of the simulated world has: time, chance, the trace, the weather.

use std::task::Poll;
use std::time::Duration;

use om_backend::Clock;

use crate::chance::Chance;
use crate::executor::Executor;
use crate::trace::Trace;
use crate::weather::Weather;

/// How often it is looked whether somebody has claimed.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// What comes soon after comes within this.
const SOON: Duration = Duration::from_millis(400);

/// The surroundings. Clones are the same.
#[derive(Clone)]
pub struct Env {
    /// Tasks and time.
    pub executor: Executor,
    /// What happened.
    pub trace: Trace,
    /// What goes wrong at single steps.
    pub weather: Weather,
}

impl Env {
    /// The surroundings of one run.
    pub fn new(seed: u64) -> Self {
        // Three generators: that one part draws more does not change what the others draw.
        let weather = Weather::new(seed ^ 0x7765_6174_6865_7221);
        Self { executor: Executor::new(seed), trace: Trace::default(), weather }
    }

    /// The world's own time since the beginning.
    pub fn now(&self) -> Duration {
        self.executor.monotonic()
    }

    /// Returns after `length` of the world's time.
    pub async fn sleep(&self, length: Duration) {
        self.executor.sleep(length).await;
    }

    /// The seed's chance.
    pub fn chance(&self) -> &Chance {
        self.executor.chance()
    }

    /// A length between the two.
    pub fn between(&self, least: Duration, most: Duration) -> Duration {
        let span = u64::try_from(most.saturating_sub(least).as_micros()).unwrap_or(u64::MAX);
        least + Duration::from_micros(self.chance().number() % span.max(1))
    }

    /// Returns soon after the next claim of a member by anybody, or after `most`: what was meant for the former holder comes when
    /// there is another.
    pub async fn until_a_claim(&self, most: Duration) {
        let (before, until) = (self.weather.claims(), self.now() + most);
        while self.weather.claims() == before && self.now() < until {
            self.sleep(LOOK_EVERY).await;
        }
        self.sleep(self.between(Duration::ZERO, SOON)).await;
    }

    /// Adds a line to the trace.
    pub fn note(&self, text: impl FnOnce() -> String) {
        self.trace.add(self.now(), &text());
    }

    /// Adds a line to the trace about something that goes wrong.
    pub fn fault(&self, text: impl FnOnce() -> String) {
        self.trace.fault(self.now(), &text());
    }

    /// Runs `work` beside everything else, whatever becomes of whoever asked for it.
    pub fn beside(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.executor.add(Box::pin(work));
    }
}

/// Lets the others have a turn.
pub async fn give_way() {
    let mut gave = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut gave, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
