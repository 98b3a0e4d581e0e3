//! Reads the figures that a rule is about, as they are at a time: from rollups, samples, health checks, queues, findings.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use dogwatch_alerting::{Aggregate, BurnRate, Condition, Dimension, Metric, Reading, Rule, Scope, Source};
use dogwatch_queue::{Inspector, QueueCounts, QueueError};
use dogwatch_store::{
    Figures, FindingKind, HealthState, Store, StoreError, TrendDirection, TrendFinding, Window,
};

use crate::trends::told;

/// How far back a rate looks for what has stopped.
const RATES_SEEN_WITHIN: TimeDelta = TimeDelta::hours(24);
/// What has ended is seen to be well for so long, which is longer than any rule's patience.
const ENDED_WITHIN: TimeDelta = TimeDelta::hours(24);
/// What a change counts as where there was next to nothing before, such as errors of an endpoint that never failed.
const FROM_NOTHING_PERCENT: f64 = 1000.0;
/// As good as never.
const NO_LIMIT_HOURS: f64 = 100_000.0;

/// Why figures could not be read.
#[derive(Debug, thiserror::Error)]
pub enum MeasureError {
    /// Postgres.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Redis.
    #[error(transparent)]
    Queue(#[from] QueueError),
}

/// The figures of a rule at a time. What was seen lately and is not there now is a reading without a value, where the
/// rule asks for it.
///
/// # Errors
/// When Postgres or Redis does not answer.
pub async fn measure(
    store: &Store,
    inspector: &Inspector,
    rule: &Rule,
    now: DateTime<Utc>,
) -> Result<Vec<Reading>, MeasureError> {
    let look = Look { store, inspector, rule };
    let readings = match &rule.condition {
        Condition::BurnRate(burn) => vec![look.burn_rate(burn, now).await?],
        Condition::Absence { seen_within, .. } => look.with_absent(*seen_within, now, None).await?,
        Condition::Threshold { metric: Metric::RequestRate | Metric::QueryRate, .. } => {
            // What has stopped is at zero, and no data would say nothing.
            look.with_absent(RATES_SEEN_WITHIN, now, Some(0.0)).await?
        }
        Condition::Threshold { .. } => look.at(rule.window, now).await?,
    };
    Ok(readings)
}

struct Look<'a> {
    store: &'a Store,
    inspector: &'a Inspector,
    rule: &'a Rule,
}

impl Look<'_> {
    /// As they are in the window.
    async fn at(&self, window: TimeDelta, now: DateTime<Utc>) -> Result<Vec<Reading>, MeasureError> {
        let since = now - window;
        Ok(match self.rule.metric().source() {
            Source::Requests => {
                let figures =
                    self.store.request_figures(between(since, now), &self.rule.only, &self.rule.by).await?;
                figures.iter().map(|figures| self.of_figures(figures, window)).collect()
            }
            Source::Queries => {
                let figures =
                    self.store.query_figures(between(since, now), &self.rule.only, &self.rule.by).await?;
                figures.iter().map(|figures| self.of_figures(figures, window)).collect()
            }
            Source::Hosts => self.hosts(since, now).await?,
            Source::Disks => self.disks(since, now).await?,
            Source::Services => self.services().await?,
            Source::Queues => self.queues().await?,
            Source::Trends => self.trends(now).await?,
            Source::Clock => vec![self.canary(now)],
        })
    }

    /// And those that were seen within a longer time and are not there now.
    async fn with_absent(
        &self,
        seen_within: TimeDelta,
        now: DateTime<Utc>,
        absent: Option<f64>,
    ) -> Result<Vec<Reading>, MeasureError> {
        let mut readings: BTreeMap<Scope, Reading> = self
            .at(self.rule.window, now)
            .await?
            .into_iter()
            .map(|reading| (reading.scope.clone(), reading))
            .collect();
        for Reading { scope, .. } in self.at(seen_within, now).await? {
            let count = i64::from(absent.is_some());
            let gone = Reading { scope: scope.clone(), value: absent, count, note: None };
            readings.entry(scope).or_insert(gone);
        }
        Ok(readings.into_values().collect())
    }

    async fn burn_rate(&self, burn: &BurnRate, now: DateTime<Utc>) -> Result<Reading, MeasureError> {
        let mut windows = [(0, 0); 2];
        for (window, sums) in burn.windows().into_iter().zip(&mut windows) {
            let figures =
                self.store.request_figures(between(now - window, now), &self.rule.only, &[]).await?;
            *sums = figures.first().map_or((0, 0), |figures| (figures.count, figures.errors));
        }
        let [(count, errors), _] = windows;
        let note = Some(format!("{errors} of {count} requests failed"));
        Ok(Reading { scope: self.rule.only.clone(), value: burn.rate(windows), count, note })
    }

    fn aggregate(&self) -> Aggregate {
        match self.rule.condition {
            Condition::Threshold { aggregate: Some(aggregate), .. } => aggregate,
            _ => Aggregate::Mean,
        }
    }

    fn of_figures(&self, figures: &Figures, window: TimeDelta) -> Reading {
        let minutes = window.as_seconds_f64() / 60.0;
        let value = match self.rule.metric() {
            Metric::ErrorRate => Some(100.0 * figures.errors as f64 / figures.count.max(1) as f64),
            Metric::RequestRate | Metric::QueryRate => Some(figures.count as f64 / minutes),
            _ => match self.aggregate() {
                Aggregate::Mean => figures.mean_ms(),
                Aggregate::P50 => figures.quantile_ms(0.5),
                Aggregate::P90 => figures.quantile_ms(0.9),
                Aggregate::P95 => figures.quantile_ms(0.95),
                Aggregate::P99 => figures.quantile_ms(0.99),
                Aggregate::Max => figures.max_ms(),
            },
        };
        Reading { scope: figures.scope.clone(), value, count: figures.count, note: None }
    }

    /// Whether a rule is about this.
    fn is_meant(&self, dimension: Dimension, value: &str) -> bool {
        self.rule.only.get(dimension).is_none_or(|only| only == value)
    }

    async fn hosts(&self, since: DateTime<Utc>, now: DateTime<Utc>) -> Result<Vec<Reading>, MeasureError> {
        let hosts = self.store.host_usage(since, now).await?;
        let meant = hosts.into_iter().filter(|host| self.is_meant(Dimension::Host, &host.host));
        let reading = |host: dogwatch_store::HostUsage| Reading {
            value: Some(match (self.rule.metric(), self.aggregate()) {
                (Metric::MemoryPercent, _) => host.memory_percent_mean,
                (_, Aggregate::Max) => host.cpu_percent_max,
                _ => host.cpu_percent_mean,
            }),
            count: host.samples,
            scope: Scope::of([(Dimension::Host, host.host)]),
            note: None,
        };
        Ok(meant.map(reading).collect())
    }

    async fn disks(&self, since: DateTime<Utc>, now: DateTime<Utc>) -> Result<Vec<Reading>, MeasureError> {
        let disks = self.store.disk_usage(since, now).await?;
        let meant = disks.into_iter().filter(|disk| self.is_meant(Dimension::Host, &disk.host));
        let gigabytes = |bytes: i64| bytes as f64 / 1e9;
        let reading = |disk: dogwatch_store::DiskUsage| Reading {
            value: Some(disk.used_percent),
            count: 1,
            note: Some(format!(
                "{:.1} of {:.1} GB are in use",
                gigabytes(disk.used_bytes),
                gigabytes(disk.total_bytes)
            )),
            scope: Scope::of([(Dimension::Host, disk.host), (Dimension::Mount, disk.mount)]),
        };
        Ok(meant.map(reading).collect())
    }

    fn canary(&self, now: DateTime<Utc>) -> Reading {
        let value = Some(self.rule.canary_figure(now));
        Reading { scope: Scope::default(), value, count: 1, note: None }
    }

    async fn services(&self) -> Result<Vec<Reading>, MeasureError> {
        let services = self.store.service_health().await?;
        let meant = services.into_iter().filter(|health| self.is_meant(Dimension::Service, &health.service));
        let reading = |health: dogwatch_store::ServiceHealth| Reading {
            value: match health.state {
                HealthState::Healthy => Some(0.0),
                HealthState::Degraded => Some(1.0),
                HealthState::Unhealthy => Some(2.0),
                HealthState::Unknown => None,
            },
            count: 1,
            note: health.error.map(|error| {
                format!(
                    "{} checks of {} failed in a row, the last with: {error}",
                    health.consecutive_failures, health.target
                )
            }),
            scope: Scope::of([(Dimension::Service, health.service)]),
        };
        Ok(meant.map(reading).collect())
    }

    async fn queues(&self) -> Result<Vec<Reading>, MeasureError> {
        let queues = self.inspector.counts().await?;
        let meant = queues.into_iter().filter(|queue| self.is_meant(Dimension::Queue, &queue.name));
        let reading = |queue: QueueCounts| Reading {
            value: Some(match self.rule.metric() {
                Metric::QueueReady => queue.ready as f64,
                Metric::QueueDead => queue.dead as f64,
                // Nothing waits.
                _ => queue.oldest_ready_ms.unwrap_or_default() as f64,
            }),
            count: 1,
            note: queue.paused.then(|| "the queue is paused".to_owned()),
            scope: Scope::of([(Dimension::Queue, queue.name)]),
        };
        Ok(meant.map(reading).collect())
    }

    /// What trend analysis has found: of each subject the worst. One that is told with another is well here; so is what
    /// has ended.
    async fn trends(&self, now: DateTime<Utc>) -> Result<Vec<Reading>, MeasureError> {
        let is_forecast = self.rule.metric() == Metric::LimitInHours;
        let mut readings: BTreeMap<Scope, Reading> = BTreeMap::new();
        for told in told(self.store.trend_findings(now - ENDED_WITHIN).await?) {
            let finding = &told.finding;
            let is_meant = |(dimension, value)| self.is_meant(dimension, value);
            if (finding.kind == FindingKind::Forecast) != is_forecast
                || finding.found_at > now
                || !finding.scope.iter().all(is_meant)
            {
                continue;
            }
            let value = if is_forecast { hours_left(finding, now) } else { worse_by_percent(finding, now) };
            let reading = Reading {
                scope: finding.scope.clone(),
                value: Some(value),
                count: 1,
                note: Some(told.sentence),
            };
            let worst = readings.entry(finding.scope.clone()).or_insert_with(|| reading.clone());
            if worst.value.is_none_or(|worst| self.rule.is_worse(value, worst)) {
                *worst = reading;
            }
        }
        Ok(readings.into_values().collect())
    }
}

/// By how much a shift is for the worse; 0 of what has ended, is better, or is told with another.
fn worse_by_percent(finding: &TrendFinding, now: DateTime<Utc>) -> f64 {
    let is_told = finding.kind == FindingKind::Shift
        && held(finding, now)
        && finding.direction == TrendDirection::Worse
        && finding.group_id == finding.id;
    if !is_told {
        return 0.0;
    }
    finding.change_percent.map_or(FROM_NOTHING_PERCENT, f64::abs)
}

/// Whether it was open at this time, which may be past.
fn held(finding: &TrendFinding, now: DateTime<Utc>) -> bool {
    finding.ended_at.is_none_or(|ended_at| ended_at > now)
}

fn hours_left(finding: &TrendFinding, now: DateTime<Utc>) -> f64 {
    match finding.limit.filter(|_| held(finding, now)) {
        Some(limit) => (limit.at - now).as_seconds_f64().max(0.0) / 3600.0,
        None => NO_LIMIT_HOURS,
    }
}

fn between(since: DateTime<Utc>, until: DateTime<Utc>) -> Window {
    Window { since, until: Some(until) }
}
