//! Compares the last window with the one before, per endpoint and per host, and stores what has shifted.
//!
//! Means and spreads come from the database; whether they differ by more than chance is decided in `dogwatch-detect`.
//! The windows end at a whole minute, so that two runs in a minute store their findings once.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use dogwatch_detect::{Sample, Shift, shift};
use dogwatch_queue::{Job, JobError, Retry, Run, mins, secs};
use dogwatch_store::{
    EndpointTiming, HostUsage, MetricFilter, Store, StoreError, Trend, TrendDirection, TrendMetric, Window,
};
use serde::{Deserialize, Serialize};

use crate::services::Services;

/// Arguments.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AnalyzePerformanceTrends {
    /// Length of each of the two windows, in minutes.
    pub window_minutes: u32,
}

impl Default for AnalyzePerformanceTrends {
    fn default() -> Self {
        Self { window_minutes: 60 }
    }
}

/// What was found.
#[derive(Debug, Serialize)]
pub struct Analyzed {
    compared: usize,
    worse: usize,
    better: usize,
}

impl Job for AnalyzePerformanceTrends {
    const NAME: &'static str = "analyze_performance_trends";
    const RETRY: Retry = Retry::exponential(3, secs(10), mins(5));
    const TIMEOUT: Duration = mins(5);
    type Context = Services;
    type Outcome = Analyzed;

    async fn run(self, cx: &Run<Services>) -> Result<Analyzed, JobError> {
        if !(1..=7 * 1440).contains(&self.window_minutes) {
            let given = self.window_minutes;
            return Err(JobError::discard(format!(
                "argument /window_minutes: `{given}` is not between 1 and 10080"
            )));
        }
        let end = cx.clock.now().duration_trunc(TimeDelta::minutes(1))?;
        let windows =
            Windows { end, length: TimeDelta::minutes(self.window_minutes.into()), found_at: cx.clock.now() };
        let pairs = windows.load(&cx.store).await?;
        let min_change = cx.settings_now().await?.trend_min_change_percent;
        let trends: Vec<Trend> = pairs.iter().filter_map(|pair| pair.trend(&windows, min_change)).collect();
        cx.store.insert_trends(&trends).await?;
        let count = |direction| trends.iter().filter(|trend| trend.direction == direction).count();
        let (worse, better) = (count(TrendDirection::Worse), count(TrendDirection::Better));
        Ok(Analyzed { compared: pairs.len(), worse, better })
    }
}

struct Windows {
    end: DateTime<Utc>,
    length: TimeDelta,
    found_at: DateTime<Utc>,
}

/// One figure of one endpoint or host in both windows.
struct Pair {
    service: Option<String>,
    method: Option<String>,
    endpoint: Option<String>,
    host: Option<String>,
    metric: TrendMetric,
    before: Sample,
    after: Sample,
}

impl Windows {
    async fn load(&self, store: &Store) -> Result<Vec<Pair>, StoreError> {
        let middle = self.end - self.length;
        let start = middle - self.length;
        let all = MetricFilter::default();
        let before = store.response_times(Window { since: start, until: Some(middle) }, &all).await?;
        let after = store.response_times(Window { since: middle, until: Some(self.end) }, &all).await?;
        let mut pairs = pair_endpoints(&before, &after);
        let before = store.host_usage(start, middle).await?;
        let after = store.host_usage(middle, self.end).await?;
        pairs.extend(pair_hosts(&before, &after));
        Ok(pairs)
    }
}

fn pair_endpoints(before: &[EndpointTiming], after: &[EndpointTiming]) -> Vec<Pair> {
    let key =
        |timing: &EndpointTiming| (timing.service.clone(), timing.method.clone(), timing.endpoint.clone());
    let earlier: HashMap<_, _> = before.iter().map(|timing| (key(timing), timing)).collect();
    let both = after.iter().filter_map(|now| Some((*earlier.get(&key(now))?, now)));
    both.flat_map(|(then, now)| {
        let pair = |metric, sample: fn(&EndpointTiming) -> Sample| Pair {
            service: Some(now.service.clone()),
            method: Some(now.method.clone()),
            endpoint: Some(now.endpoint.clone()),
            host: None,
            metric,
            before: sample(then),
            after: sample(now),
        };
        [pair(TrendMetric::ResponseTimeMs, response_times), pair(TrendMetric::ErrorRate, errors)]
    })
    .collect()
}

fn pair_hosts(before: &[HostUsage], after: &[HostUsage]) -> Vec<Pair> {
    let earlier: HashMap<_, _> = before.iter().map(|host| (&host.host, host)).collect();
    let both = after.iter().filter_map(|now| Some((*earlier.get(&now.host)?, now)));
    both.flat_map(|(then, now)| {
        let pair = |metric, sample: fn(&HostUsage) -> Sample| Pair {
            service: None,
            method: None,
            endpoint: None,
            host: Some(now.host.clone()),
            metric,
            before: sample(then),
            after: sample(now),
        };
        [pair(TrendMetric::CpuPercent, cpu), pair(TrendMetric::MemoryPercent, memory)]
    })
    .collect()
}

fn count(rows: i64) -> u64 {
    u64::try_from(rows).unwrap_or_default()
}

fn response_times(timing: &EndpointTiming) -> Sample {
    Sample { count: count(timing.count), mean: timing.mean_ms, stddev: timing.stddev_ms }
}

/// In percent; each request is a draw that fails or does not.
fn errors(timing: &EndpointTiming) -> Sample {
    let share = timing.errors as f64 / (timing.count as f64).max(1.0);
    Sample { count: count(timing.count), mean: 100.0 * share, stddev: 100.0 * (share * (1.0 - share)).sqrt() }
}

fn cpu(host: &HostUsage) -> Sample {
    Sample { count: count(host.samples), mean: host.cpu_percent_mean, stddev: host.cpu_percent_stddev }
}

fn memory(host: &HostUsage) -> Sample {
    Sample { count: count(host.samples), mean: host.memory_percent_mean, stddev: host.memory_percent_stddev }
}

impl Pair {
    fn trend(&self, windows: &Windows, min_change_percent: f64) -> Option<Trend> {
        let Shift { change_percent, score } = shift(self.before, self.after, min_change_percent)?;
        let count = |sample: Sample| i64::try_from(sample.count).unwrap_or(i64::MAX);
        Some(Trend {
            found_at: windows.found_at,
            window_start: windows.end - windows.length,
            window_end: windows.end,
            service: self.service.clone(),
            method: self.method.clone(),
            endpoint: self.endpoint.clone(),
            host: self.host.clone(),
            metric: self.metric,
            before_mean: self.before.mean,
            after_mean: self.after.mean,
            before_count: count(self.before),
            after_count: count(self.after),
            change_percent,
            // Less is better for every metric that is compared.
            direction: if change_percent > 0.0 { TrendDirection::Worse } else { TrendDirection::Better },
            score,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests_support::Bench;

    #[tokio::test]
    async fn an_endpoint_that_has_become_slow_is_found_and_stored_once() {
        let bench = Bench::new("").await;
        for (minutes_ago, response_time_ms) in [(90, 100.0), (80, 110.0), (30, 300.0), (20, 310.0)] {
            let at = bench.clock.now() - TimeDelta::minutes(minutes_ago);
            bench.requests(at, 50, 200, response_time_ms).await;
        }
        for _ in 0..2 {
            let analyzed = AnalyzePerformanceTrends::default().run(&bench.cx).await.unwrap();
            assert_eq!((analyzed.worse, analyzed.better), (1, 0));
        }
        let trends = bench.cx.store.trends(bench.clock.now() - TimeDelta::hours(1), 10).await.unwrap();
        assert_eq!((trends.len(), trends[0].metric), (1, TrendMetric::ResponseTimeMs));
        assert!((trends[0].change_percent - 190.476).abs() < 0.001, "{:?}", trends[0]);
    }

    #[tokio::test]
    async fn nothing_to_compare_is_no_finding() {
        let bench = Bench::new("").await;
        bench.requests(bench.clock.now() - TimeDelta::minutes(10), 50, 200, 100.0).await;
        let analyzed = AnalyzePerformanceTrends::default().run(&bench.cx).await.unwrap();
        assert_eq!((analyzed.compared, analyzed.worse, analyzed.better), (0, 0, 0));
    }
}
