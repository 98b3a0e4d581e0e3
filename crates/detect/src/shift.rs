//! Whether the mean of a figure has shifted from one window to the next.
//!
//! Welch's t-test (B. L. Welch, "The generalization of 'Student's' problem when several different population variances
//! are involved", Biometrika 34, 1947) on counts, means and standard deviations, which a database computes over any
//! number of rows. Response times are skewed, but windows have many of them, so that the means are nearly normal.

/// A figure over one window.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// How many values.
    pub count: u64,
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation.
    pub stddev: f64,
}

/// A shift of the mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shift {
    /// How much, in percent of the mean before; above zero when it grew.
    pub change_percent: f64,
    /// How sure: the difference of the means in units of its standard error.
    pub score: f64,
}

/// Values that each window has to have before anything is said.
const MIN_COUNT: u64 = 5;
/// About one false finding in 16,000 comparisons, if windows were alike.
const MIN_SCORE: f64 = 4.0;

/// The shift from `before` to `after`, when it is at least `min_change_percent` and no play of chance.
pub fn shift(before: Sample, after: Sample, min_change_percent: f64) -> Option<Shift> {
    if before.count < MIN_COUNT || after.count < MIN_COUNT || before.mean <= 0.0 {
        return None;
    }
    let difference = after.mean - before.mean;
    let change_percent = 100.0 * difference / before.mean;
    let variance_of_mean = |sample: Sample| sample.stddev.powi(2) / sample.count as f64;
    let standard_error = (variance_of_mean(before) + variance_of_mean(after)).sqrt();
    // Two windows of constant values differ for certain; a score has to be a number all the same.
    let score = difference.abs() / standard_error.max(before.mean * 1e-6);
    (change_percent.abs() >= min_change_percent && score >= MIN_SCORE)
        .then_some(Shift { change_percent, score })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(count: u64, mean: f64, stddev: f64) -> Sample {
        Sample { count, mean, stddev }
    }

    #[test]
    fn a_clear_shift_is_found_in_both_directions() {
        let worse = shift(sample(1000, 100.0, 40.0), sample(1000, 150.0, 60.0), 20.0).unwrap();
        assert!((worse.change_percent - 50.0).abs() < 1e-9);
        // (150 - 100) / sqrt(1600/1000 + 3600/1000)
        assert!((worse.score - 21.926).abs() < 1e-3, "{worse:?}");
        let better = shift(sample(1000, 150.0, 60.0), sample(1000, 100.0, 40.0), 20.0).unwrap();
        assert!((better.change_percent + 100.0 / 3.0).abs() < 1e-9);
    }

    #[test]
    fn chance_small_changes_and_few_values_say_nothing() {
        for (before, after) in [
            (sample(10, 100.0, 90.0), sample(10, 150.0, 90.0)),
            (sample(100_000, 100.0, 10.0), sample(100_000, 110.0, 10.0)),
            (sample(4, 100.0, 1.0), sample(1000, 200.0, 1.0)),
            (sample(1000, 0.0, 0.0), sample(1000, 5.0, 1.0)),
        ] {
            assert_eq!(shift(before, after, 20.0), None, "{before:?} {after:?}");
        }
    }

    #[test]
    fn constant_values_have_a_finite_score() {
        let found = shift(sample(9, 50.0, 0.0), sample(9, 100.0, 0.0), 20.0).unwrap();
        assert!(found.score.is_finite());
    }
}
