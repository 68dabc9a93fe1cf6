//! Closed loops and what they took.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures::future::try_join_all;
use om_controldb::{ControlDb, Key};

/// Where the records for gets and pages are.
pub(crate) const RECORDS_FOLDER: &str = "records/";

/// How long each call of a case took, ascending, and over how long they were made.
pub(crate) struct Measured {
    took: Vec<Duration>,
    period: Duration,
}

impl Measured {
    /// Calls a second.
    pub(crate) fn rate(&self) -> f64 {
        self.took.len() as f64 / self.period.as_secs_f64()
    }

    fn percentile(&self, percent: usize) -> Duration {
        self.took[(self.took.len() * percent / 100).min(self.took.len() - 1)]
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = |percent| self.percentile(percent).as_secs_f64() * 1000.0;
        write!(f, "{:.0} | {:.3} ms | {:.3} ms", self.rate(), millis(50), millis(99))
    }
}

/// One client: calls, one after the other, until the period is over. How long each took.
pub(crate) async fn repeat(period: Duration, mut call: impl AsyncFnMut(usize) -> Result<()>) -> Result<Vec<Duration>> {
    let started = Instant::now();
    let mut took = Vec::new();
    while started.elapsed() < period {
        let before = Instant::now();
        call(took.len()).await?;
        took.push(before.elapsed());
    }
    Ok(took)
}

/// All clients at once.
pub(crate) async fn together<F>(clients: impl IntoIterator<Item = F>, period: Duration) -> Result<Measured>
where
    F: Future<Output = Result<Vec<Duration>>>,
{
    let mut took = try_join_all(clients).await?.concat();
    took.sort_unstable();
    anyhow::ensure!(!took.is_empty(), "not one call was made in {period:?}");
    Ok(Measured { took, period })
}

/// The record with this number.
pub(crate) fn record_key(number: usize) -> Result<Key> {
    Ok(Key::new(format!("{RECORDS_FOLDER}{number:06}"))?)
}

/// Makes the records, many at a time.
pub(crate) async fn fill(store: &Arc<dyn ControlDb>, count: usize, bytes: usize) -> Result<()> {
    let value = vec![0; bytes];
    let numbers: Vec<usize> = (0..count).collect();
    for some in numbers.chunks(64) {
        let creates = some.iter().map(|number| async {
            store.create(&record_key(*number)?, &value).await.context("filling the store").map(drop)
        });
        try_join_all(creates).await?;
    }
    Ok(())
}
