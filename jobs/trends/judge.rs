//! What becomes of a series' findings when its past is looked at: pure, so that the same past always says the same.

use chrono::{DateTime, TimeDelta, Utc};
use dogwatch_alerting::Metric;
use dogwatch_detect::{
    ChangePoint, Direction, Forecast, Point, change_points, median, newest_open, time_until, was_so_last_week,
};
use dogwatch_store::{Cause, FindingKind, FindingState, LimitAt, TrendDirection, TrendFinding, TrendSeries};
use uuid::Uuid;

use super::figure::{change_settings, direction, direction_of, effect_s, in_unit, limit};
use super::watch::Unusual;

/// Of a series that is followed for less, nothing is said: its usual day is not known.
const MIN_BEFORE: TimeDelta = TimeDelta::hours(24);
/// Traffic has a weekly season, and no change of it is told before a week can be compared with the one before.
const MIN_BEFORE_OF_TRAFFIC: TimeDelta = TimeDelta::days(8);
/// A change that is found later than this is no news.
const NEWS: TimeDelta = TimeDelta::days(2);
/// What has been so for this long is the new usual.
const SETTLED: TimeDelta = TimeDelta::days(7);
/// How far apart two times of one change may be estimated.
const SAME_CHANGE: TimeDelta = TimeDelta::hours(1);
/// A limit that is further away is no finding: a fortnight is time enough to act, and far ends are guesses.
const HORIZON: TimeDelta = TimeDelta::days(14);
/// The last points that tell where a figure stands.
const NOW_POINTS: usize = 6;
/// Usual is what was at this time of the day, this much earlier or later, on the seven days before.
const USUAL_WITHIN_S: i64 = 1_800;
const USUAL_DAYS: i64 = 7;
const DAY_S: i64 = 86_400;
/// Fewer values are no usual.
const MIN_USUAL: usize = 12;

/// A series with its past, and what is known of it.
pub(super) struct Past<'a> {
    pub(super) series_id: i32,
    pub(super) series: &'a TrendSeries,
    pub(super) points: &'a [Point],
    /// Open ones, and those that ended lately.
    pub(super) findings: &'a [TrendFinding],
    /// Change in percent from which on it is one.
    pub(super) min_percent: f64,
    pub(super) now: DateTime<Utc>,
}

impl Past<'_> {
    /// Findings that are new or have changed.
    pub(super) fn judge(&self, unusual: &[Unusual]) -> Vec<TrendFinding> {
        let mut changed = self.shift();
        changed.extend(self.forecast());
        changed.extend(self.anomaly(unusual, &changed));
        changed
    }

    fn open(&self, kind: FindingKind) -> Option<&TrendFinding> {
        self.findings.iter().find(|finding| finding.kind == kind && finding.state == FindingState::Open)
    }

    /// The level: has it shifted, or come back?
    fn shift(&self) -> Vec<TrendFinding> {
        let settings = change_settings(self.series.metric, self.min_percent);
        let mut changes = change_points(self.points, &settings);
        changes.retain(|change| self.is_seen_long_enough(change) && !was_so_last_week(self.points, change));
        let newest = newest_open(&changes);
        let Some(open) = self.open(FindingKind::Shift) else {
            return newest.and_then(|change| self.new_shift(change)).into_iter().collect();
        };
        let Some(change) = newest.filter(|change| time(change.at) >= open.since - SAME_CHANGE) else {
            return self.end_of(open, &changes).into_iter().collect();
        };
        if is_same(open, change) {
            let described = self.describe(change, open.clone());
            let is_usual = self.now - open.since > SETTLED;
            return vec![if is_usual {
                self.ended(&described, FindingState::Settled, self.now)
            } else {
                described
            }];
        }
        // Without a next one, that is neither good nor bad, the first has ended all the same.
        let ended = self.ended(open, FindingState::Superseded, time(change.at));
        let next = self.new_shift(change).into_iter();
        std::iter::once(ended).chain(next).collect()
    }

    fn is_seen_long_enough(&self, change: &ChangePoint) -> bool {
        let needed = match self.series.metric {
            Metric::RequestRate => MIN_BEFORE_OF_TRAFFIC,
            _ => MIN_BEFORE,
        };
        self.points.first().is_some_and(|first| change.at - first.at >= needed.num_seconds())
    }

    /// A change that is news; or one that was told before and is found again.
    fn new_shift(&self, change: &ChangePoint) -> Option<TrendFinding> {
        direction(self.series.metric, change.direction)?;
        let told = self
            .findings
            .iter()
            .find(|finding| finding.kind == FindingKind::Shift && is_same(finding, change));
        match told {
            Some(told) if told.state == FindingState::Recovered => Some(self.describe(
                change,
                TrendFinding { state: FindingState::Open, ended_at: None, ..told.clone() },
            )),
            Some(_) => None,
            None if self.now - time(change.at) > NEWS => None,
            None => Some(self.describe(change, self.blank(FindingKind::Shift))),
        }
    }

    /// What becomes of an open shift that is no longer the last word on its series.
    fn end_of(&self, open: &TrendFinding, changes: &[ChangePoint]) -> Option<TrendFinding> {
        let same = changes.iter().find(|change| is_same(open, change));
        if let Some(recovered_at) = same.and_then(|change| change.recovered_at) {
            return Some(self.ended(open, FindingState::Recovered, time(recovered_at)));
        }
        if self.now - open.since > SETTLED {
            return Some(self.ended(open, FindingState::Settled, self.now));
        }
        // More data may have blurred it: it holds while the figure stays where it went.
        self.is_back(open).then(|| self.ended(open, FindingState::Recovered, self.now))
    }

    /// A limit that will be met.
    fn forecast(&self) -> Option<TrendFinding> {
        let limit = limit(self.series.metric)?;
        let horizon = HORIZON.num_seconds();
        let forecast = time_until(self.points, limit).filter(|forecast| forecast.seconds <= horizon);
        match (self.open(FindingKind::Forecast), forecast) {
            (Some(open), Some(forecast)) => self.foretell(&forecast, open.clone()),
            (Some(open), None) => Some(self.ended(open, FindingState::Recovered, self.now)),
            (None, forecast) => self.foretell(&forecast?, self.blank(FindingKind::Forecast)),
        }
    }

    fn foretell(&self, forecast: &Forecast, finding: TrendFinding) -> Option<TrendFinding> {
        let last = time(self.points.last()?.at);
        let after = |seconds: i64| last + TimeDelta::try_seconds(seconds).unwrap_or(TimeDelta::MAX / 1000);
        let since = last - TimeDelta::seconds(forecast.trend.span);
        let level = forecast.trend.level;
        Some(TrendFinding {
            direction: TrendDirection::Worse,
            since,
            earliest: since,
            latest: since,
            before: level,
            after: level + forecast.trend.per_day,
            change_percent: (level > 0.0).then(|| 100.0 * forecast.trend.per_day / level),
            confidence: 1.0 - forecast.trend.p_value,
            limit: Some(LimitAt {
                at: after(forecast.seconds),
                earliest: after(forecast.earliest),
                latest: after(forecast.latest.min(10 * HORIZON.num_seconds())),
            }),
            updated_at: self.now,
            ..finding
        })
    }

    /// A figure where it never is, until it is back or a shift says more.
    fn anomaly(&self, unusual: &[Unusual], changed: &[TrendFinding]) -> Option<TrendFinding> {
        let shift = changed.iter().find(|finding| finding.kind == FindingKind::Shift);
        let shift = shift.or_else(|| self.open(FindingKind::Shift));
        if let Some(open) = self.open(FindingKind::Anomaly) {
            return match shift {
                Some(shift) if shift.latest >= open.since - SAME_CHANGE => {
                    Some(self.ended(open, FindingState::Superseded, self.now))
                }
                _ => self.end_of_anomaly(open),
            };
        }
        let newest = unusual.iter().max_by_key(|unusual| unusual.at)?;
        let is_told = |finding: &TrendFinding| match finding.kind {
            FindingKind::Anomaly => finding.since == newest.at,
            _ => finding.state == FindingState::Open && finding.kind == FindingKind::Shift,
        };
        if self.findings.iter().any(is_told) || shift.is_some_and(|shift| shift.state == FindingState::Open) {
            return None;
        }
        self.new_anomaly(newest)
    }

    fn new_anomaly(&self, unusual: &Unusual) -> Option<TrendFinding> {
        let at = unusual.at.timestamp();
        let first = self.points.first()?;
        let usual = self.usual(at).filter(|_| at - first.at >= MIN_BEFORE.num_seconds())?;
        let change = unusual.figure - usual;
        let settings = change_settings(self.series.metric, self.min_percent);
        let least = settings.min_absolute.max(self.min_percent / 100.0 * usual.abs());
        let direction = direction(self.series.metric, direction_of(change))?;
        (change.abs() >= least && direction == TrendDirection::Worse).then(|| TrendFinding {
            direction,
            confidence: unusual.score,
            ..self.measured(
                (unusual.at, unusual.at, unusual.at),
                (usual, unusual.figure),
                self.blank(FindingKind::Anomaly),
            )
        })
    }

    fn end_of_anomaly(&self, open: &TrendFinding) -> Option<TrendFinding> {
        if self.is_back(open) {
            return Some(self.ended(open, FindingState::Recovered, self.now));
        }
        (self.now - open.since > NEWS).then(|| self.ended(open, FindingState::Settled, self.now))
    }

    /// Whether the figure is nearer to where it was than to where it went.
    fn is_back(&self, open: &TrendFinding) -> bool {
        self.here().is_some_and(|here| (here - open.before).abs() < (here - open.after).abs())
    }

    /// What the figure usually is at this time of the day.
    fn usual(&self, at: i64) -> Option<f64> {
        let is_of_then = |point: &&Point| {
            let ago = at - point.at;
            let apart = ago.rem_euclid(DAY_S).min(DAY_S - ago.rem_euclid(DAY_S));
            (USUAL_WITHIN_S + 1..=USUAL_DAYS * DAY_S + USUAL_WITHIN_S).contains(&ago)
                && apart <= USUAL_WITHIN_S
        };
        let mut values: Vec<f64> = self.points.iter().filter(is_of_then).map(|point| point.value).collect();
        (values.len() >= MIN_USUAL).then(|| median(&mut values))
    }

    /// Where the figure stands, as people read it.
    fn here(&self) -> Option<f64> {
        let last = &self.points[self.points.len().saturating_sub(NOW_POINTS)..];
        let mut values: Vec<f64> = last.iter().map(|point| point.value).collect();
        (!values.is_empty()).then(|| in_unit(self.series.metric, median(&mut values)))
    }

    fn describe(&self, change: &ChangePoint, finding: TrendFinding) -> TrendFinding {
        let times = (time(change.at), time(change.earliest), time(change.latest));
        TrendFinding {
            direction: direction(self.series.metric, change.direction).unwrap_or(TrendDirection::Better),
            change_percent: change.change_percent,
            confidence: change.confidence,
            ..self.measured(times, (change.before, change.after), finding)
        }
    }

    /// From when on (at, earliest, latest), from what to what.
    fn measured(
        &self,
        (since, earliest, latest): (DateTime<Utc>, DateTime<Utc>, DateTime<Utc>),
        (before, after): (f64, f64),
        finding: TrendFinding,
    ) -> TrendFinding {
        let metric = self.series.metric;
        let change = after - before;
        TrendFinding {
            since,
            earliest,
            latest,
            before: in_unit(metric, before),
            after: in_unit(metric, after),
            change_percent: (before.abs() > f64::EPSILON).then(|| 100.0 * change / before.abs()),
            effect_s_per_hour: effect_s(metric, change, self.per_hour()),
            updated_at: self.now,
            ..finding
        }
    }

    /// Requests or calls in the last hour.
    fn per_hour(&self) -> f64 {
        let since = self.points.last().map_or(0, |last| last.at - 3_600);
        self.points.iter().rev().take_while(|point| point.at > since).map(|point| point.count).sum()
    }

    fn ended(&self, finding: &TrendFinding, state: FindingState, at: DateTime<Utc>) -> TrendFinding {
        TrendFinding { state, ended_at: Some(at), updated_at: self.now, ..finding.clone() }
    }

    fn blank(&self, kind: FindingKind) -> TrendFinding {
        let id = Uuid::now_v7();
        TrendFinding {
            id,
            series_id: self.series_id,
            kind,
            state: FindingState::Open,
            metric: self.series.metric,
            scope: self.series.scope.clone(),
            direction: TrendDirection::Worse,
            since: self.now,
            earliest: self.now,
            latest: self.now,
            before: 0.0,
            after: 0.0,
            change_percent: None,
            confidence: 0.0,
            effect_s_per_hour: 0.0,
            limit: None,
            cause: Cause::default(),
            group_id: id,
            found_at: self.now,
            updated_at: self.now,
            ended_at: None,
        }
    }
}

/// Whether a finding is about this change: it went the same way at about the same time.
fn is_same(finding: &TrendFinding, change: &ChangePoint) -> bool {
    let is_up = finding.after > finding.before;
    is_up == (change.direction == Direction::Up)
        && time(change.earliest) - SAME_CHANGE <= finding.latest
        && finding.earliest - SAME_CHANGE <= time(change.latest)
}

fn time(unix_s: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(unix_s, 0).unwrap_or_default()
}

#[cfg(test)]
mod tests;
