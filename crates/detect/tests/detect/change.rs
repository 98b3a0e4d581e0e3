//! Shifts of level: what is found, and what is not.

use crate::common::{PER_DAY, STEP, latencies, pseudo_random, series};
use dogwatch_detect::{ChangePoint, ChangeSettings, Direction, Point, Scale, change_points, newest_open};

const LATENCY: ChangeSettings = ChangeSettings { scale: Scale::Log, min_percent: 10.0, min_absolute: 1.0 };
const RATIO: ChangeSettings = ChangeSettings { scale: Scale::Ratio, min_percent: 10.0, min_absolute: 0.005 };
const PERCENT: ChangeSettings = ChangeSettings { scale: Scale::Linear, min_percent: 10.0, min_absolute: 2.0 };

/// Latencies with factors from given points on.
fn shifted(days: usize, seed: u64, shifts: &[(usize, f64)]) -> Vec<Point> {
    let factor = |index: usize| shifts.iter().rfind(|shift| shift.0 <= index).map_or(1.0, |shift| shift.1);
    series(latencies(days, seed).into_iter().enumerate().map(|(index, value)| value * factor(index)))
}

fn index_of(points: &[Point], change: &ChangePoint) -> usize {
    points.iter().position(|point| point.at == change.at).expect("the time of a point")
}

#[test]
fn a_shift_is_found_where_it_is_with_its_size() {
    for seed in 1..=10 {
        let points = shifted(7, seed, &[(1200, 1.4)]);
        let found = change_points(&points, &LATENCY);
        assert_eq!(found.len(), 1, "{seed}: {found:?}");
        let change = found[0];
        assert!(index_of(&points, &change).abs_diff(1200) <= 6, "{seed}: {change:?}");
        assert!((change.change_percent.unwrap() - 40.0).abs() < 6.0, "{seed}: {change:?}");
        assert!((change.after - change.before - change.change).abs() < 1e-9);
        assert!((90.0..110.0).contains(&change.before), "{seed}: {change:?}");
        assert_eq!((change.direction, change.recovered_at), (Direction::Up, None));
        let shift_at = points[1200].at;
        assert!(change.earliest <= shift_at && shift_at <= change.latest && change.confidence > 0.99);
        assert_eq!(newest_open(&found), Some(&change));
    }
}

#[test]
fn a_shift_that_goes_away_is_told_as_recovered() {
    let points = shifted(7, 3, &[(900, 1.5), (1400, 1.0)]);
    let found = change_points(&points, &LATENCY);
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!((found[0].direction, found[1].direction), (Direction::Up, Direction::Down));
    assert_eq!(found[0].recovered_at, Some(found[1].at));
    assert_eq!(found[1].takes_back, Some(found[0].at));
    assert_eq!(newest_open(&found), None);
}

#[test]
fn a_shift_in_the_last_hours_is_told() {
    for seed in 1..=10 {
        let points = shifted(3, seed, &[(3 * PER_DAY - 36, 1.6)]);
        let found = change_points(&points, &LATENCY);
        assert_eq!(found.len(), 1, "{seed}: {found:?}");
        assert!(index_of(&points, &found[0]).abs_diff(3 * PER_DAY - 36) <= 6, "{seed}: {found:?}");
    }
}

#[test]
fn noise_with_a_season_outliers_and_bursts_tells_nothing() {
    // 100 series of two weeks: fewer than 1 in 20 series-weeks would be 10.
    let told: usize = (1..=100).map(|seed| change_points(&series(latencies(14, seed)), &LATENCY).len()).sum();
    assert!(told <= 2, "{told} false alarms in 200 series-weeks");
}

#[test]
fn a_burst_of_half_an_hour_tells_nothing() {
    let points = shifted(4, 5, &[(700, 6.0), (706, 1.0)]);
    assert_eq!(change_points(&points, &LATENCY), []);
}

#[test]
fn a_drift_is_no_shift() {
    let drifting = latencies(10, 4).into_iter().enumerate();
    let points = series(drifting.map(|(index, value)| value * (1.0 + index as f64 / 2880.0)));
    assert_eq!(change_points(&points, &LATENCY), []);
}

#[test]
fn gaps_and_low_counts_do_no_harm() {
    let mut points = shifted(7, 8, &[(1200, 1.4)]);
    for (index, point) in points.iter_mut().enumerate() {
        point.count = if index % PER_DAY < 72 { 3.0 } else { 500.0 };
    }
    points.drain(1500..1600);
    points.drain(400..460);
    let found = change_points(&points, &LATENCY);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!((found[0].at - (points[0].at + 1200 * STEP)).abs() <= 6 * STEP, "{found:?}");
}

#[test]
fn an_error_rate_that_was_zero_has_no_percentage() {
    // 200 requests per point: no errors, then 3 %.
    let errors = pseudo_random(600, 9);
    let rate =
        |(index, noise): (usize, f64)| if index < 400 { 0.0 } else { ((6.0 + 6.0 * noise) / 200.0).max(0.0) };
    let mut points = series(errors.into_iter().enumerate().map(rate));
    for point in &mut points {
        point.count = 200.0;
    }
    let found = change_points(&points, &RATIO);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].change_percent.is_none() && found[0].before < 1e-4, "{found:?}");
    assert!((found[0].after - 0.03).abs() < 0.005, "{found:?}");
    assert!(index_of(&points, &found[0]).abs_diff(400) <= 3, "{found:?}");
}

#[test]
fn lone_errors_among_few_requests_tell_nothing() {
    for seed in 1..=20 {
        // Ten requests per point, one in a hundred fails.
        let failing = pseudo_random(2000, seed).into_iter().map(|noise| if noise > 0.4 { 0.1 } else { 0.0 });
        let mut points = series(failing);
        for point in &mut points {
            point.count = 10.0;
        }
        assert_eq!(change_points(&points, &RATIO), [], "{seed}");
    }
}

#[test]
fn a_change_below_the_absolute_floor_is_not_told() {
    let values = pseudo_random(600, 2).into_iter().enumerate();
    let values: Vec<f64> =
        values.map(|(index, noise)| noise + if index < 300 { 10.0 } else { 13.0 }).collect();
    assert_eq!(change_points(&series(values.clone()), &PERCENT).len(), 1);
    let coarse = ChangeSettings { min_absolute: 5.0, ..PERCENT };
    assert_eq!(change_points(&series(values), &coarse), []);
}

#[test]
fn the_unit_does_not_matter() {
    let points = shifted(5, 6, &[(800, 1.3)]);
    let found = change_points(&points, &LATENCY);
    assert_eq!(found.len(), 1);
    for factor in [1e-6, 1e3, 1e9] {
        let scaled: Vec<Point> =
            points.iter().map(|point| Point { value: point.value * factor, ..*point }).collect();
        let settings = ChangeSettings { min_absolute: LATENCY.min_absolute * factor, ..LATENCY };
        let of_scaled = change_points(&scaled, &settings);
        assert_eq!(of_scaled.len(), 1, "{factor}");
        assert_eq!(of_scaled[0].at, found[0].at, "{factor}");
        assert!((of_scaled[0].change / found[0].change / factor - 1.0).abs() < 1e-6, "{factor}");
    }
}

#[test]
fn constant_and_short_series_tell_nothing() {
    for settings in [LATENCY, RATIO, PERCENT] {
        for value in [0.0, 1.0, 0.3, 1e-300, 1e300, -5.0] {
            for length in [0, 1, 5, 19, 20, 21, 300, 2000] {
                assert_eq!(change_points(&series(vec![value; length]), &settings), [], "{value} {length}");
            }
        }
    }
}
