//! Many measurements of one thing.

use std::time::Duration;

/// Measurements, ascending. The unit is the caller's.
#[derive(Clone, Debug)]
pub struct Figures(Vec<f64>);

impl Figures {
    /// These measurements.
    ///
    /// # Errors
    /// If there is none.
    pub fn of(measured: impl IntoIterator<Item = f64>) -> anyhow::Result<Self> {
        let mut measured: Vec<f64> = measured.into_iter().collect();
        anyhow::ensure!(!measured.is_empty(), "nothing was measured");
        measured.sort_by(f64::total_cmp);
        Ok(Self(measured))
    }

    /// These times, in milliseconds.
    ///
    /// # Errors
    /// If there is none.
    pub fn millis(took: impl IntoIterator<Item = Duration>) -> anyhow::Result<Self> {
        Self::of(took.into_iter().map(|took| took.as_secs_f64() * 1000.0))
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The value that `percent` of them do not exceed: the nearest rank, so always one that was measured.
    pub fn percentile(&self, percent: usize) -> f64 {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0[rank.min(self.0.len()) - 1]
    }

    /// The middle one; of two in the middle their mean.
    pub fn median(&self) -> f64 {
        let half = self.0.len() / 2;
        if self.0.len().is_multiple_of(2) { f64::midpoint(self.0[half - 1], self.0[half]) } else { self.0[half] }
    }

    /// The least and the greatest.
    pub fn range(&self) -> (f64, f64) {
        (self.0[0], self.0[self.0.len() - 1])
    }
}

#[cfg(test)]
mod tests;
