//! How rare a deviation is, judged by the deviations of the same kind seen before.
//!
//! The largest deviations of the past follow a generalised Pareto distribution whatever the bulk looks like
//! (J. Pickands, "Statistical inference using extreme order statistics", Annals of Statistics 3, 1975). Siffer et
//! al., "Anomaly detection in streams with extreme value theory", KDD 2017 (SPOT), alert on its tail probability;
//! so does this, because such probabilities mean the same for any unit, shape and noise, which fixed multiples of a
//! standard deviation do not. Differences from SPOT: the past is forgotten slowly, its excesses are kept as counts
//! in logarithmic bins (bounded memory, and no history to sort), the fit is by moments (J. R. M. Hosking and J. R.
//! Wallis, "Parameter and quantile estimation for the generalized Pareto distribution", Technometrics 29, 1987),
//! which needs no iteration, and a deviation no larger than one remembered is never rarer than its empirical
//! frequency, as in conformal prediction. That last rule keeps regular spikes silent after the first ones.

use serde::{Deserialize, Deserializer, Serialize};

use crate::whole::whole;

/// Bins of the histogram.
const BINS: usize = 160;
/// The bin which the first deviation falls into.
const FIRST_BIN: f64 = (BINS / 2) as f64;
/// Upper over lower bound of a bin. All bins together span a factor of 75 million, half of it above the first.
const BIN_RATIO: f64 = 1.12;
/// The histogram moves up by at most this many bins (a factor of 15) for one deviation, so that a single absurd
/// value cannot push the whole past out of range.
const MAX_SHIFT: usize = 24;
/// Points after which a deviation counts for 1/e. 5,000 points are 17 days of five-minute values: long enough for
/// tail probabilities of 1e-4, short enough to follow a change of regime.
const MEMORY: f64 = 5_000.0;
/// The tail starts at the quantile above which this share of all points lies …
const TAIL_SHARE: f64 = 0.004;
/// … but has at least this many points: below that the two moments say nothing.
const MIN_TAIL: f64 = 8.0;
/// Shape before anything is known: a tail slightly heavier than exponential …
const PRIOR_SHAPE: f64 = 0.2;
/// … believed like this many points.
const PRIOR_POINTS: f64 = 5.0;
/// Bounds of the shape: moments cannot see beyond 0.5, and a bounded tail (below zero) would make everything past
/// its end impossible.
const SHAPES: (f64, f64) = (0.01, 0.5);
/// A past deviation counts as being as large as this one from this fraction of it: "the same again" is no news.
const SAME: f64 = 1.0 / 1.1;
/// No extrapolation beyond the square of the evidence: from n points at most to a probability of about n⁻².
const MAX_EXTRAPOLATION: f64 = 2.0;
/// Weights are scaled back when a new point weighs this much.
const MAX_WEIGHT: f64 = 1e6;
/// Points for which a known lower bound of the tail is trusted to skip the search.
const BOUND_LIFE: u32 = 32;

/// The distribution of one kind of deviation, in one direction.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Tail {
    /// Weight of the deviations in each bin.
    #[serde(deserialize_with = "exactly_bins")]
    bins: Vec<f32>,
    /// Lower bound of the bin `FIRST_BIN`; zero before the first deviation.
    scale: f64,
    /// Weight of all points, with and without a deviation.
    total: f64,
    /// Weight of the next point. It grows instead of all others shrinking.
    weight: f64,
    /// Points before anything is said.
    min_points: f64,
    /// Deviations up to this are in no tail …
    bound: f64,
    /// … as found this many points ago.
    bound_age: u32,
}

/// A saved state of any length is cut or filled up: indexing must never panic.
fn exactly_bins<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f32>, D::Error> {
    let mut bins = Vec::deserialize(deserializer)?;
    bins.resize(BINS, 0.0);
    Ok(bins)
}

impl Tail {
    pub(crate) fn new(min_points: f64) -> Self {
        Self {
            bins: vec![0.0; BINS],
            scale: 0.0,
            total: 0.0,
            weight: 1.0,
            min_points,
            bound: 0.0,
            bound_age: BOUND_LIFE,
        }
    }

    /// `-log10` of the probability of a deviation of at least `size`; 0 for what is no deviation. Remembers it.
    pub(crate) fn push(&mut self, size: f64) -> f64 {
        let surprise = self.surprise(size);
        self.add(size);
        surprise
    }

    fn surprise(&mut self, size: f64) -> f64 {
        if size <= 0.0 || self.total < self.min_points * self.weight {
            return 0.0;
        }
        self.bound_age = self.bound_age.saturating_add(1);
        if self.bound_age < BOUND_LIFE && size <= self.bound {
            return 0.0;
        }
        let points = self.total / self.weight;
        if self.scale <= 0.0 {
            // The first deviation ever: its size cannot be compared with anything.
            return 1.5 * (points + 1.0).log10();
        }
        // All sizes are in units of `scale` from here on, so that no square overflows.
        let size = size / self.scale;
        let found = self.search(size, points);
        self.bound = found.start * self.scale;
        self.bound_age = 0;
        let most = MAX_EXTRAPOLATION * (points + 1.0).log10();
        let fitted = found.surprise(size, points).min(most);
        let empirical = ((points + 1.0) / (found.as_large + 0.5)).log10();
        // Less than half a point as large: no precedent. In between, the precedent counts in proportion.
        let precedent = (2.0 * found.as_large).min(1.0);
        fitted + precedent * (fitted.min(empirical) - fitted)
    }

    /// Walks down from the largest deviation to where the tail starts, and to what is as large as `size`.
    fn search(&self, size: f64, points: f64) -> Excesses {
        let enough = (TAIL_SHARE * points).max(MIN_TAIL);
        let step = BIN_RATIO.ln();
        let mut upper = (FIRST_BIN * step).exp();
        let same = size * SAME;
        let mut tail: Option<Excesses> = None;
        let mut sums = Excesses::default();
        for bin in self.bins.iter().rev() {
            let lower = upper / BIN_RATIO;
            let count = f64::from(*bin) / self.weight;
            if count > 0.0 {
                let middle = (lower * upper).sqrt();
                sums.count += count;
                sums.sum += count * middle;
                sums.squares += count * middle * middle;
                if upper > same {
                    sums.as_large += count * ((upper / same).ln() / step).min(1.0);
                }
            }
            sums.start = lower;
            if tail.is_none() && sums.count >= enough {
                tail = Some(sums);
            }
            if tail.is_some() && lower <= same {
                break;
            }
            upper = lower;
        }
        Excesses { as_large: sums.as_large, ..tail.unwrap_or(sums) }
    }

    fn add(&mut self, size: f64) {
        self.weight /= 1.0 - 1.0 / MEMORY;
        self.total += self.weight;
        if size > 0.0 {
            if self.scale <= 0.0 {
                self.scale = size;
            }
            let mut bin = (size / self.scale).ln() / BIN_RATIO.ln() + FIRST_BIN;
            if bin >= BINS as f64 {
                self.shift(whole(bin - BINS as f64).saturating_add(1).min(MAX_SHIFT));
                bin = BINS as f64 - 1.0;
            }
            // Below the first bin, and not a number when a denormal overflowed: the smallest there are.
            self.bins[whole(bin)] += single(self.weight);
        }
        if self.weight > MAX_WEIGHT {
            let weight = single(self.weight);
            self.bins.iter_mut().for_each(|bin| *bin /= weight);
            self.total /= self.weight;
            self.weight = 1.0;
        }
    }

    /// Moves the range up; what falls out below is kept in the lowest bin.
    fn shift(&mut self, by: usize) {
        let below: f32 = self.bins[..by].iter().sum();
        self.bins.rotate_left(by);
        self.bins[BINS - by..].fill(0.0);
        self.bins[0] += below;
        self.scale = (self.scale * BIN_RATIO.powi(i32::try_from(by).unwrap_or(i32::MAX))).min(f64::MAX);
    }
}

/// Half the memory, and digits enough for counts.
#[expect(clippy::cast_possible_truncation, reason = "weights are bounded by `MAX_WEIGHT`")]
fn single(weight: f64) -> f32 {
    weight as f32
}

/// The largest deviations, in units of the scale.
#[derive(Clone, Copy, Default)]
struct Excesses {
    /// Where the tail starts.
    start: f64,
    count: f64,
    sum: f64,
    squares: f64,
    /// How many of all deviations were as large as the one in question.
    as_large: f64,
}

impl Excesses {
    /// `-log10` of the tail probability of `size` by a generalised Pareto distribution fitted by moments.
    fn surprise(&self, size: f64, points: f64) -> f64 {
        if size <= self.start || self.count <= 0.0 {
            return 0.0;
        }
        let average = self.sum / self.count;
        let mean = (average - self.start).max(1e-9 * self.start);
        let variance = (self.squares / self.count - average * average).max(1e-6 * mean * mean);
        let by_moments = (0.5 * (1.0 - mean * mean / variance)).clamp(-SHAPES.1, SHAPES.1);
        let shape = ((PRIOR_POINTS * PRIOR_SHAPE + self.count * by_moments) / (PRIOR_POINTS + self.count))
            .max(SHAPES.0);
        let excess = (size - self.start) / (mean * (1.0 - shape));
        let conditional = (shape * excess).ln_1p() / shape / std::f64::consts::LN_10;
        conditional - ((self.count + 0.5) / (points + 1.0)).log10()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Exponentially distributed sizes without randomness: quantiles in a scrambled order.
    fn exponential(i: usize) -> f64 {
        -(1.0 - ((i * 617) % 1_000) as f64 / 1_000.0 - 0.0005).ln()
    }

    #[test]
    fn an_exponential_tail_has_its_probability() {
        let mut tail = Tail::new(50.0);
        // Enough points for the weights to be scaled back in between.
        (0..100_000).for_each(|i| tail.add(exponential(i)));
        let surprise = tail.surprise(10.0_f64.ln() * 6.0);
        assert!((4.5..7.0).contains(&surprise), "{surprise}");
    }

    #[test]
    fn the_same_again_is_no_rarer_than_it_was() {
        let mut tail = Tail::new(50.0);
        for i in 0..4_000 {
            tail.push(if i % 400 == 399 { 1_000.0 } else { exponential(i) });
        }
        assert!(tail.surprise(1_010.0) < 3.0);
        assert!(tail.surprise(4_000.0) > 3.0);
    }

    #[test]
    fn the_unit_does_not_matter() {
        let (mut small, mut large) = (Tail::new(50.0), Tail::new(50.0));
        for i in 0..2_000 {
            let (a, b) = (small.push(exponential(i)), large.push(exponential(i) * 1e9));
            assert!((a - b).abs() < 1e-6, "{a} {b}");
        }
    }

    #[test]
    fn sizes_at_the_limits_of_f64_are_survived() {
        let mut tail = Tail::new(50.0);
        for i in 0..500 {
            for size in &[5e-324, 1e300, f64::MAX, 1.0, 0.0, -1.0, f64::MIN_POSITIVE][i % 7..] {
                assert!(tail.push(*size).is_finite());
            }
        }
    }
}
