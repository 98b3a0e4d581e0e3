//! Weekends.

use dogwatch_detect::{ChangeSettings, Point, Scale, change_points, was_so_last_week};

use crate::common::{PER_DAY, STEP, latencies, series};

/// Traffic of some days, the sixth and seventh of each week at a third.
fn traffic(days: usize) -> Vec<Point> {
    let weekend = |index: usize| if index / PER_DAY % 7 >= 5 { 1.0 / 3.0 } else { 1.0 };
    series(latencies(days, 7).into_iter().enumerate().map(|(index, value)| value * weekend(index)))
}

fn news(points: &[Point]) -> Vec<i64> {
    let settings = ChangeSettings { scale: Scale::Log, min_percent: 20.0, min_absolute: 1.0 };
    let changes = change_points(points, &settings);
    assert!(!changes.is_empty(), "a weekend is a change of level");
    changes
        .into_iter()
        .filter(|change| !was_so_last_week(points, change))
        .map(|change| (change.at - points[0].at) / STEP / 288)
        .collect()
}

#[test]
fn a_weekend_is_news_the_first_time_only() {
    // From a Monday on: the weekends begin on the days 5 and 12, and end on 7 and 14.
    assert_eq!(news(&traffic(13)), [5, 7]);
    assert_eq!(news(&traffic(15)), [5, 7]);
}

#[test]
fn what_happens_on_a_weekend_is_news_all_the_same() {
    let mut points = traffic(15);
    for point in &mut points[13 * PER_DAY..] {
        point.value *= 0.2;
    }
    assert!(news(&points).contains(&13));
}
