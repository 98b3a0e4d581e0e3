//! How much the mean of a noisy series varies when its noise is autocorrelated.

use crate::robust::{median, rolling_median, spread_about};

/// Points whose median is the level that an outlier is told by.
const WINDOW: usize = 13;
/// Local standard deviations from that level beyond which a value counts as an outlier (Fearnhead and Rigaill 2019
/// bound the cost of a point at three as well).
const MAX_DEVIATION: f64 = 3.0;
/// Lengths of the blocks whose means are compared, in points.
const BLOCKS: [usize; 5] = [1, 4, 8, 16, 32];
/// Differences of blocks that a variance is estimated from at least.
const MIN_DIFFERENCES: usize = 16;

/// The values with outliers drawn in to three local standard deviations of the running median, so that no single point
/// and no burst of up to six weighs more than others. `least_spread` bounds that standard deviation
/// from below.
pub(crate) fn winsorise(values: &[f64], least_spread: f64) -> Vec<f64> {
    let levels = rolling_median(values, WINDOW, false);
    let deviations: Vec<f64> = values.iter().zip(&levels).map(|(value, level)| value - level).collect();
    let bound = MAX_DEVIATION * spread_about(0.0, &deviations).max(least_spread);
    levels.iter().zip(&deviations).map(|(level, deviation)| level + deviation.clamp(-bound, bound)).collect()
}

/// The long-run variance: the variance of the mean of many values times their total weight.
///
/// From the differences of the means of neighbouring blocks, which shifts of level touch in few places and a median
/// therefore ignores; an estimate from residuals would need the change points first (Dette, Eckle and Vetter,
/// "Multiscale change point detection for dependent data", Scandinavian Journal of Statistics 47, 2020). The largest
/// over several lengths of block, since it takes blocks longer than the correlation lasts to see all of it.
pub(crate) fn long_run_variance(values: &[f64], weights: &[f64]) -> f64 {
    BLOCKS.iter().filter_map(|&block| block_variance(values, weights, block)).fold(0.0, f64::max)
}

fn block_variance(values: &[f64], weights: &[f64], block: usize) -> Option<f64> {
    let step = block.div_ceil(2);
    let mut means = Vec::with_capacity(values.len() / step);
    let mut total_weight = 0.0;
    for start in (0..values.len().saturating_sub(block - 1)).step_by(step) {
        let weight: f64 = weights[start..start + block].iter().sum();
        let sum: f64 = values[start..start + block]
            .iter()
            .zip(&weights[start..])
            .map(|(value, weight)| value * weight)
            .sum();
        means.push(sum / weight);
        total_weight += weight;
    }
    let apart = block / step;
    if means.len() < MIN_DIFFERENCES * apart + apart {
        return None;
    }
    let mut differences: Vec<f64> =
        means.iter().zip(&means[apart..]).map(|(before, after)| after - before).collect();
    let centre = median(&mut differences);
    let spread = spread_about(centre, &differences);
    Some(spread.powi(2) / 2.0 * total_weight / means.len() as f64)
}

/// How many values one independent value is worth, from the autocorrelation of residuals: 1 + 2 times the sum of the
/// correlations, up to where a pair of them is no longer positive (Geyer 1992, initial positive sequence).
pub(crate) fn correlation_time(residuals: &[f64]) -> f64 {
    let variance: f64 = residuals.iter().map(|value| value * value).sum();
    if variance <= 0.0 {
        return 1.0;
    }
    let correlation = |lag: usize| {
        residuals.iter().zip(&residuals[lag..]).map(|(here, later)| here * later).sum::<f64>() / variance
    };
    let mut time = -1.0;
    for lag in (0..residuals.len() / 4).step_by(2) {
        let pair = correlation(lag) + correlation(lag + 1);
        if pair <= 0.0 {
            break;
        }
        time += 2.0 * pair;
    }
    time.max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{autocorrelated, pseudo_random};

    /// Each with the long-run variance and correlation time that theory has for an autoregressive series.
    fn noises() -> impl Iterator<Item = (Vec<f64>, f64, f64)> {
        [0.0f64, 0.3, 0.6, 0.8].into_iter().flat_map(|correlation| {
            let variance = 1.0 / 12.0 / (1.0 - correlation).powi(2);
            let time = (1.0 + correlation) / (1.0 - correlation);
            (1..=20).map(move |seed| (autocorrelated(4000, seed * 7919, correlation), variance, time))
        })
    }

    #[test]
    fn the_long_run_variance_is_that_of_theory_with_shifts_and_without() {
        for (mut values, variance, _) in noises() {
            let weights = vec![1.0; values.len()];
            let found = long_run_variance(&values, &weights) / variance;
            assert!((0.5..1.8).contains(&found), "{found}");
            values[700..2000].iter_mut().for_each(|value| *value += 10.0);
            let with_shifts = long_run_variance(&values, &weights) / variance;
            assert!((0.5..1.9).contains(&with_shifts), "{with_shifts}");
        }
    }

    #[test]
    fn the_correlation_time_is_that_of_theory() {
        for (values, _, time) in noises() {
            let found = correlation_time(&values) / time;
            assert!((0.7..1.5).contains(&found), "{found}");
        }
        assert!((correlation_time(&[0.0; 50]) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn outliers_are_drawn_in_and_steps_kept() {
        let mut values = pseudo_random(200, 1);
        values[100..].iter_mut().for_each(|value| *value += 10.0);
        values[50] = 1e6;
        let drawn_in = winsorise(&values, 0.0);
        assert!(drawn_in[50] < 2.0, "{}", drawn_in[50]);
        let is_moved = |(value, drawn_in): &(&f64, &f64)| (*value - *drawn_in).abs() > 0.0;
        assert!(values.iter().zip(&drawn_in).filter(is_moved).count() <= 10);
    }
}
