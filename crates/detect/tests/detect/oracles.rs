//! Trends as pymannkendall 1.4.3 and scipy 1.17.1 compute them; `benches/detect/peers/oracles.py` prints the constants.

use dogwatch_detect::{Point, Trend, trend};

use crate::common::{autocorrelated, pseudo_random};

/// The trend of values a day apart: each is a bucket of its own.
fn daily_trend(values: impl IntoIterator<Item = f64>) -> Trend {
    let points = (0..).zip(values).map(|(day, value)| Point { at: 86_400 * day, value, count: 1.0 });
    trend(&points.collect::<Vec<_>>()).expect("enough points")
}

fn assert_close(found: f64, oracle: f64) {
    assert!((found / oracle - 1.0).abs() < 1e-9, "{found} instead of {oracle}");
}

/// No autocorrelation is significant: both interval and test are the classical ones.
#[test]
fn independent_values_as_scipy_and_pymannkendall() {
    let values = pseudo_random(60, 1).into_iter().enumerate();
    let found = daily_trend(values.map(|(index, value)| value + 0.02 * index as f64));
    assert_close(found.per_day, 0.021_096_199_553_173_323);
    assert_close(found.per_day_low, 0.016_389_566_624_367_78);
    assert_close(found.per_day_high, 0.025_928_219_761_699_44);
    assert!((found.p_value - 1.041_227_104_536_800_6e-10).abs() < 1e-15, "{found:?}");
}

/// Scipy takes values for independent, and Hamed and Rao for less correlated than they are: both are surer than this.
#[test]
fn autocorrelated_values_with_the_slope_of_scipy_and_less_certainty() {
    let values = autocorrelated(120, 7, 0.8).into_iter().enumerate();
    let found = daily_trend(values.map(|(index, value)| value + 0.01 * index as f64));
    assert_close(found.per_day, 0.009_087_761_709_165_136);
    assert!(found.p_value > 3.858_755_901_475_774_4e-7 && found.is_significant(), "{found:?}");
    assert!(found.per_day_low < 0.006_741_776_782_027_057, "{found:?}");
    assert!(found.per_day_high > 0.011_289_505_522_879_76, "{found:?}");
}

/// Hamed and Rao would make ties with negative correlations more certain than the classical test, which is kept to.
#[test]
fn ties_as_the_classical_test_of_pymannkendall() {
    let values = pseudo_random(80, 3).into_iter().enumerate();
    let found =
        daily_trend(values.map(|(index, value)| (4.0 * (value + 0.01 * index as f64)).round_ties_even()));
    assert_close(found.per_day, 0.044_776_119_402_985_07);
    assert_close(found.per_day_low, 0.031_25);
    assert_close(found.per_day_high, 0.058_823_529_411_764_705);
    assert!((found.p_value / 2.671_987_742_175_474_5e-9 - 1.0).abs() < 1e-6, "{found:?}");
}
