//! The slow trend of a series, and whether there is one.

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, Normal};

use crate::mann_kendall::{Test, mann_kendall};
use crate::robust::{median, spread_about};
use crate::season::daily_season;
use crate::series::{Point, usable};
use crate::whole::whole;

/// The slow trend of a series.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trend {
    /// How much the series grows per day, in its unit.
    pub per_day: f64,
    /// The lower end of the 95 % interval of that.
    pub per_day_low: f64,
    /// The upper end.
    pub per_day_high: f64,
    /// How probable it is that a series without a trend looks like this.
    pub p_value: f64,
    /// What the trend comes to at the last point, in the unit of the series.
    pub level: f64,
    /// The standard deviation about the trend, of medians of a 200th of the series.
    pub spread: f64,
    /// How long the series is, in seconds.
    pub span: i64,
}

/// Medians that a trend is taken from at most: 20,000 pairs.
const MAX_BUCKETS: usize = 200;
/// And at least: the score of fewer is far from normal.
pub(crate) const MIN_BUCKETS: usize = 8;
/// A trend that chance makes less often than this is one.
const MAX_P_VALUE: f64 = 0.01;
/// Probability that the interval of the slope holds the true one.
const CONFIDENCE: f64 = 0.95;
/// Days that a series has to span before a season is taken out; that of a single day would take the trend along.
const MIN_SEASON_DAYS: i64 = 2;
const DAY_SECONDS: f64 = 86_400.0;

impl Trend {
    /// Whether there is a trend at all.
    pub fn is_significant(&self) -> bool {
        self.p_value < MAX_P_VALUE
    }
}

/// The trend of a series, without its daily season; nothing when it has too few points.
///
/// The slope is the median of the slopes between all pairs (Theil 1950; Sen, "Estimates of the regression coefficient
/// based on Kendall's tau", JASA 63, 1968), which up to 29 % of outliers leave alone, where least squares follow one.
/// Its interval and significance come from Kendall's score with a variance corrected for autocorrelation.
pub fn trend(points: &[Point]) -> Option<Trend> {
    let points = usable(points);
    let times: Vec<i64> = points.iter().map(|point| point.at).collect();
    let mut values: Vec<f64> = points.iter().map(|point| point.value).collect();
    if let Some(season) = daily_season(&times, &values, MIN_SEASON_DAYS) {
        values.iter_mut().zip(season).for_each(|(value, season)| *value -= season);
    }
    trend_of_buckets(&buckets(&times, &values))
}

/// A part of a series: its middle and its median.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    pub(crate) at: i64,
    pub(crate) value: f64,
}

/// The medians of parts of equal duration, of those that have values.
pub(crate) fn buckets(times: &[i64], values: &[f64]) -> Vec<Bucket> {
    let (Some(&first), Some(&last)) = (times.first(), times.last()) else { return Vec::new() };
    let width = i128::from(last).saturating_sub(i128::from(first)) / MAX_BUCKETS as i128 + 1;
    let of = |at: i64| (i128::from(at) - i128::from(first)) / width;
    let mut buckets = Vec::new();
    let mut start = 0;
    for end in 1..=times.len() {
        if end == times.len() || of(times[end]) != of(times[start]) {
            let at = times[start].midpoint(times[end - 1]);
            buckets.push(Bucket { at, value: median(&mut values[start..end].to_vec()) });
            start = end;
        }
    }
    buckets
}

/// The trend through buckets in order of time.
pub(crate) fn trend_of_buckets(buckets: &[Bucket]) -> Option<Trend> {
    if buckets.len() < MIN_BUCKETS {
        return None;
    }
    let last = buckets[buckets.len() - 1].at;
    let days: Vec<f64> =
        buckets.iter().map(|bucket| bucket.at.saturating_sub(last) as f64 / DAY_SECONDS).collect();
    let values: Vec<f64> = buckets.iter().map(|bucket| bucket.value).collect();
    let mut slopes = slopes(&days, &values);
    let per_day = median(&mut slopes);
    let mut detrended: Vec<f64> =
        values.iter().zip(&days).map(|(value, day)| value - per_day * day).collect();
    let test = mann_kendall(&values, &detrended);
    let (per_day_low, per_day_high) = interval(&mut slopes, test);
    let level = median(&mut detrended);
    let spread = spread_about(level, &detrended);
    let span = last.saturating_sub(buckets[0].at);
    Some(Trend { per_day, per_day_low, per_day_high, p_value: test.p_value, level, spread, span })
}

/// The slopes between all pairs.
fn slopes(days: &[f64], values: &[f64]) -> Vec<f64> {
    let mut slopes = Vec::with_capacity(days.len() * (days.len() - 1) / 2);
    for later in 1..days.len() {
        for earlier in 0..later {
            slopes.push((values[later] - values[earlier]) / (days[later] - days[earlier]));
        }
    }
    slopes
}

/// The interval of the slope (Sen 1968): as many slopes from the ends as the score may be off by chance.
fn interval(slopes: &mut [f64], test: Test) -> (f64, f64) {
    let quantile = Normal::standard().inverse_cdf(f64::midpoint(1.0, CONFIDENCE));
    let count = slopes.len() as f64;
    let off = quantile * test.variance.sqrt();
    let from = whole(((count - off) / 2.0).round_ties_even() - 1.0);
    let to = whole(f64::midpoint(count, off).round_ties_even().min(count - 1.0));
    let mut nth = |index: usize| *slopes.select_nth_unstable_by(index, f64::total_cmp).1;
    (nth(from), nth(to))
}
