//! One run: brings the past of all series up to date, looks at what is new and at what its turn has come, and stores what
//! has been found.
//!
//! Nothing depends on how often it runs or where it was interrupted. A step is stored with the note that it is; what follows
//! is decided from the past that is stored, and comes to the same however often it is done.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use dogwatch_store::{
    FindingState, Store, StoreError, TREND_STEP, TrendDirection, TrendFinding, TrendSeries, TrendStep,
};
use serde::Serialize;

use super::cause;
use super::collect::{Figure, figures};
use super::judge::Past;
use super::watch::{Unusual, Watched, points_of, watch};

/// How far back a series is compared: a week and the week before it.
const PAST: TimeDelta = TimeDelta::days(15);
/// A step is complete when it is over for this long: rollups are made every half minute.
const SETTLE: TimeDelta = TimeDelta::minutes(1);
/// Each series is looked at as a whole once in so many steps, which is an hour; at once where something shows.
const ROTATION: i64 = 12;
/// Series whose past is in memory at a time.
const BATCH: usize = 200;
/// How long a run makes up for what it has missed. What is left is for the next one.
const CATCH_UP: Duration = Duration::from_mins(2);
/// Findings that ended lately are not found anew.
const ENDED_LATELY: TimeDelta = TimeDelta::days(3);

/// What a run has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Analysis {
    /// Steps of five minutes that were new.
    pub steps: usize,
    /// Series that are followed and have had figures in the last hour.
    pub series: usize,
    /// Those of them that were looked at as a whole.
    pub compared: usize,
    /// Findings that are new.
    pub found: usize,
    /// New ones for the worse.
    pub worse: usize,
    /// Findings that have ended.
    pub ended: usize,
    /// Steps that are still to be made up for.
    pub left: usize,
}

/// Analyses everything since the last run; `progress` hears of steps done, and to be done. `None`: somebody else is at it.
///
/// # Errors
/// When Postgres does not answer.
pub async fn analyze(
    store: &Store,
    min_percent: f64,
    now: DateTime<Utc>,
    progress: impl Fn(usize, usize),
) -> Result<Option<Analysis>, StoreError> {
    let Some(turn) = store.trend_turn().await? else { return Ok(None) };
    let mut run = Run { store, min_percent, now, analysis: Analysis::default() };
    let analysis = run.run(progress).await;
    turn.end().await?;
    analysis.map(|()| Some(run.analysis))
}

struct Run<'a> {
    store: &'a Store,
    min_percent: f64,
    now: DateTime<Utc>,
    analysis: Analysis,
}

impl Run<'_> {
    async fn run(&mut self, progress: impl Fn(usize, usize)) -> Result<(), StoreError> {
        let until = floor(self.now - SETTLE, TREND_STEP);
        let Some(from) = self.begin().await? else { return Ok(()) };
        let series = self.bring_up_to_date(from, until, progress).await?;
        let through = from + TREND_STEP * i32::try_from(self.analysis.steps).unwrap_or_default();
        if self.analysis.steps == 0 {
            return Ok(());
        }
        let series: HashMap<i32, TrendSeries> = series.into_iter().map(|(series, id)| (id, series)).collect();
        let active = self.store.active_trends(through - TimeDelta::hours(1)).await?;
        let hour = floor(through, TimeDelta::hours(1));
        let Watched { mut unusual, detectors } = watch(self.store, &active, self.now - PAST, hour).await?;
        // What was unusual long ago is no news.
        unusual.retain(|unusual| unusual.at >= through - TimeDelta::hours(1));
        self.analysis.series = active.len();
        self.find(&series, &active, &unusual, from, through).await?;
        self.store.store_trend_detectors(hour, &detectors).await
    }

    /// Where there is something new; `None`: nowhere.
    async fn begin(&self) -> Result<Option<DateTime<Utc>>, StoreError> {
        let oldest = floor(self.now - PAST, TREND_STEP);
        if let Some(through) = self.store.trends_analysed_through().await? {
            return Ok(Some(through.max(oldest)));
        }
        let first = self.store.first_minute().await?;
        Ok(first.map(|first| floor(first, TREND_STEP).max(oldest)))
    }

    /// Stores the figures of each step; returns the series that are followed then.
    async fn bring_up_to_date(
        &mut self,
        from: DateTime<Utc>,
        until: DateTime<Utc>,
        progress: impl Fn(usize, usize),
    ) -> Result<HashMap<TrendSeries, i32>, StoreError> {
        let begun = Instant::now();
        let mut series: HashMap<TrendSeries, i32> = self.store.trend_series().await?.into_iter().collect();
        let all =
            usize::try_from((until - from).num_seconds() / TREND_STEP.num_seconds()).unwrap_or_default();
        let mut at = from;
        while at < until && begun.elapsed() < CATCH_UP {
            let figures = figures(self.store, at).await?;
            let steps = self.steps(&mut series, figures).await?;
            self.store.store_trend_step(at, &steps).await?;
            at += TREND_STEP;
            self.analysis.steps += 1;
            progress(self.analysis.steps, all);
        }
        self.analysis.left = all - self.analysis.steps.min(all);
        Ok(series)
    }

    async fn steps(
        &self,
        series: &mut HashMap<TrendSeries, i32>,
        figures: Vec<Figure>,
    ) -> Result<Vec<TrendStep>, StoreError> {
        let is_new = |figure: &&Figure| !series.contains_key(&figure.series);
        let new: Vec<TrendSeries> =
            figures.iter().filter(is_new).map(|figure| figure.series.clone()).collect();
        if !new.is_empty() {
            let ids = self.store.follow_trends(&new, self.now).await?;
            series.extend(new.into_iter().zip(ids));
        }
        let step = |figure: &Figure| {
            let series_id = *series.get(&figure.series)?;
            Some(TrendStep { series_id, figure: single(figure.value), count: single(figure.count) })
        };
        Ok(figures.iter().filter_map(step).collect())
    }

    /// Looks at what shows something and at what its turn has come, and stores what there is to say.
    async fn find(
        &mut self,
        series: &HashMap<i32, TrendSeries>,
        active: &[i32],
        unusual: &[Unusual],
        from: DateTime<Utc>,
        through: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let known = self.store.trend_findings(self.now - ENDED_LATELY).await?;
        let is_open = |finding: &&TrendFinding| finding.state == FindingState::Open;
        let open = known.iter().filter(is_open).map(|finding| finding.series_id);
        let turn = turns(from, through);
        let turn = active.iter().copied().filter(|id| turn.contains(&(i64::from(*id) % ROTATION)));
        let shows = unusual.iter().map(|unusual| unusual.series_id);
        let due: BTreeSet<i32> = open.chain(turn).chain(shows).collect();
        let due: Vec<i32> = due.into_iter().collect();
        self.analysis.compared = due.len();

        let findings = by_series(&known, |finding| finding.series_id);
        let unusual = by_series(unusual, |unusual| unusual.series_id);
        let mut changed = Vec::new();
        for batch in due.chunks(BATCH) {
            let mut pasts = points_of(self.store.trend_hours(batch, self.now - PAST).await?);
            for series_id in batch {
                let Some(series) = series.get(series_id) else { continue };
                let past = Past {
                    series_id: *series_id,
                    series,
                    // None are left of one that has fallen silent.
                    points: &pasts.remove(series_id).unwrap_or_default(),
                    findings: findings.get(series_id).map(Vec::as_slice).unwrap_or_default(),
                    min_percent: self.min_percent,
                    now: self.now,
                };
                changed.extend(past.judge(unusual.get(series_id).map(Vec::as_slice).unwrap_or_default()));
                // A few milliseconds of computing each: others have their turn.
                tokio::task::yield_now().await;
            }
        }
        cause::explain(self.store, &mut changed, self.now).await?;
        cause::group(&mut changed, &known, self.now);
        self.store.store_trend_findings(&changed).await?;
        self.count(&changed);
        Ok(())
    }

    fn count(&mut self, changed: &[TrendFinding]) {
        let is_new = |finding: &&TrendFinding| finding.found_at == self.now;
        self.analysis.found = changed.iter().filter(is_new).count();
        let is_worse = |finding: &&TrendFinding| finding.direction == TrendDirection::Worse;
        self.analysis.worse = changed.iter().filter(is_new).filter(is_worse).count();
        self.analysis.ended = changed.iter().filter(|finding| finding.ended_at.is_some()).count();
    }
}

fn by_series<T: Clone>(all: &[T], series_id: impl Fn(&T) -> i32) -> HashMap<i32, Vec<T>> {
    let mut by_series: HashMap<i32, Vec<T>> = HashMap::new();
    for one in all {
        by_series.entry(series_id(one)).or_default().push(one.clone());
    }
    by_series
}

/// Of which series it is the turn in these steps: those whose number leaves this remainder.
fn turns(from: DateTime<Utc>, through: DateTime<Utc>) -> BTreeSet<i64> {
    let step = |time: DateTime<Utc>| time.timestamp() / TREND_STEP.num_seconds();
    (step(from)..step(through)).rev().take(12).map(|step| step % ROTATION).collect()
}

fn floor(time: DateTime<Utc>, length: TimeDelta) -> DateTime<Utc> {
    time.duration_trunc(length).unwrap_or(time)
}

/// Seven digits are enough for a figure.
#[expect(
    clippy::cast_possible_truncation,
    reason = "what is too large becomes infinite, and is not computed with"
)]
fn single(figure: f64) -> f32 {
    figure as f32
}
