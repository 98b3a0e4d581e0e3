//! What a series is made of, and its reduction to what can be computed with.

use serde::{Deserialize, Serialize};

/// One figure of a series.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// When, in unix seconds.
    pub at: i64,
    /// How much, in the unit of the series.
    pub value: f64,
    /// How many observations (requests, samples) the value is made of; 1 when nobody knows.
    pub count: f64,
}

/// Largest magnitude that is computed with: its square is finite, and sums of squares stay so.
const MAX_MAGNITUDE: f64 = 1e140;

/// The points that can be computed with, by time: finite values, made of at least something.
pub(crate) fn usable(points: &[Point]) -> Vec<Point> {
    let is_usable =
        |point: &&Point| point.value.abs() <= MAX_MAGNITUDE && point.count.is_finite() && point.count > 0.0;
    let mut usable: Vec<Point> = points.iter().filter(is_usable).copied().collect();
    if !usable.is_sorted_by_key(|point| point.at) {
        usable.sort_by_key(|point| point.at);
    }
    usable
}
