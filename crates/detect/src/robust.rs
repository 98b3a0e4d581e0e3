//! Medians and spreads that outliers do not move.

/// Makes the median absolute deviation of normal values their standard deviation.
const MAD_TO_STDDEV: f64 = 1.4826;
/// The same for the mean absolute deviation: sqrt(pi / 2).
const MEAN_DEVIATION_TO_STDDEV: f64 = 1.2533;

/// The median, or 0 of nothing. Reorders the values.
pub fn median(values: &mut [f64]) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    let middle = values.len() / 2;
    let odd = values.len() % 2 == 1;
    let (below, &mut upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    if odd {
        return upper;
    }
    let lower = below.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    f64::midpoint(lower, upper)
}

/// The standard deviation about `centre` that normal values with these deviations would have: from the median
/// absolute deviation, or from the mean one when more than half of the values are the same.
pub(crate) fn spread_about(centre: f64, values: &[f64]) -> f64 {
    let mut deviations: Vec<f64> = values.iter().map(|value| (value - centre).abs()).collect();
    let by_median = MAD_TO_STDDEV * median(&mut deviations);
    if by_median > 0.0 || values.is_empty() {
        return by_median;
    }
    MEAN_DEVIATION_TO_STDDEV * deviations.iter().sum::<f64>() / deviations.len() as f64
}

/// The median of the `window` values around each; at the ends, the window keeps its size when `keep_size` is set and
/// is cut off otherwise.
pub(crate) fn rolling_median(values: &[f64], window: usize, keep_size: bool) -> Vec<f64> {
    let length = values.len();
    let before = window / 2;
    let after = window - before;
    let mut sorted: Vec<f64> = Vec::with_capacity(window + 1);
    let (mut start, mut end) = (0, 0);
    let mut medians = Vec::with_capacity(length);
    for index in 0..length {
        let (mut from, mut to) = (index.saturating_sub(before), (index + after).min(length));
        if keep_size {
            from = from.min(length.saturating_sub(window));
            to = to.max(window.min(length));
        }
        while end < to {
            let place = sorted.partition_point(|&value| value < values[end]);
            sorted.insert(place, values[end]);
            end += 1;
        }
        while start < from {
            let place = sorted.partition_point(|&value| value < values[start]);
            sorted.remove(place);
            start += 1;
        }
        let middle = sorted.len() / 2;
        medians.push(if sorted.len() % 2 == 1 {
            sorted[middle]
        } else {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        });
    }
    medians
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::pseudo_random;

    #[test]
    fn medians_of_odd_even_and_no_counts() {
        for (values, expected) in [(vec![3.0, 1.0, 2.0], 2.0), (vec![4.0, 1.0, 2.0, 3.0], 2.5), (vec![], 0.0)]
        {
            assert!((median(&mut values.clone()) - expected).abs() < 1e-12, "{values:?}");
        }
    }

    #[test]
    fn the_spread_of_normal_values_is_their_standard_deviation_and_that_of_mostly_zeros_is_not_0() {
        // Evenly distributed over 1: the median absolute deviation is 1/4.
        assert!((spread_about(0.0, &pseudo_random(10_000, 1)) - 1.4826 / 4.0).abs() < 0.01);
        assert!(spread_about(0.0, &[0.0, 0.0, 0.0, 1.0]) > 0.0);
        assert!(spread_about(0.0, &[]).abs() < f64::EPSILON);
    }

    #[test]
    fn rolling_medians_are_medians_of_the_window() {
        let values = pseudo_random(60, 4);
        for (index, rolling) in rolling_median(&values, 13, false).into_iter().enumerate() {
            let window = index.saturating_sub(6)..(index + 7).min(60);
            assert!((rolling - median(&mut values[window].to_vec())).abs() < 1e-12, "{index}");
        }
        for (index, rolling) in rolling_median(&values, 13, true).into_iter().enumerate() {
            let start = index.saturating_sub(6).min(60 - 13);
            assert!((rolling - median(&mut values[start..start + 13].to_vec())).abs() < 1e-12, "{index}");
        }
    }
}
