//! Running means and a running median, each of bounded size.

use serde::{Deserialize, Serialize};

/// Exponentially weighted mean. Until it has seen as many values as its time constant it is their plain mean, so
/// that the first value has no undue weight.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RunningMean {
    mean: f64,
    values: f64,
    time_constant: f64,
}

impl RunningMean {
    pub(crate) fn new(time_constant: f64) -> Self {
        Self { mean: 0.0, values: 0.0, time_constant }
    }

    /// For values that are expected to be around zero: starts from there.
    pub(crate) fn around_zero(time_constant: f64) -> Self {
        Self { mean: 0.0, values: time_constant, time_constant }
    }

    pub(crate) fn push(&mut self, value: f64) {
        self.values = (self.values + 1.0).min(self.time_constant);
        self.mean += (value - self.mean) / self.values.max(1.0);
    }

    /// None before the first value.
    pub(crate) fn get(&self) -> Option<f64> {
        (self.values > 0.0).then_some(self.mean)
    }
}

/// Running mean of sizes, where no size counts for more than a multiple of the mean so far (winsorised): a typical
/// size which outliers cannot pull up.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct TypicalSize {
    mean: RunningMean,
    /// How many times the mean counts at most.
    limit: f64,
    /// Sizes still taken as they are, because the mean so far may be far too low.
    unlimited: u32,
}

/// Sizes that make up the first mean.
const FIRST_SIZES: u32 = 50;

impl TypicalSize {
    pub(crate) fn new(time_constant: f64, limit: f64) -> Self {
        Self { mean: RunningMean::new(time_constant), limit, unlimited: FIRST_SIZES }
    }

    /// The size as it counted.
    pub(crate) fn push(&mut self, size: f64) -> f64 {
        let counted = if self.unlimited > 0 { size } else { size.min(self.limit * self.get()) };
        self.unlimited = self.unlimited.saturating_sub(1);
        self.mean.push(counted);
        counted
    }

    /// 0 before the first size.
    pub(crate) fn get(&self) -> f64 {
        self.mean.get().unwrap_or(0.0)
    }
}

/// Median of the last values.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RunningMedian {
    /// The last values, oldest first.
    recent: std::collections::VecDeque<f64>,
    /// The same in order of size.
    sorted: Vec<f64>,
    window: usize,
}

impl RunningMedian {
    pub(crate) fn new(window: usize) -> Self {
        Self {
            recent: std::collections::VecDeque::with_capacity(window),
            sorted: Vec::with_capacity(window),
            window,
        }
    }

    pub(crate) fn push(&mut self, value: f64) {
        while self.recent.len() >= self.window.max(1) {
            let Some(oldest) = self.recent.pop_front() else { break };
            let position = self.sorted.partition_point(|other| *other < oldest);
            // Out of range only if a saved state was tampered with.
            if position < self.sorted.len() {
                self.sorted.remove(position);
            }
        }
        self.recent.push_back(value);
        self.sorted.insert(self.sorted.partition_point(|other| *other < value), value);
    }

    /// None before the first value.
    pub(crate) fn get(&self) -> Option<f64> {
        let upper = *self.sorted.get(self.sorted.len() / 2)?;
        let lower = self.sorted[(self.sorted.len() - 1) / 2];
        Some(0.5 * lower + 0.5 * upper)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_mean_starts_plain_and_then_forgets() {
        let mut mean = RunningMean::new(4.0);
        assert_eq!(mean.get(), None);
        for value in [2.0, 4.0] {
            mean.push(value);
        }
        assert_eq!(mean.get(), Some(3.0));
        (0..100).for_each(|_| mean.push(7.0));
        assert!((mean.get().unwrap() - 7.0).abs() < 1e-9);
    }

    #[test]
    fn an_outlier_hardly_moves_the_typical_size() {
        let mut size = TypicalSize::new(200.0, 5.0);
        for _ in 0..200 {
            size.push(1.0);
        }
        assert!((size.push(1e9) - 5.0).abs() < 1e-12);
        assert!(size.get() < 1.03);
    }

    #[test]
    fn the_median_is_of_the_last_values_only() {
        let mut median = RunningMedian::new(3);
        assert_eq!(median.get(), None);
        let medians: Vec<f64> = [5.0, 1.0, 9.0, 9.0, 9.0, 2.0]
            .iter()
            .map(|value| {
                median.push(*value);
                median.get().unwrap()
            })
            .collect();
        assert_eq!(medians, [5.0, 3.0, 5.0, 9.0, 9.0, 9.0]);
    }
}
