//! How each figure is compared, which way is bad, and what a change of it costs users.

use dogwatch_alerting::Metric;
use dogwatch_detect::{ChangeSettings, Direction, Scale};
use dogwatch_store::TrendDirection;

/// What a failed request costs a user, in seconds: to see the error, and to try again.
const FAILURE_S: f64 = 10.0;
const PERCENT: f64 = 100.0;

/// What counts as a change of it. What is smaller than `min_percent` is none.
pub(super) fn change_settings(metric: Metric, min_percent: f64) -> ChangeSettings {
    let (scale, min_absolute) = match metric {
        Metric::ErrorRate => (Scale::Ratio, 0.01),
        Metric::ResponseTimeMs | Metric::QueryTimeMs => (Scale::Log, 5.0),
        Metric::RequestRate => (Scale::Log, 1.0),
        // Percent of a machine.
        _ => (Scale::Linear, 5.0),
    };
    ChangeSettings { scale, min_percent, min_absolute }
}

/// What it is when the figure goes this way; nothing where that is neither good nor bad.
pub(super) fn direction(metric: Metric, direction: Direction) -> Option<TrendDirection> {
    match (metric, direction) {
        (Metric::RequestRate, Direction::Up) => None,
        (Metric::RequestRate, Direction::Down) | (_, Direction::Up) => Some(TrendDirection::Worse),
        (_, Direction::Down) => Some(TrendDirection::Better),
    }
}

/// Which way a difference goes.
pub(super) fn direction_of(difference: f64) -> Direction {
    if difference > 0.0 { Direction::Up } else { Direction::Down }
}

/// As people read it. Series of ratios are kept from 0 to 1.
pub(super) fn in_unit(metric: Metric, figure: f64) -> f64 {
    if metric == Metric::ErrorRate { PERCENT * figure } else { figure }
}

/// Seconds that users lose in an hour in which so many requests are made, when the figure changes by this much. Of times it
/// is the most that it can be: the p95 is taken for all requests.
pub(super) fn effect_s(metric: Metric, change: f64, per_hour: f64) -> f64 {
    match metric {
        Metric::ResponseTimeMs | Metric::QueryTimeMs => change / 1e3 * per_hour,
        Metric::ErrorRate => change * per_hour * FAILURE_S,
        _ => 0.0,
    }
}

/// The limit that a figure must not meet.
pub(super) fn limit(metric: Metric) -> Option<f64> {
    matches!(metric, Metric::DiskPercent | Metric::MemoryPercent).then_some(PERCENT)
}
