//! The daily season of a series, and its removal.
//!
//! The median over the days of every half hour of the day, relative to the level of the 24 hours around it, smoothed
//! by as many harmonics as there are days. Medians over days keep a lasting shift or a bad night out of the season,
//! which least squares (STL without its robust iterations, Fourier regression) spread over all of it; few harmonics
//! keep the noise of few days out. STL (Cleveland et al. 1990) with robust iterations does much the same by many passes of
//! local regression.

use crate::robust::{median, rolling_median, spread_about};

const DAY: i64 = 86_400;
/// Half hours of a day.
const CELLS: usize = 48;
const CELL_SECONDS: i64 = 1_800;
/// A day has a wave and an overtone at least; more harmonics than 16 follow half hours, and so the noise.
const HARMONICS: (usize, usize) = (2, 16);
/// Days that it takes to tell a nightly job from a bad night.
const MIN_JOB_DAYS: usize = 3;
/// Spreads from the smooth curve beyond which a half hour is one of a nightly job.
const JOB_SPREADS: f64 = 3.0;
/// Each leaves out the half hours that the one before found to stand out.
const JOB_PASSES: usize = 3;
/// Cells of the day that may be without values in all days: every other one is when there is one value an hour.
const MAX_EMPTY_CELLS: usize = CELLS / 2;

/// The season at each of `times`, with a mean of about 0 over the day; nothing when the series spans less than `min_days`.
///
/// `values` should be free of the shifts that are known already.
pub(crate) fn daily_season(times: &[i64], values: &[f64], min_days: i64) -> Option<Vec<f64>> {
    let (first, last) = (*times.first()?, *times.last()?);
    if last.checked_sub(first)?.saturating_add(CELL_SECONDS) < min_days * DAY {
        return None;
    }
    let cells = half_hours(times, values);
    let days = cells.len() / CELLS;
    let levels = rolling_median(&cells.iter().map(|cell| cell.value).collect::<Vec<_>>(), CELLS, true);
    let mut of_day: Vec<Vec<f64>> = vec![Vec::new(); CELLS];
    for (cell, level) in cells.iter().zip(&levels) {
        of_day[cell.of_day].push(cell.value - level);
    }
    let profile = fill_empty(of_day)?;
    let profile = smooth_but_jobs(&profile, days);
    Some(times.iter().map(|&at| interpolate(&profile, at)).collect())
}

/// The median of the values of one half hour of one day.
struct Cell {
    of_day: usize,
    value: f64,
}

fn half_hours(times: &[i64], values: &[f64]) -> Vec<Cell> {
    let mut cells = Vec::new();
    let mut start = 0;
    for end in 1..=times.len() {
        let cell = times[start].div_euclid(CELL_SECONDS);
        if end == times.len() || times[end].div_euclid(CELL_SECONDS) != cell {
            let of_day = usize::try_from(cell.rem_euclid(DAY / CELL_SECONDS)).unwrap_or(0);
            cells.push(Cell { of_day, value: median(&mut values[start..end].to_vec()) });
            start = end;
        }
    }
    cells
}

/// The median of each half hour; one without values takes that of the half hour before.
fn fill_empty(of_day: Vec<Vec<f64>>) -> Option<Vec<f64>> {
    let empty = of_day.iter().filter(|cell| cell.is_empty()).count();
    if empty > MAX_EMPTY_CELLS {
        return None;
    }
    let mut profile: Vec<Option<f64>> =
        of_day.into_iter().map(|mut cell| (!cell.is_empty()).then(|| median(&mut cell))).collect();
    for index in 0..2 * CELLS {
        let before = profile[(index + CELLS - 1) % CELLS];
        let here = &mut profile[index % CELLS];
        *here = here.or(before);
    }
    profile.into_iter().collect()
}

/// The profile of the day smoothed, but for half hours that stand out from the smooth curve: nightly jobs do, and a few
/// harmonics neither follow their edges nor leave the hours around them alone.
fn smooth_but_jobs(profile: &[f64], days: usize) -> Vec<f64> {
    let harmonics = days.clamp(HARMONICS.0, HARMONICS.1);
    let mut ordinary = profile.to_vec();
    let mut season = smooth(&ordinary, harmonics);
    if days < MIN_JOB_DAYS {
        return season;
    }
    for _ in 0..JOB_PASSES {
        let deviations: Vec<f64> =
            profile.iter().zip(&season).map(|(value, smooth)| value - smooth).collect();
        let bound = JOB_SPREADS * spread_about(0.0, &deviations);
        let is_job = |index: usize| deviations[index].abs() > bound;
        ordinary =
            (0..CELLS).map(|index| if is_job(index) { season[index] } else { profile[index] }).collect();
        season = smooth(&ordinary, harmonics);
    }
    let without_job = profile.iter().zip(&ordinary);
    season.iter().zip(without_job).map(|(smooth, (value, ordinary))| smooth + value - ordinary).collect()
}

/// The first harmonics of a profile of the day, without its mean.
fn smooth(profile: &[f64], harmonics: usize) -> Vec<f64> {
    let cosine: Vec<f64> =
        (0..CELLS).map(|index| (std::f64::consts::TAU * index as f64 / CELLS as f64).cos()).collect();
    let mut smooth = vec![0.0; CELLS];
    for harmonic in 1..=harmonics {
        let cos = |index: usize| cosine[harmonic * index % CELLS];
        let sin = |index: usize| cosine[(harmonic * index + 3 * CELLS / 4) % CELLS];
        let scale = 2.0 / CELLS as f64;
        let a = scale * profile.iter().enumerate().map(|(index, value)| value * cos(index)).sum::<f64>();
        let b = scale * profile.iter().enumerate().map(|(index, value)| value * sin(index)).sum::<f64>();
        for (index, value) in smooth.iter_mut().enumerate() {
            *value += a * cos(index) + b * sin(index);
        }
    }
    smooth
}

/// The profile at a time, linearly between the middles of its half hours.
fn interpolate(profile: &[f64], at: i64) -> f64 {
    let since_middle_of_last = at.rem_euclid(DAY) + DAY - CELL_SECONDS / 2;
    let whole = usize::try_from(since_middle_of_last / CELL_SECONDS).unwrap_or(0);
    let part = (since_middle_of_last % CELL_SECONDS) as f64 / CELL_SECONDS as f64;
    profile[whole % CELLS] * (1.0 - part) + profile[(whole + 1) % CELLS] * part
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::pseudo_random;

    fn wave(at: i64) -> f64 {
        (std::f64::consts::TAU * at as f64 / DAY as f64 + 1.0).sin()
    }

    /// The largest error of the season of a wave with noise of half its size, from one value each `step` seconds.
    fn error(days: i64, step: i64, shift: f64) -> f64 {
        let times: Vec<i64> = (0..days * DAY / step).map(|index| 1_767_571_200 + index * step).collect();
        let shift_at = times[times.len() / 3];
        let value = |(&at, noise): (&i64, f64)| wave(at) + noise + if at < shift_at { 0.0 } else { shift };
        let noise = pseudo_random(times.len(), 1);
        let values: Vec<f64> = times.iter().zip(noise).map(value).collect();
        let season = daily_season(&times, &values, 2).expect("a season");
        times.iter().zip(season).map(|(&at, season)| (season - wave(at)).abs()).fold(0.0, f64::max)
    }

    #[test]
    fn a_wave_is_found_below_noise_at_every_step() {
        for step in [60, 300, 3600] {
            assert!(error(14, step, 0.0) < 0.3, "{step}: {}", error(14, step, 0.0));
        }
    }

    #[test]
    fn a_shift_of_level_hardly_shows_in_it() {
        assert!(error(7, 300, 3.0) < 0.6, "{}", error(7, 300, 3.0));
    }

    #[test]
    fn less_than_a_day_and_too_few_hours_have_none() {
        let times: Vec<i64> = (0..200).map(|index| index * 300).collect();
        assert!(daily_season(&times, &[1.0; 200], 1).is_none());
        let nights: Vec<i64> = (0..200).map(|index| index / 20 * DAY + index % 20 * 300).collect();
        assert!(daily_season(&nights, &[1.0; 200], 1).is_none());
        assert!(daily_season(&[], &[], 1).is_none());
    }
}
