//! The levels that a series went through, without its season and its outliers.

use crate::change::ChangeSettings;
use crate::confirm::{Segment, confidence, is_drift, is_gradual, residual_correlation_time, segments};
use crate::noise::{long_run_variance, winsorise};
use crate::robust::median;
use crate::scale::Scale;
use crate::season::daily_season;
use crate::segment::{MIN_POINTS, Totals, segment_starts};
use crate::series::Point;

/// The penalty of a change in long-run variances, per logarithm of the number of points. The BIC has 2 for a mean and
/// a place; that is for series looked at once, and not each few minutes.
const PENALTY: f64 = 3.0;
/// Least confidence of a change.
const MIN_CONFIDENCE: f64 = 0.999;
/// Days that a series has to span before a season is taken out. On its second day, what looks like a season may have
/// been a shift; but left in, it would be told as one of nearly each series.
const MIN_SEASON_DAYS: i64 = 1;
/// A spread below this part of the least size that matters is taken for it: nobody wants to know of less.
const LEAST_SPREAD: f64 = 0.1;
/// Least weight of a point with few observations; those with the usual number and above weigh 1, since their noise is
/// the service's and not the sample's.
const MIN_WEIGHT: f64 = 0.1;

/// A series on the scale of its comparison.
pub(crate) struct Prepared<'a> {
    settings: &'a ChangeSettings,
    pub(crate) times: Vec<i64>,
    /// On the scale, less `centre`, so that sums of squares lose no digits.
    values: Vec<f64>,
    weights: Vec<f64>,
    centre: f64,
    least_spread: f64,
}

/// The levels that a series went through.
pub(crate) struct Levels {
    pub(crate) joints: Vec<Joint>,
    /// Of the series without season and outliers.
    pub(crate) long_run_variance: f64,
    has_season: bool,
}

/// Two neighbouring segments, and how sure it is that they differ.
pub(crate) struct Joint {
    pub(crate) before: Segment,
    pub(crate) after: Segment,
    pub(crate) confidence: f64,
}

impl<'a> Prepared<'a> {
    pub(crate) fn new(points: &[Point], settings: &'a ChangeSettings) -> Self {
        let mut values = settings.scale.apply(points);
        let centre = median(&mut values.clone());
        for value in &mut values {
            *value -= centre;
        }
        let usual_count = median(&mut points.iter().map(|point| point.count).collect::<Vec<_>>());
        let weight = |point: &Point| (point.count / usual_count).clamp(MIN_WEIGHT, 1.0);
        Self {
            settings,
            times: points.iter().map(|point| point.at).collect(),
            values,
            weights: points.iter().map(weight).collect(),
            centre,
            least_spread: least_spread(points, settings, centre),
        }
    }

    /// The levels between changes that are sure and large enough.
    pub(crate) fn levels(&self) -> Levels {
        let length = self.values.len();
        if length < 2 * MIN_POINTS {
            return Levels { joints: Vec::new(), long_run_variance: 0.0, has_season: false };
        }
        let levels = self.levels_besides(&vec![0.0; length]);
        if levels.has_season && !levels.joints.is_empty() {
            // The shifts have blurred the season that was taken out to find them.
            return self.levels_besides(&levels.steps(length));
        }
        levels
    }

    /// A segment's level in the unit of the series.
    pub(crate) fn in_unit(&self, segment: &Segment) -> f64 {
        self.settings.scale.invert(self.centre + segment.mean)
    }

    /// The levels, where known `steps` of level are no part of the season.
    fn levels_besides(&self, steps: &[f64]) -> Levels {
        let without_steps: Vec<f64> =
            self.values.iter().zip(steps).map(|(value, step)| value - step).collect();
        let season = daily_season(&self.times, &without_steps, MIN_SEASON_DAYS);
        let has_season = season.is_some();
        let mut values = self.values.clone();
        values.iter_mut().zip(season.iter().flatten()).for_each(|(value, season)| *value -= season);
        let values = winsorise(&values, self.least_spread);
        let long_run_variance = long_run_variance(&values, &self.weights).max(self.least_spread.powi(2));
        let penalty = PENALTY * long_run_variance * (values.len() as f64).ln();
        let starts = segment_starts(&Totals::new(&values, &self.weights), penalty);
        Levels { joints: self.confirmed(&values, starts, has_season), long_run_variance, has_season }
    }

    /// The joints that are left when the least sure of those that do not count is taken out, again and again.
    fn confirmed(&self, values: &[f64], mut starts: Vec<usize>, has_season: bool) -> Vec<Joint> {
        loop {
            let joints = self.joints(values, &starts, has_season);
            let weakest = joints
                .iter()
                .enumerate()
                .filter(|(_, joint)| !self.counts(joint))
                .min_by(|(_, one), (_, other)| one.confidence.total_cmp(&other.confidence));
            let Some((index, _)) = weakest else { return joints };
            starts.remove(index);
        }
    }

    fn joints(&self, values: &[f64], starts: &[usize], has_season: bool) -> Vec<Joint> {
        let segments = segments(values, &self.weights, starts);
        let correlation_time = residual_correlation_time(values, &segments);
        let joint = |pair: &[Segment]| {
            let (before, after) = (pair[0], pair[1]);
            let is_slow = is_drift(values, &self.weights, &before, &after)
                || !has_season && is_gradual(values, &self.weights, &before, &after);
            let sure = confidence(&before, &after, correlation_time, self.least_spread.powi(2), values.len());
            Joint { before, after, confidence: if is_slow { 0.0 } else { sure } }
        };
        segments.windows(2).map(joint).collect()
    }

    /// Whether a difference is sure and large enough to be told.
    fn counts(&self, joint: &Joint) -> bool {
        let (before, after) = (self.in_unit(&joint.before), self.in_unit(&joint.after));
        let change = (after - before).abs();
        joint.confidence >= MIN_CONFIDENCE
            && change > 0.0
            && change >= self.settings.min_absolute
            && change >= self.settings.min_percent / 100.0 * before.abs()
    }
}

impl Levels {
    /// The level at each point.
    fn steps(&self, length: usize) -> Vec<f64> {
        let mut steps = vec![0.0; length];
        for segment in self.joints.iter().flat_map(|joint| [joint.before, joint.after]) {
            steps[segment.start..segment.end].fill(segment.mean);
        }
        steps
    }
}

/// The standard deviation that values have at least: by chance, by rounding, or by what matters.
fn least_spread(points: &[Point], settings: &ChangeSettings, centre: f64) -> f64 {
    let relevant = match settings.scale {
        Scale::Log => (settings.min_percent / 100.0).ln_1p(),
        Scale::Ratio | Scale::Linear => settings.min_absolute,
    };
    let of_rounding = (f64::EPSILON * centre.abs()).max(f64::MIN_POSITIVE.sqrt());
    (LEAST_SPREAD * relevant).max(settings.scale.least_spread(points)).max(of_rounding)
}
