//! The Mann-Kendall test for a trend.
//!
//! With the variance of Hamed and Rao, "A modified Mann-Kendall trend test for autocorrelated data", Journal of
//! Hydrology 204, 1998: without it, noise with a correlation of 0.5 from value to value passes for a trend several
//! times as often as it should. Chosen over pre-whitening, which takes part of a trend away with the correlation.
//! Their sum over all lags has its own flaw: detrending makes long lags negative, so that at a correlation of 0.8 it
//! finds twice the variance where it is nine times. The correlation time bounds it from below therefore.

use statrs::distribution::{ContinuousCDF, Normal};

use crate::noise::correlation_time;

/// The outcome of the test.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Test {
    /// Of the score, if there is no trend.
    pub(crate) variance: f64,
    /// How probable a score this far from 0 is without a trend.
    pub(crate) p_value: f64,
}

/// Standard errors beyond which an autocorrelation counts: 95 % are within by chance.
const STANDARD_ERRORS: f64 = 1.959_963_984_540_054;

/// Tests values in order of time; `detrended` are the same less the trend.
pub(crate) fn mann_kendall(values: &[f64], detrended: &[f64]) -> Test {
    let score = score(values);
    let variance = variance(values) * variance_factor(detrended);
    // A step towards 0, since the score goes in steps of two.
    let z = (score.abs() - 1.0).max(0.0) / variance.sqrt();
    let p_value = if variance > 0.0 { 2.0 * Normal::standard().cdf(-z) } else { 1.0 };
    Test { variance, p_value }
}

/// How many more pairs rise than fall.
fn score(values: &[f64]) -> f64 {
    let mut score = 0i64;
    for (index, later) in values.iter().enumerate() {
        for earlier in &values[..index] {
            score += i64::from(later > earlier) - i64::from(later < earlier);
        }
    }
    score as f64
}

/// The variance of the score of independent values, some of which may be the same.
fn variance(values: &[f64]) -> f64 {
    let of = |count: f64| count * (count - 1.0) * (2.0 * count + 5.0);
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    // Sorted, a value that is not below the next is the same.
    let tied: f64 = sorted.chunk_by(|one, other| one >= other).map(|same| of(same.len() as f64)).sum();
    (of(values.len() as f64) - tied) / 18.0
}

/// By how much autocorrelation makes the variance greater, from the ranks of the detrended values.
fn variance_factor(detrended: &[f64]) -> f64 {
    let deviations = standardised(&ranks(detrended));
    let is_correlated = correlation(&deviations, 1) > significant(deviations.len());
    let least = if is_correlated { correlation_time(&deviations) } else { 1.0 };
    hamed_rao_factor(&deviations).max(least)
}

/// The deviations from the mean, with a sum of squares of 1; 0 when all values are the same.
fn standardised(values: &[f64]) -> Vec<f64> {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let length = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>().sqrt();
    values.iter().map(|value| if length > 0.0 { (value - mean) / length } else { 0.0 }).collect()
}

/// The factor of Hamed and Rao: from all significant autocorrelations of the ranks.
fn hamed_rao_factor(deviations: &[f64]) -> f64 {
    let count = deviations.len() as f64;
    let term = |lag: usize| {
        let correlation = correlation(deviations, lag);
        let pairs = count - lag as f64;
        let is_significant = correlation.abs() > significant(deviations.len());
        if is_significant { pairs * (pairs - 1.0) * (pairs - 2.0) * correlation } else { 0.0 }
    };
    1.0 + 2.0 / (count * (count - 1.0) * (count - 2.0)) * (1..deviations.len()).map(term).sum::<f64>()
}

/// The autocorrelation at a lag, of standardised values.
fn correlation(deviations: &[f64], lag: usize) -> f64 {
    deviations.iter().zip(&deviations[lag..]).map(|(here, later)| here * later).sum()
}

/// What autocorrelations of independent values stay below.
fn significant(count: usize) -> f64 {
    STANDARD_ERRORS / (count as f64).sqrt()
}

/// The ranks from 1; of values that are the same, the mean of theirs.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&one, &other| values[one].total_cmp(&values[other]));
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0;
    for same in order.chunk_by(|&one, &other| values[one] >= values[other]) {
        let rank = before as f64 + f64::midpoint(same.len() as f64, 1.0);
        for &index in same {
            ranks[index] = rank;
        }
        before += same.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::autocorrelated;

    /// pymannkendall 1.4.3: `hamed_rao_modification_test` has a variance of 391765.31388204533, `original_test` one of
    /// 194366.66666666666 and both a slope of 0.009087761709165136; `benches/detect/peers/oracles.py` prints them.
    #[test]
    fn the_factor_as_pymannkendall() {
        let noise = autocorrelated(120, 7, 0.8).into_iter().enumerate();
        let values: Vec<f64> = noise.map(|(index, value)| value + 0.01 * index as f64).collect();
        let detrended =
            values.iter().enumerate().map(|(index, value)| value - 0.009_087_761_709_165_136 * index as f64);
        let deviations = standardised(&ranks(&detrended.collect::<Vec<_>>()));
        assert!((variance(&values) - 194_366.666_666_666_66).abs() < 1e-6);
        assert!((variance(&values) * hamed_rao_factor(&deviations) - 391_765.313_882_045_33).abs() < 1e-4);
    }
}
