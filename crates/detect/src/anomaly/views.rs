//! The ways in which a value is compared with what was to be expected.
//!
//! Each view is a signed deviation in the unit of the values (of the spread: a logarithm); how large is large is
//! left to its tail distribution. There are several because anomalies differ: a spike, a step, a slow climb, a
//! burst, a missing daily peak. The smoothed ones form a Haar-like multi-resolution analysis (S. Mallat,
//! "A theory for multiresolution signal decomposition", IEEE PAMI 11, 1989), each scale against the next but one.

use serde::{Deserialize, Serialize};

use super::season::Season;
use super::smooth::{RunningMean, RunningMedian, TypicalSize};

/// How many views there are.
pub(crate) const VIEWS: usize = 10;

/// Which views depend on the season: these know nothing in the first days.
pub(crate) const SEASONAL: [bool; VIEWS] =
    [false, false, false, false, false, false, false, true, true, true];

/// Time constants of the smoothed levels, in points. They are a factor of four apart, except that the last has to
/// outlast a day of five-minute values many times, or it would follow the daily wave.
const LEVELS: [f64; 5] = [4.0, 16.0, 64.0, 256.0, 4_096.0];
/// Points of the median that stands for "just now": two hours of five-minute values. Half of it may be outliers.
const NOW: usize = 24;
/// Time constants of the sizes of steps from point to point, short and long.
const STEPS: (f64, f64) = (16.0, 512.0);
/// A step counts at most this many times the usual one.
const MAX_STEP: f64 = 10.0;
/// Time constants, in points, of residuals of the season: of the sustained one, and of the latest.
const SUSTAINED: f64 = 16.0;
const RECENT: f64 = 7.0;

const DAY_S: i64 = 86_400;
const WEEK_S: i64 = 7 * DAY_S;

/// What is remembered to form the views.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Views {
    previous: Option<f64>,
    levels: [RunningMean; 5],
    now: RunningMedian,
    short_step: RunningMean,
    long_step: TypicalSize,
    day: Season,
    week: Season,
    sustained: RunningMean,
    recent: RunningMean,
}

impl Views {
    pub(crate) fn new() -> Self {
        Self {
            previous: None,
            levels: LEVELS.map(RunningMean::new),
            now: RunningMedian::new(NOW),
            short_step: RunningMean::new(STEPS.0),
            long_step: TypicalSize::new(STEPS.1, MAX_STEP),
            day: Season::new(DAY_S, 96),
            week: Season::new(WEEK_S, 168),
            sustained: RunningMean::around_zero(SUSTAINED),
            recent: RunningMean::around_zero(RECENT),
        }
    }

    /// The deviations of a value; none where nothing is expected yet. Learns the value.
    pub(crate) fn push(&mut self, at_s: i64, value: f64) -> [Option<f64>; VIEWS] {
        let [fast, medium, slow, overall] = self.push_levels(value);
        let spike = self.now.get().map(|now| value - now);
        self.now.push(value);
        let (step, spread) = self.push_step(value);
        let [sustained, unseasonal, sudden] = self.push_season(at_s, value);
        [fast, medium, slow, overall, spike, step, spread, sustained, unseasonal, sudden]
    }

    /// Smoothed over 4, 16 and 64 points against levels 16 to 64 times slower, and the value against the slowest.
    fn push_levels(&mut self, value: f64) -> [Option<f64>; 4] {
        let before = self.levels.each_ref().map(RunningMean::get);
        self.levels.iter_mut().for_each(|level| level.push(value));
        let against = |level: usize, slower: usize| Some(self.levels[level].get()? - before[slower]?);
        [against(0, 2), against(1, 3), against(2, 4), before[4].map(|level| value - level)]
    }

    /// The step from the point before, and how much larger than usual the steps have become (a logarithm).
    fn push_step(&mut self, value: f64) -> (Option<f64>, Option<f64>) {
        let step = self.previous.map(|previous| value - previous);
        self.previous = Some(value);
        let counted = self.long_step.push(step.unwrap_or(0.0).abs());
        self.short_step.push(counted);
        let (short, long) = (self.short_step.get().unwrap_or(0.0), self.long_step.get());
        let spread = if short > 0.0 && long > 0.0 { short.ln() - long.ln() } else { 0.0 };
        (step, Some(spread))
    }

    /// Against what is usual at this time: sustained, of this value, and of this value beyond its predecessors.
    fn push_season(&mut self, at_s: i64, value: f64) -> [Option<f64>; 3] {
        let by_day = self.day.push(at_s, value);
        // The epoch was a Thursday, so weeks start on Thursdays here; only that they repeat matters.
        let by_week = self.week.push(at_s, value);
        let sustained = by_day.map(|usual| {
            self.sustained.push(value - usual);
            self.sustained.get().unwrap_or(0.0)
        });
        // What either the day or the week explains needs no alert: one odd visit a week ago must not make the
        // usual look odd today.
        let unseasonal = by_week.map(|usual| outside(value, usual, by_day.unwrap_or(usual)));
        // The same for what has been so for a while: coming back from it is no news.
        let sudden = unseasonal.map(|deviation| {
            let recent = self.recent.get().unwrap_or(0.0);
            self.recent.push(deviation);
            outside(deviation, 0.0, recent)
        });
        [sustained, unseasonal, sudden]
    }
}

/// How far a value is outside of the range between two others; 0 inside.
fn outside(value: f64, one: f64, other: f64) -> f64 {
    // Not `clamp`, which panics if a bound is no number.
    value - value.max(one.min(other)).min(one.max(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_outside_of_the_range_deviates() {
        assert!((outside(5.0, 7.0, 3.0) - 0.0).abs() < 1e-12);
        assert!((outside(9.0, 7.0, 3.0) - 2.0).abs() < 1e-12);
        assert!((outside(1.0, 7.0, 3.0) + 2.0).abs() < 1e-12);
    }

    #[test]
    fn a_constant_series_deviates_in_no_view() {
        let mut views = Views::new();
        for i in 0..3_000 {
            assert!(views.push(i * 300, 45.0).iter().flatten().all(|deviation| *deviation == 0.0));
        }
    }

    #[test]
    fn the_seasonal_views_wait_for_a_day_and_for_a_week() {
        let mut views = Views::new();
        for i in 0..9 * 288 {
            let seen = views.push(i * 300, (i % 288) as f64);
            assert_eq!(seen[7].is_some(), i >= 288, "{i}");
            assert_eq!(seen[8].is_some(), i >= 7 * 288, "{i}");
        }
    }
}
