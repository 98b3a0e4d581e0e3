//! Whether a change is one of those that each week brings.

use crate::change::ChangePoint;
use crate::robust::median;
use crate::series::{Point, usable};

const WEEK: i64 = 7 * 86_400;
/// Before and after a change, so much is compared with the week before: half a day, within which a weekend can be told.
const COMPARED: i64 = 12 * 3_600;
/// Fewer points than this say nothing.
const MIN_POINTS: usize = 12;
/// Part of a change by which the weeks may differ.
const TOLERANCE: f64 = 0.5;

/// Whether the series stood where it stands before and after this change a week ago, too, as it does at each weekend.
/// False when there is no week to compare with.
///
/// A weekly season taken out of the series would need many weeks of history; that it was so last week needs one.
pub fn was_so_last_week(points: &[Point], change: &ChangePoint) -> bool {
    let points = usable(points);
    let level = |from: i64, to: i64| {
        let within = &points[points.partition_point(|point| point.at < from)..];
        let within = &within[..within.partition_point(|point| point.at < to)];
        (within.len() >= MIN_POINTS)
            .then(|| median(&mut within.iter().map(|point| point.value).collect::<Vec<_>>()))
    };
    let Some(last) = points.last() else { return false };
    let end = last.at.saturating_add(1).min(change.at.saturating_add(COMPARED));
    let windows = [(change.at.saturating_sub(COMPARED), change.at), (change.at, end)];
    windows.into_iter().all(|(from, to)| {
        let levels = level(from, to).zip(level(from.saturating_sub(WEEK), to.saturating_sub(WEEK)));
        levels.is_some_and(|(now, then)| (now - then).abs() < TOLERANCE * change.change.abs())
    })
}
