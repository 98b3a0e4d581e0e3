//! Series for tests.

use dogwatch_detect::Point;

pub(crate) use crate::noise::{autocorrelated, pseudo_random};

/// Seconds between two points.
pub(crate) const STEP: i64 = 300;
/// Points of a day.
pub(crate) const PER_DAY: usize = 288;

/// A series of values at steps of five minutes.
pub(crate) fn series(values: impl IntoIterator<Item = f64>) -> Vec<Point> {
    let times = (0..).map(|index| 1_767_571_200 + STEP * index);
    times.zip(values).map(|(at, value)| Point { at, value, count: 1.0 }).collect()
}

/// Latencies about 100 with autocorrelated noise of some 10 %, a daily season and a few outliers.
pub(crate) fn latencies(days: usize, seed: u64) -> Vec<f64> {
    let noise = autocorrelated(days * PER_DAY, seed, 0.6);
    let outlier = pseudo_random(days * PER_DAY, seed + 1_000_000);
    let value = |(index, (noise, outlier)): (usize, (f64, f64))| {
        let season = (std::f64::consts::TAU * index as f64 / PER_DAY as f64).sin();
        let factor = if outlier > 0.495 { 8.0 } else { 1.0 };
        100.0 * (0.3 * noise + 0.25 * season).exp() * factor
    };
    noise.into_iter().zip(outlier).enumerate().map(value).collect()
}
