//! What the detector promises, on made-up series of five-minute values.

use dogwatch_detect::{ALERT_SCORE, Detector};

const STEP_S: i64 = 300;
const DAY: usize = 288;

/// Reproducible noise from -1 to 1 (xorshift).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }

    /// Sum of uniforms: nearly normal with a standard deviation of 1.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.next()).sum::<f64>() / 2.0
    }
}

fn noisy(points: usize, value: impl Fn(usize) -> f64) -> Vec<f64> {
    let mut noise = Noise(7);
    (0..points).map(|i| value(i) + noise.normal()).collect()
}

fn scores(values: &[f64]) -> Vec<f64> {
    let mut detector = Detector::new();
    (0..).zip(values).map(|(i, value)| detector.push(i * STEP_S, *value)).collect()
}

fn alerts(values: &[f64]) -> Vec<usize> {
    (0..).zip(scores(values)).filter(|(_, score)| *score >= ALERT_SCORE).map(|(i, _)| i).collect()
}

/// High from 8 to 18 o'clock.
fn office_hours(i: usize) -> f64 {
    if (96..216).contains(&(i % DAY)) { 80.0 } else { 20.0 }
}

#[test]
fn a_constant_series_is_silent() {
    assert_eq!(alerts(&vec![45.0; 5_000]), [0_usize; 0]);
    assert!(scores(&vec![0.0; 5_000]).iter().all(|score| *score <= 0.0));
}

#[test]
fn plain_noise_is_nearly_silent() {
    let found = alerts(&noisy(20 * DAY, |_| 100.0));
    assert!(found.len() <= 6, "{found:?}");
}

#[test]
fn a_level_shift_is_found_within_few_points_and_told_once() {
    let found = alerts(&noisy(3_000, |i| if i < 2_000 { 100.0 } else { 115.0 }));
    let first = found.iter().find(|i| **i >= 2_000).unwrap();
    assert!(*first < 2_005, "{found:?}");
    assert!(found.iter().filter(|i| **i >= 2_000).count() <= 3, "{found:?}");
}

#[test]
fn a_spike_and_a_dip_are_found() {
    for size in [30.0, -30.0] {
        let found = alerts(&noisy(3_000, |i| if i == 2_500 { 100.0 + size } else { 100.0 }));
        assert!(found.contains(&2_500), "{found:?}");
    }
}

#[test]
fn the_day_is_learned_and_a_missing_peak_is_found() {
    let values = noisy(14 * DAY, |i| if i / DAY == 12 { 20.0 } else { office_hours(i) });
    let found = alerts(&values);
    let missing = 12 * DAY + 96..13 * DAY;
    assert!(found.iter().any(|i| (missing.start..missing.start + 12).contains(i)), "{found:?}");
    let before = found.iter().filter(|i| (4 * DAY..missing.start).contains(i)).count();
    assert!(before <= 3, "{found:?}");
}

#[test]
fn regular_spikes_are_silent_once_known() {
    let values = noisy(14 * DAY, |i| if i % DAY == 50 { 200.0 } else { 100.0 });
    let late = alerts(&values).into_iter().filter(|i| *i > 7 * DAY && i % DAY == 50).count();
    assert!(late <= 1, "{late}");
}

#[test]
fn a_saved_state_goes_on_as_if_never_interrupted() {
    let values = noisy(9 * DAY, |i| office_hours(i) + if i % 701 == 700 { 90.0 } else { 0.0 });
    let expected = scores(&values);
    for interruption in [0, 1, 99, 300, 2_016, 2_300] {
        let mut detector = Detector::new();
        for (i, value) in values.iter().enumerate() {
            if i == interruption {
                let saved = serde_json::to_string(&detector).unwrap();
                detector = serde_json::from_str(&saved).unwrap();
            }
            let score = detector.push(i64::try_from(i).unwrap() * STEP_S, *value);
            assert_eq!(score.to_bits(), expected[i].to_bits(), "{interruption} {i}");
        }
    }
}

#[test]
fn the_unit_of_the_values_does_not_matter() {
    let values = noisy(8 * DAY, |i| office_hours(i) + if i == 2_100 { 60.0 } else { 0.0 });
    let expected = scores(&values);
    // Powers of two and whole numbers, so that rounding cannot tip a bin of a histogram.
    for change in [|value: f64| value * 1024.0, |value: f64| -value, |value: f64| value / 4096.0] {
        let changed: Vec<f64> = values.iter().copied().map(change).collect();
        for (score, expected) in scores(&changed).iter().zip(&expected) {
            assert!((score - expected).abs() < 1e-6, "{score} {expected}");
        }
    }
    let shifted: Vec<f64> = values.iter().map(|value| value + 512.0).collect();
    let differing = scores(&shifted).iter().zip(&expected).filter(|(a, b)| (*a - *b).abs() > 0.02).count();
    assert!(differing <= values.len() / 100, "{differing}");
}

#[test]
fn any_input_gives_a_score_from_0_to_1() {
    let odd = [
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MAX,
        f64::MIN,
        f64::MIN_POSITIVE,
        5e-324,
        -5e-324,
        0.0,
        -0.0,
        1e300,
        -1e300,
        1.0,
    ];
    let times = [0, i64::MIN, i64::MAX, -1, 86_400, 1_700_000_000];
    let mut noise = Noise(99);
    let mut pick = |length: usize| {
        noise.next();
        usize::try_from(noise.0 % length as u64).unwrap()
    };
    for round in 0..40 {
        let mut detector = Detector::new();
        for i in 0..3_000 {
            let value = if pick(10) < round / 4 { odd[pick(odd.len())] } else { pick(1_000) as f64 };
            let at_s = if pick(10) == 0 { times[pick(times.len())] } else { i * STEP_S };
            let score = detector.push(at_s, value);
            assert!((0.0..=1.0).contains(&score), "{score} for {value}");
        }
        let saved = serde_json::to_string(&detector).unwrap();
        assert!(serde_json::from_str::<Detector>(&saved).is_ok());
    }
}

#[test]
fn bits_of_any_pattern_are_survived() {
    let mut noise = Noise(3);
    let mut detector = Detector::new();
    for i in 0..20_000 {
        noise.next();
        let score = detector.push(i, f64::from_bits(noise.0));
        assert!((0.0..=1.0).contains(&score), "{score}");
    }
}
