//! The scale on which the values of a series are compared.

use serde::{Deserialize, Serialize};

use crate::series::Point;

/// The scale on which the values of a series are compared: the one on which its noise is about the same at each level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scale {
    /// Positive and skewed, noise in proportion to the level: latencies, query times, throughput.
    Log,
    /// A part of a whole from 0 to 1, like an error rate: values are means of `count` times yes or no.
    Ratio,
    /// Anything else, below zero too: percent of a disk, connections.
    Linear,
}

/// What a zero counts as on the log scale, as part of the series' mean.
const LEAST_PART: f64 = 1e-3;

impl Scale {
    /// The values on this scale.
    pub(crate) fn apply(self, points: &[Point]) -> Vec<f64> {
        if self != Self::Log {
            return points.iter().map(|point| point.value).collect();
        }
        let mean = points.iter().map(|point| point.value.max(0.0)).sum::<f64>() / points.len().max(1) as f64;
        let least = (LEAST_PART * mean).max(f64::MIN_POSITIVE);
        points.iter().map(|point| point.value.max(least).ln()).collect()
    }

    /// A figure on this scale in the unit of the series.
    pub(crate) fn invert(self, scaled: f64) -> f64 {
        match self {
            Self::Log => scaled.exp(),
            Self::Ratio => scaled.clamp(0.0, 1.0),
            Self::Linear => scaled,
        }
    }

    /// The least standard deviation that a value can have by chance: of a ratio, the binomial one.
    pub(crate) fn least_spread(self, points: &[Point]) -> f64 {
        if self != Self::Ratio || points.is_empty() {
            return 0.0;
        }
        let total: f64 = points.iter().map(|point| point.count).sum();
        let ratio = points.iter().map(|point| point.value * point.count).sum::<f64>() / total;
        let mean_count = total / points.len() as f64;
        (ratio * (1.0 - ratio) / mean_count).max(0.0).sqrt()
    }
}
