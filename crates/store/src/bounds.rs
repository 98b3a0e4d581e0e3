//! Bounds of figures that come from outside: what the arithmetic behind them bears. Squares are added up over billions of
//! rows, so a figure that is finite is not small enough.

use crate::sketch::MAX_MS;

/// The longest time in ms that is kept: three years. What is longer counts as this.
pub const MAX_TIME_MS: f64 = MAX_MS;
/// The shortest one above zero: a nanosecond. The square of what is shorter may not be representable.
const MIN_TIME_MS: f64 = 1e-6;
/// The largest number of queries, hits and misses of one request.
pub const MAX_COUNT: i32 = 1_000_000_000;

/// A time as it is stored.
pub(crate) fn time_ms(ms: f64) -> f64 {
    if ms >= MIN_TIME_MS { ms.min(MAX_TIME_MS) } else { 0.0 }
}

/// A count as it is stored.
pub(crate) fn count(count: i32) -> i32 {
    count.clamp(0, MAX_COUNT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_bounded() {
        for (ms, stored) in [
            (12.5, 12.5),
            (0.0, 0.0),
            (-1.0, 0.0),
            (1e-170, 0.0),
            (1e200, MAX_TIME_MS),
            (f64::INFINITY, MAX_TIME_MS),
            (f64::NAN, 0.0),
        ] {
            assert!((time_ms(ms) - stored).abs() < f64::EPSILON, "{ms}");
        }
        assert_eq!([-5, 7, i32::MAX].map(count), [0, 7, MAX_COUNT]);
    }
}
