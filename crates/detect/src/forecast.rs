//! When a resource will meet its limit.

use serde::{Deserialize, Serialize};

use crate::robust::{median, spread_about};
use crate::series::{Point, usable};
use crate::trend::{Bucket, MIN_BUCKETS, Trend, buckets, trend_of_buckets};
use crate::whole::whole_seconds;

/// When a series will meet a limit, in seconds from its last point.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// As the trend goes.
    pub seconds: i64,
    /// With the steepest slope and the highest noise that are likely (95 % each).
    pub earliest: i64,
    /// With the least steep one and the lowest noise.
    pub latest: i64,
    /// The trend that is continued.
    pub trend: Trend,
}

/// A trend is continued for this many times as long as it has been seen.
const MAX_EXTRAPOLATION: f64 = 10.0;
/// Standard deviations that noise is likely to stay within.
const NOISE: f64 = 2.0;
/// Spreads of the steps from bucket to bucket beyond which one is a jump.
const JUMP_SPREADS: f64 = 8.0;
/// Part of the range of a series that a jump takes at least.
const JUMP_PART: f64 = 0.2;
/// A climb that takes this many times as long as all before it follows another course than they did.
const OUTLASTS: usize = 2;
/// As one does that goes beyond the range of all before it by this part.
const EXCEEDS_PART: f64 = 0.1;

/// When a series meets a limit above or below it; nothing when it has no significant trend, one that points away, or
/// one so slow that it would have to be continued for ten times as long as it has been seen.
///
/// A straight line through the present climb. Series that are emptied again and again (rotated logs) are judged by
/// the turning points of their cycles, so that a climb that always ends in time foretells nothing. Exponential
/// smoothing or ARIMA would follow the last hours instead, and say a limit that no cycle comes near.
pub fn time_until(points: &[Point], limit: f64) -> Option<Forecast> {
    if !limit.is_finite() {
        return None;
    }
    let points = usable(points);
    let times: Vec<i64> = points.iter().map(|point| point.at).collect();
    let values: Vec<f64> = points.iter().map(|point| point.value).collect();
    let buckets = buckets(&times, &values);
    let is_above = limit > buckets.last()?.value;
    let cycles = cycles(&buckets);
    let (present, earlier) = cycles.split_last()?;
    let course = if outlasts(present, earlier) || exceeds(present, earlier, is_above) {
        present.to_vec()
    } else {
        turning_points(&points, &cycles, is_above)
    };
    let trend = trend_of_buckets(&course)?;
    let behind = times[times.len() - 1].saturating_sub(course[course.len() - 1].at);
    // Down to a limit below is up with the signs turned.
    let sign = if is_above { 1.0 } else { -1.0 };
    forecast(trend, sign, sign * (limit - trend.level), behind)
}

/// The forecast from a trend whose level, `behind` seconds ago, was `missing` short of the limit in the direction of
/// `sign`.
fn forecast(trend: Trend, sign: f64, missing: f64, behind: i64) -> Option<Forecast> {
    let slopes = [trend.per_day_low, trend.per_day_high].map(|slope| sign * slope);
    let (least, most) = (slopes[0].min(slopes[1]), slopes[0].max(slopes[1]));
    if !trend.is_significant() || least <= 0.0 {
        return None;
    }
    let noise = NOISE * trend.spread;
    let seconds = |missing: f64, per_day: f64| {
        let days = missing.max(0.0) / per_day;
        whole_seconds(days * 86_400.0).saturating_sub(behind).max(0)
    };
    let expected = seconds(missing, sign * trend.per_day);
    (expected as f64 <= MAX_EXTRAPOLATION * trend.span as f64).then(|| Forecast {
        seconds: expected,
        earliest: seconds(missing - noise, most),
        latest: seconds(missing + noise, least),
        trend,
    })
}

/// The highest points of cycles, or the lowest; the present cycle has not come to its own.
fn turning_points(points: &[Point], cycles: &[&[Bucket]], is_above: bool) -> Vec<Bucket> {
    let index = |at: i64| points.partition_point(|point| point.at < at);
    let turning_point = |pair: &[&[Bucket]]| {
        // A single outlier is no turning point: of two neighbours, the one that is nearer counts.
        let held = points[index(pair[0][0].at)..index(pair[1][0].at)].windows(2).map(|two| Bucket {
            at: two[1].at,
            value: if is_above { two[0].value.min(two[1].value) } else { two[0].value.max(two[1].value) },
        });
        let by_value = |one: &Bucket, other: &Bucket| one.value.total_cmp(&other.value);
        if is_above { held.max_by(by_value) } else { held.min_by(by_value) }
    };
    cycles.windows(2).filter_map(turning_point).collect()
}

/// The parts between jumps.
fn cycles(buckets: &[Bucket]) -> Vec<&[Bucket]> {
    let mut steps: Vec<f64> = buckets.windows(2).map(|pair| pair[1].value - pair[0].value).collect();
    let usual = median(&mut steps);
    let spread = spread_about(usual, &steps);
    let bound = (JUMP_SPREADS * spread).max(JUMP_PART * range(buckets));
    let is_jump = |one: &Bucket, next: &Bucket| (next.value - one.value - usual).abs() > bound;
    // A jump in the midst of a bucket leaves it on its own: it belongs to neither side.
    let parts = buckets.chunk_by(|one, next| !is_jump(one, next));
    parts.filter(|part| part.len() > 1).collect()
}

/// How far apart the highest and the lowest are.
fn range(buckets: &[Bucket]) -> f64 {
    let values = || buckets.iter().map(|bucket| bucket.value);
    values().fold(f64::NEG_INFINITY, f64::max) - values().fold(f64::INFINITY, f64::min)
}

/// Whether the present climb is far longer than any earlier one, or the only one.
fn outlasts(present: &[Bucket], earlier: &[&[Bucket]]) -> bool {
    earlier.iter().all(|cycle| present.len() >= OUTLASTS * cycle.len())
}

/// Whether the present climb has gone far beyond where the earlier ones ended.
fn exceeds(present: &[Bucket], earlier: &[&[Bucket]], is_above: bool) -> bool {
    let sign = if is_above { 1.0 } else { -1.0 };
    let farthest = |cycle: &[Bucket]| cycle.iter().map(|bucket| sign * bucket.value).fold(f64::MIN, f64::max);
    let before = earlier.iter().map(|cycle| farthest(cycle)).fold(f64::MIN, f64::max);
    present.len() >= MIN_BUCKETS && farthest(present) > before + EXCEEDS_PART * range(&earlier.concat())
}
