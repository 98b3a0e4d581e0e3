//! Lasting shifts of the level of a series.

use serde::{Deserialize, Serialize};

use crate::levels::{Joint, Prepared};
use crate::scale::Scale;
use crate::series::{Point, usable};
use crate::whole::whole;

/// What counts as a change of a series.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChangeSettings {
    /// The scale on which its values are compared.
    pub scale: Scale,
    /// Least size in percent of the level before.
    pub min_percent: f64,
    /// Least size in the unit of the series.
    pub min_absolute: f64,
}

/// Which way a level went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Direction {
    /// To higher values.
    Up,
    /// To lower values.
    Down,
}

/// A lasting shift of the level of a series.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChangePoint {
    /// The first point of the new level, in unix seconds.
    pub at: i64,
    /// The change came no earlier than this, with a probability of about 97.5 %.
    pub earliest: i64,
    /// The change came no later than this, with a probability of about 97.5 %.
    pub latest: i64,
    /// The level before, in the unit of the series, without the daily season: the geometric mean on the log scale.
    pub before: f64,
    /// The level after.
    pub after: f64,
    /// How much higher the level is after than before, in the unit of the series.
    pub change: f64,
    /// The same in percent of the level before; nothing when that is next to 0.
    pub change_percent: Option<f64>,
    /// Which way it went.
    pub direction: Direction,
    /// How sure it is that noise is not all there is to it, 0 to 1.
    pub confidence: f64,
    /// When the level came back to what it was before, if it has.
    pub recovered_at: Option<i64>,
    /// When the change was that this one takes back, if it does.
    pub takes_back: Option<i64>,
}

/// Percent of the old level within which a series has come back to it.
const RECOVERED_PERCENT: f64 = 5.0;
/// A level before that is a smaller part of the change than this is as good as none: percentages of it say nothing.
const LEAST_BEFORE: f64 = 1e-3;
/// Half width of the 95 % interval of a change's place, in long-run variances per square of its size (Bai, "Estimation
/// of a change point in multiple regression models", Review of Economics and Statistics 79, 1997).
const PLACE_INTERVAL: f64 = 11.0;

/// The lasting shifts of the level of a series, oldest first.
///
/// Lasting are twelve points or more. A drift is no shift, and neither is a daily season once the series is a day long.
pub fn change_points(points: &[Point], settings: &ChangeSettings) -> Vec<ChangePoint> {
    let points = usable(points);
    let series = Prepared::new(&points, settings);
    let levels = series.levels();
    let mut found: Vec<ChangePoint> =
        levels.joints.iter().map(|joint| describe(&series, joint, levels.long_run_variance)).collect();
    mark_recoveries(&mut found, settings);
    found
}

/// The newest change that still holds: not taken back, and taking none back itself.
pub fn newest_open(changes: &[ChangePoint]) -> Option<&ChangePoint> {
    changes.iter().rfind(|change| change.recovered_at.is_none() && change.takes_back.is_none())
}

fn describe(series: &Prepared, joint: &Joint, long_run_variance: f64) -> ChangePoint {
    let (before, after) = (series.in_unit(&joint.before), series.in_unit(&joint.after));
    let change = after - before;
    let start = joint.after.start;
    let squared_size = (joint.after.mean - joint.before.mean).powi(2);
    let either_side = whole((PLACE_INTERVAL * long_run_variance / squared_size).ceil());
    ChangePoint {
        at: series.times[start],
        earliest: series.times[start.saturating_sub(either_side).max(joint.before.start)],
        latest: series.times[start.saturating_add(either_side).min(joint.after.end - 1)],
        before,
        after,
        change,
        change_percent: (before.abs() > LEAST_BEFORE * change.abs()).then(|| 100.0 * change / before.abs()),
        direction: if change > 0.0 { Direction::Up } else { Direction::Down },
        confidence: joint.confidence,
        recovered_at: None,
        takes_back: None,
    }
}

/// Connects each change with the first later one that brings the level back.
fn mark_recoveries(changes: &mut [ChangePoint], settings: &ChangeSettings) {
    for index in 0..changes.len() {
        let change = changes[index];
        let tolerance = (RECOVERED_PERCENT / 100.0 * change.before.abs()).max(settings.min_absolute);
        let tolerance = tolerance.min(change.change.abs() / 2.0);
        let is_back = |later: &&mut ChangePoint| (later.after - change.before).abs() <= tolerance;
        if let Some(later) = changes[index + 1..].iter_mut().find(is_back) {
            later.takes_back.get_or_insert(change.at);
            let back = later.at;
            changes[index].recovered_at = Some(back);
        }
    }
}
