//! No input makes anything panic or tell what is no number.

use crate::common::{pseudo_random, series};
use dogwatch_detect::{ChangeSettings, Point, Scale, change_points, time_until, trend};

const ODD: [f64; 12] = [
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    1e300,
    -1e300,
    f64::MAX,
    f64::MIN_POSITIVE,
    5e-324,
    1e139,
    -1e139,
    0.0,
    -1.0,
];

fn check(points: &[Point]) {
    for scale in [Scale::Log, Scale::Ratio, Scale::Linear] {
        for minimum in [0.0, 10.0] {
            let settings = ChangeSettings { scale, min_percent: minimum, min_absolute: minimum };
            for change in change_points(points, &settings) {
                assert!(change.before.is_finite() && change.after.is_finite(), "{change:?}");
                assert!(change.earliest <= change.at && change.at <= change.latest, "{change:?}");
                assert!((0.0..=1.0).contains(&change.confidence), "{change:?}");
            }
        }
    }
    if let Some(trend) = trend(points) {
        assert!(trend.per_day.is_finite() && trend.level.is_finite(), "{trend:?}");
        assert!(trend.per_day_low <= trend.per_day && trend.per_day <= trend.per_day_high, "{trend:?}");
        assert!((0.0..=1.0).contains(&trend.p_value), "{trend:?}");
    }
    for limit in [100.0, -100.0, f64::NAN, f64::INFINITY, 1e300] {
        if let Some(forecast) = time_until(points, limit) {
            assert!(0 <= forecast.earliest, "{forecast:?}");
            assert!(
                forecast.earliest <= forecast.seconds && forecast.seconds <= forecast.latest,
                "{forecast:?}"
            );
        }
    }
}

#[test]
fn odd_values_among_others() {
    for (seed, length) in (0..200).zip([1, 2, 9, 24, 30, 77, 400, 900].into_iter().cycle()) {
        let mut points = series(pseudo_random(length, seed));
        for (point, choice) in points.iter_mut().zip(pseudo_random(length, seed + 5000)) {
            let odd =
                (0..40).zip(ODD).find(|&(place, _)| ((choice + 0.5) * 40.0 - f64::from(place)).abs() < 0.5);
            point.value = odd.map_or(point.value, |(_, odd)| odd);
        }
        check(&points);
    }
}

#[test]
fn series_of_one_odd_value() {
    for odd in ODD {
        check(&series(vec![odd; 700]));
    }
}

#[test]
fn odd_times_and_counts() {
    for seed in 0..50 {
        let mut points = series(pseudo_random(700, seed));
        let chosen = pseudo_random(700, seed + 7000);
        for (index, (point, choice)) in points.iter_mut().zip(chosen).enumerate() {
            let bits = choice.to_bits().cast_signed();
            match seed % 5 {
                0 => point.at = bits.rem_euclid(10_000_000),
                1 => point.at = if choice > 0.0 { i64::MAX } else { i64::MIN },
                2 => point.at = if choice > 0.0 { i64::MAX } else { 0 },
                3 => point.count = ODD[index % ODD.len()],
                _ => point.at = bits.wrapping_mul(0x5851_F42D_4C95_7F2D),
            }
        }
        check(&points);
    }
}
