//! The second opinion on a change that the segmentation found.
//!
//! Student's t-test on the two segments with their sizes reduced to effective ones, for what Sentry and Otava confirm
//! theirs by. Unlike the segmentation it takes variance and autocorrelation from the residuals. Welch's test takes an
//! hour longer to believe in a shift: the newest segment has few effective values, and so few degrees of freedom
//! of its own. Here the shorter side borrows those of the longer, and its own variance counts only when it is larger.
//! Mann and Whitney's test cannot be sure at all of fewer than five effective values, however far they are off.

use std::ops::Range;

use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::noise::correlation_time;

/// Points on either side of a change that tell how the level went right there.
const NEAR: usize = 72;
/// Part of the difference of levels that a sudden change makes at once.
const LEAST_JUMP: f64 = 0.5;

/// The part of a series between two changes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) mean: f64,
    variance: f64,
}

impl Segment {
    fn new(values: &[f64], weights: &[f64], start: usize, end: usize) -> Self {
        let weighted = || values[start..end].iter().zip(&weights[start..end]);
        let total: f64 = weights[start..end].iter().sum();
        let mean = weighted().map(|(value, weight)| value * weight).sum::<f64>() / total;
        let squares: f64 = weighted().map(|(value, weight)| (value - mean).powi(2) * weight).sum();
        Self { start, end, mean, variance: squares / total }
    }

    fn len(&self) -> usize {
        self.end - self.start
    }
}

/// The segments that `starts` cut a series into.
pub(crate) fn segments(values: &[f64], weights: &[f64], starts: &[usize]) -> Vec<Segment> {
    let from = std::iter::once(0).chain(starts.iter().copied());
    let to = starts.iter().copied().chain(std::iter::once(values.len()));
    from.zip(to).map(|(start, end)| Segment::new(values, weights, start, end)).collect()
}

/// How many values one independent one is worth, from what the segments' means leave over.
pub(crate) fn residual_correlation_time(values: &[f64], segments: &[Segment]) -> f64 {
    let residuals: Vec<f64> = segments
        .iter()
        .flat_map(|segment| values[segment.start..segment.end].iter().map(|value| value - segment.mean))
        .collect();
    correlation_time(&residuals)
}

/// How sure it is that two neighbouring segments differ, 0 to 1: one less the probability that noise makes such a
/// difference at any of the `places` where one could have been found (Bonferroni).
pub(crate) fn confidence(
    before: &Segment,
    after: &Segment,
    correlation_time: f64,
    least_variance: f64,
    places: usize,
) -> f64 {
    let effective = |segment: &Segment| (segment.len() as f64 / correlation_time).max(1.0);
    let (count_before, count_after) = (effective(before), effective(after));
    let freedom = count_before + count_after - 2.0;
    if freedom < 1.0 {
        return 0.0;
    }
    let pooled = (before.variance * count_before + after.variance * count_after) / freedom;
    let least = pooled.max(least_variance);
    let variance_of_difference =
        before.variance.max(least) / count_before + after.variance.max(least) / count_after;
    let t = (after.mean - before.mean) / variance_of_difference.sqrt();
    let by_chance = StudentsT::new(0.0, 1.0, freedom).map_or(1.0, |noise| 2.0 * noise.cdf(-t.abs()));
    (1.0 - by_chance * places as f64).clamp(0.0, 1.0)
}

/// Whether a straight line fits two neighbouring segments better than their two means: it is a drift then, which a
/// segmentation by level turns into stairs.
pub(crate) fn is_drift(values: &[f64], weights: &[f64], before: &Segment, after: &Segment) -> bool {
    let line = Line::fit(values, weights, before.start..after.end);
    let left = |segment: &Segment| segment.variance * weights[segment.start..segment.end].iter().sum::<f64>();
    line.squares_left < left(before) + left(after)
}

/// Whether the level jumps less than half as far at a change as it differs from segment to segment: then it went
/// slowly, as a season does. The jump is that between straight lines through the points nearby.
pub(crate) fn is_gradual(values: &[f64], weights: &[f64], before: &Segment, after: &Segment) -> bool {
    let start = after.start;
    let near_before = Line::fit(values, weights, start.saturating_sub(NEAR).max(before.start)..start);
    let near_after = Line::fit(values, weights, start..(start + NEAR).min(after.end));
    let jump = near_after.at(start as f64) - near_before.at(start as f64);
    jump / (after.mean - before.mean) < LEAST_JUMP
}

/// A straight line through a part of a series, by least squares.
struct Line {
    middle: f64,
    mean: f64,
    slope: f64,
    squares_left: f64,
}

impl Line {
    fn fit(values: &[f64], weights: &[f64], part: Range<usize>) -> Self {
        let total: f64 = weights[part.clone()].iter().sum();
        let mean_of = |of: &dyn Fn(usize) -> f64| {
            part.clone().map(|index| of(index) * weights[index]).sum::<f64>() / total
        };
        let mean = mean_of(&|index| values[index]);
        let middle = mean_of(&|index| index as f64);
        let variance = mean_of(&|index| (values[index] - mean).powi(2));
        let covariance = mean_of(&|index| (values[index] - mean) * (index as f64 - middle));
        let slope = covariance / mean_of(&|index| (index as f64 - middle).powi(2));
        Self { middle, mean, slope, squares_left: total * (variance - slope * covariance) }
    }

    fn at(&self, index: f64) -> f64 {
        self.mean + self.slope * (index - self.middle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::pseudo_random;

    /// scipy 1.17.1: `ttest_ind(values, values + 0.4)`; `benches/detect/peers/oracles.py` prints it.
    #[test]
    fn independent_values_of_equal_variance_as_scipy() {
        let mut values = pseudo_random(30, 5);
        values.extend(pseudo_random(30, 5).iter().map(|value| value + 0.4));
        let segments = segments(&values, &[1.0; 60], &[30]);
        let by_chance = 1.0 - confidence(&segments[0], &segments[1], 1.0, 0.0, 1);
        assert!((by_chance - 8.165_701_958_393_556e-7).abs() < 1e-9, "{by_chance}");
        let correlated = 1.0 - confidence(&segments[0], &segments[1], 4.0, 0.0, 1);
        assert!(correlated > 10.0 * by_chance, "{correlated}");
    }

    #[test]
    fn a_line_is_a_drift_and_gradual_and_a_step_is_neither() {
        let noise = pseudo_random(400, 3);
        let line: Vec<f64> =
            noise.iter().enumerate().map(|(index, noise)| noise + 0.02 * index as f64).collect();
        let step: Vec<f64> =
            noise.iter().enumerate().map(|(index, noise)| noise + (index / 200) as f64).collect();
        for (values, expected) in [(line, true), (step, false)] {
            let weights = vec![1.0; values.len()];
            let segments = segments(&values, &weights, &[200]);
            assert_eq!(is_drift(&values, &weights, &segments[0], &segments[1]), expected);
            assert_eq!(is_gradual(&values, &weights, &segments[0], &segments[1]), expected);
        }
    }
}
