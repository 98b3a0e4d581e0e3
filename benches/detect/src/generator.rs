//! Realistic series of a latency percentile at steps of five minutes, reproducible from a seed.

use dogwatch_detect::Point;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, Pareto, StandardNormal};

/// Seconds between two points.
pub(crate) const STEP: i64 = 300;
const PER_DAY: usize = 288;
/// 2026-01-05 00:00 UTC, a Monday.
const START: i64 = 1_767_571_200;

/// A series and what was done to it.
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) points: Vec<Point>,
    /// The size of its shift in percent, 0 for none.
    pub(crate) percent: u32,
    /// When it shifts.
    pub(crate) shift_at: Option<i64>,
}

/// The series number `number` of those with shifts of `percent`.
pub(crate) fn series(percent: u32, number: u64) -> Series {
    let mut random = StdRng::seed_from_u64(1_000_000 * u64::from(percent) + number);
    let length = random.random_range(3 * PER_DAY..=14 * PER_DAY);
    let shift = (percent > 0).then(|| place_of_shift(&mut random, length));
    let noise = noise(&mut random, length);
    let season = season(&mut random);
    let outliers = outliers(&mut random, length);
    let requests = 10f64.powf(random.random_range(1.3..4.0));
    let level = 10f64.powf(random.random_range(0.7..3.3)).ln();
    let offset = random.random_range(0..PER_DAY);
    let sign = if random.random_bool(0.8) { 1.0 } else { -1.0 };
    let size = (f64::from(percent) / 100.0).ln_1p() * sign;
    let gaps = gaps(&mut random, length);
    let points = (0..length)
        .filter(|&index| !gaps.iter().any(|gap| gap.contains(&index)))
        .map(|index| {
            let of_day = season((index + offset) as f64 / PER_DAY as f64);
            let shifted = if shift.is_some_and(|start| index >= start) { size } else { 0.0 };
            Point {
                at: time(index + offset),
                value: (level + noise[index] + of_day + shifted + outliers[index]).exp(),
                count: (requests * (2.0 * of_day).exp()).round().max(1.0),
            }
        })
        .collect();
    Series {
        name: format!("{percent}-{number}"),
        points,
        percent,
        shift_at: shift.map(|start| time(start + offset)),
    }
}

fn time(index: usize) -> i64 {
    START + STEP * i64::try_from(index).expect("a small number")
}

/// Half of the shifts anywhere after the first day, half within the last day.
fn place_of_shift(random: &mut StdRng, length: usize) -> usize {
    if random.random_bool(0.5) {
        random.random_range(PER_DAY..length - 24)
    } else {
        random.random_range(length - PER_DAY..length - 6)
    }
}

/// Autoregressive noise of the service plus independent noise of the percentile's estimate.
fn noise(random: &mut StdRng, length: usize) -> Vec<f64> {
    let total: f64 = random.random_range(0.05..0.25);
    let independent_part: f64 = random.random_range(0.2..0.8);
    let correlation: f64 = random.random_range(0.3..0.9);
    let own = total * independent_part.sqrt();
    let service = total * (1.0 - independent_part).sqrt();
    let innovation = service * (1.0 - correlation * correlation).sqrt();
    let mut state = service * normal(random);
    (0..length)
        .map(|_| {
            state = correlation * state + innovation * normal(random);
            state + own * normal(random)
        })
        .collect()
}

/// The season at a time in days: a wave, its first overtone, and the plateau of a nightly job in a third of the series.
fn season(random: &mut StdRng) -> impl Fn(f64) -> f64 + use<> {
    let amplitude = random.random_range(0.0..0.4);
    let overtone = amplitude * random.random_range(0.0..0.6);
    let (phase, phase_of_overtone): (f64, f64) = (random.random(), random.random());
    let (job_start, job_length): (f64, f64) = (random.random(), random.random_range(0.02..0.1));
    let job_size = if random.random_bool(0.33) { random.random_range(0.1..0.5) } else { 0.0 };
    move |days| {
        let wave = amplitude * (std::f64::consts::TAU * (days + phase)).sin();
        let second = overtone * (2.0 * std::f64::consts::TAU * (days + phase_of_overtone)).sin();
        let in_job = (days - job_start).rem_euclid(1.0) < job_length;
        wave + second + if in_job { job_size } else { 0.0 }
    }
}

/// What outliers add: one in a hundred points, alone or in bursts of up to five, Pareto distributed.
fn outliers(random: &mut StdRng, length: usize) -> Vec<f64> {
    let mut outliers = vec![0.0; length];
    let factor = Pareto::new(1.5, 1.5).expect("valid parameters");
    let rate = random.random_range(0.0..0.01);
    for start in 0..length {
        if random.random_bool(rate) {
            let burst = if random.random_bool(0.3) { random.random_range(2..=5) } else { 1 };
            let size = f64::min(factor.sample(random), 100.0).ln();
            for outlier in outliers.iter_mut().skip(start).take(burst) {
                *outlier = size;
            }
        }
    }
    outliers
}

/// In a fourth of the series, one to three gaps of up to six hours.
fn gaps(random: &mut StdRng, length: usize) -> Vec<std::ops::Range<usize>> {
    if !random.random_bool(0.25) {
        return Vec::new();
    }
    (0..random.random_range(1..=3))
        .map(|_| {
            let start = random.random_range(0..length - PER_DAY);
            start..start + random.random_range(3..72)
        })
        .collect()
}

fn normal(random: &mut StdRng) -> f64 {
    StandardNormal.sample(random)
}
