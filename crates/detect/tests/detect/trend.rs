//! Trends and forecasts.

use crate::common::{PER_DAY, autocorrelated, latencies, pseudo_random, series};
use dogwatch_detect::{Point, time_until, trend};

const DAY: f64 = 86_400.0;

/// Percent of a disk that grows by `per_day` from `start`.
fn disk(days: usize, start: f64, per_day: f64, seed: u64) -> Vec<f64> {
    let noise = autocorrelated(days * PER_DAY, seed, 0.5).into_iter().enumerate();
    noise.map(|(index, noise)| start + per_day * index as f64 / PER_DAY as f64 + noise).collect()
}

#[test]
fn a_creep_is_found_below_season_and_outliers() {
    let creeping = latencies(14, 2).into_iter().enumerate();
    // 2 % of 100 per day.
    let points = series(creeping.map(|(index, value)| value + 2.0 * index as f64 / PER_DAY as f64));
    let found = trend(&points).unwrap();
    assert!(found.is_significant(), "{found:?}");
    assert!(found.per_day_low < 2.0 && 2.0 < found.per_day_high, "{found:?}");
    assert!((found.per_day - 2.0).abs() < 0.4, "{found:?}");
}

#[test]
fn a_creep_of_three_days_is_not_taken_for_a_season() {
    let creeping = latencies(3, 5).into_iter().enumerate();
    let found =
        trend(&series(creeping.map(|(index, value)| value + 20.0 * index as f64 / PER_DAY as f64))).unwrap();
    assert!(found.is_significant() && (found.per_day - 20.0).abs() < 4.0, "{found:?}");
}

#[test]
fn noise_has_no_trend() {
    let significant =
        (1..=200).filter(|&seed| trend(&series(latencies(14, seed))).unwrap().is_significant()).count();
    assert!(significant <= 6, "{significant} of 200");
}

#[test]
fn autocorrelated_noise_has_no_trend() {
    let significant = (1..=200)
        .filter(|&seed| trend(&series(autocorrelated(PER_DAY, seed, 0.9))).unwrap().is_significant())
        .count();
    assert!(significant <= 12, "{significant} of 200");
}

#[test]
fn the_unit_scales_the_trend() {
    let values = disk(5, 40.0, 3.0, 1);
    let one = trend(&series(values.clone())).unwrap();
    let thousand = trend(&series(values.iter().map(|value| 1000.0 * value))).unwrap();
    assert!((thousand.per_day / one.per_day - 1000.0).abs() < 1e-6);
    assert!((thousand.p_value - one.p_value).abs() < 1e-12);
}

#[test]
fn constant_and_short_series_have_no_significant_trend() {
    assert!(trend(&[]).is_none());
    assert!(trend(&series([1.0; 7])).is_none());
    assert!(!trend(&series([5.0; 500])).unwrap().is_significant());
}

#[test]
fn a_disk_that_fills_is_foretold() {
    for seed in 1..=20 {
        // At 70 % after ten days, 3 % a day: 90 % in 6.67 days.
        let found = time_until(&series(disk(10, 40.0, 3.0, seed)), 90.0).unwrap();
        let days = [found.earliest, found.seconds, found.latest].map(|seconds| seconds as f64 / DAY);
        assert!((days[1] - 20.0 / 3.0).abs() < 0.3, "{seed}: {days:?}");
        assert!(days[0] < 20.0 / 3.0 && 20.0 / 3.0 < days[2] && days[2] < 8.0, "{seed}: {days:?}");
    }
}

#[test]
fn a_disk_next_to_its_limit_is_foretold_to_meet_it_at_once() {
    let found = time_until(&series(disk(10, 40.0, 3.0, 2)), 70.2).unwrap();
    assert!(found.earliest == 0 && found.seconds < 20_000, "{found:?}");
}

#[test]
fn free_space_that_shrinks_to_a_limit_below_is_foretold() {
    let found = time_until(&series(disk(10, 60.0, -3.0, 4)), 10.0).unwrap();
    assert!((found.seconds as f64 / DAY - 20.0 / 3.0).abs() < 0.3, "{found:?}");
}

#[test]
fn a_flat_a_shrinking_and_a_very_slow_series_foretell_nothing() {
    for seed in 1..=20 {
        assert_eq!(time_until(&series(disk(10, 60.0, 0.0, seed)), 90.0), None, "{seed}");
        assert_eq!(time_until(&series(disk(10, 60.0, -3.0, seed)), 90.0), None, "{seed}");
        assert_eq!(time_until(&series(disk(10, 10.0, 0.2, seed)), 90.0), None, "{seed}");
    }
}

/// Percent of a disk that climbs from 40 to 80 in each `period` (in points) and is emptied then.
fn sawtooth(length: usize, period: usize, per_cycle: f64, seed: u64) -> Vec<Point> {
    let value = |(index, noise): (usize, f64)| {
        let cycle = (index / period) as f64;
        40.0 + 40.0 * (index % period) as f64 / period as f64 + per_cycle * cycle + noise
    };
    series(pseudo_random(length, seed).into_iter().enumerate().map(value))
}

#[test]
fn a_sawtooth_foretells_nothing_wherever_it_is_cut() {
    for period in [12, 50, PER_DAY, 700, 1500] {
        for length in (600..3000).step_by(83) {
            let found = time_until(&sawtooth(length, period, 0.0, length as u64), 90.0);
            let is_first_climb = length <= period;
            assert!(found.is_none() || is_first_climb, "period {period}, length {length}: {found:?}");
        }
    }
}

#[test]
fn a_sawtooth_whose_peaks_grow_is_foretold_by_them() {
    // Ten daily peaks, from 80 to 89 %: the eleventh is the one at 90 %.
    let found = time_until(&sawtooth(PER_DAY * 21 / 2, PER_DAY, 1.0, 7), 95.0).unwrap();
    assert!((4.0..8.0).contains(&(found.seconds as f64 / DAY)), "{found:?}");
}

#[test]
fn a_disk_emptied_once_is_foretold_from_then_on() {
    let mut values = disk(3, 70.0, 3.0, 1);
    values.extend(disk(8, 40.0, 3.0, 2));
    let found = time_until(&series(values), 90.0).unwrap();
    assert!((found.seconds as f64 / DAY - 26.0 / 3.0).abs() < 0.4, "{found:?}");
}

#[test]
fn a_step_is_no_trend() {
    let mut values = disk(5, 40.0, 0.0, 1);
    values.extend(disk(5, 60.0, 0.0, 2));
    assert_eq!(time_until(&series(values), 90.0), None);
}
