//! Compares what was measured in the last minutes with the thresholds: raises alerts, and resolves those whose
//! condition has cleared.
//!
//! An alert is one row per condition however many checkers run: the fingerprint says which condition, the database
//! counts occurrences. An alert about requests clears when the window holds no breach, also when there are no
//! requests at all; one about a host or a service clears only when it was seen to be well again, so that a machine
//! that fell silent does not look healthy.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use dogwatch_notify::Notifier;
use dogwatch_queue::{Job, JobError, Retry, Run, secs};
use dogwatch_store::{
    DiskUsage, EndpointTiming, ErrorRate, HealthState, HostUsage, MetricFilter, NewAlert, ServiceHealth,
    Severity, Store, StoreError, Window,
};
use serde::{Deserialize, Serialize};

use crate::send_performance_alerts::severity as severity_of_channel;
use crate::services::Services;
use crate::settings::Thresholds;

/// Above this share of anything that can be full, the worst is near.
const NEARLY_FULL_PERCENT: f64 = 95.0;

/// Arguments.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CheckPerformanceThresholds {
    /// How far back is looked, in minutes.
    pub window_minutes: u32,
}

impl Default for CheckPerformanceThresholds {
    fn default() -> Self {
        Self { window_minutes: 5 }
    }
}

/// What was found.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Checked {
    conditions: usize,
    breached: usize,
    raised: usize,
    resolved: usize,
}

impl Job for CheckPerformanceThresholds {
    const NAME: &'static str = "check_performance_thresholds";
    // Long enough for an outage of some minutes; ticks that come meanwhile are passed over.
    const RETRY: Retry = Retry::exponential(25, secs(2), secs(30));
    const TIMEOUT: Duration = secs(60);
    type Context = Services;
    type Outcome = Checked;

    async fn run(self, cx: &Run<Services>) -> Result<Checked, JobError> {
        if !(1..=1440).contains(&self.window_minutes) {
            let given = self.window_minutes;
            return Err(JobError::discard(format!(
                "argument /window_minutes: `{given}` is not between 1 and 1440"
            )));
        }
        let window = TimeDelta::minutes(self.window_minutes.into());
        let now = cx.clock.now();
        // What came a moment ago counts.
        cx.store.roll_up().await?;
        let conditions = observe(&cx.store, now - window, now, &cx.settings.thresholds).await?;
        Ok(settle(&cx.store, &cx.notifier, conditions, now).await?)
    }
}

/// One thing that was looked at.
struct Condition {
    fingerprint: String,
    /// The alert, when a threshold is exceeded.
    breach: Option<NewAlert>,
}

async fn observe(
    store: &Store,
    since: DateTime<Utc>,
    until: DateTime<Utc>,
    thresholds: &Thresholds,
) -> Result<Vec<Condition>, StoreError> {
    let mut conditions = Vec::new();
    let (window, all) = (Window { since, until: Some(until) }, MetricFilter::default());
    let rates = store.error_rates(window, &all).await?;
    conditions.extend(rates.iter().filter_map(|rate| error_rate(rate, thresholds)));
    let timings = store.response_times(window, &all).await?;
    conditions.extend(timings.iter().filter_map(|timing| response_time(timing, thresholds)));
    for host in &store.host_usage(since, until).await? {
        conditions.extend(host_use(host, thresholds));
    }
    conditions.extend(store.disk_usage(since, until).await?.iter().map(|disk| disk_use(disk, thresholds)));
    conditions.extend(store.service_health().await?.iter().map(service_state));
    Ok(conditions)
}

/// Raises what is breached and resolves what has cleared.
async fn settle(
    store: &Store,
    notifier: &Notifier,
    conditions: Vec<Condition>,
    now: DateTime<Utc>,
) -> Result<Checked, StoreError> {
    let mut checked = Checked { conditions: conditions.len(), ..Checked::default() };
    let mut seen = HashMap::new();
    for Condition { fingerprint, breach } in conditions {
        seen.insert(fingerprint, breach.is_some());
        let Some(alert) = breach else { continue };
        let channels = notifier.channels_for(severity_of_channel(alert.severity));
        let raised = store.raise_alert(&alert, &channels, now).await?;
        checked.breached += 1;
        checked.raised += usize::from(raised.is_new);
    }
    for alert in store.open_alerts().await? {
        let cleared = match seen.get(&alert.fingerprint) {
            Some(breached) => !breached,
            // A service that is not listed is no longer configured.
            None => matches!(alert.alert_type.as_str(), "error_rate" | "response_time" | "service_health"),
        };
        if cleared {
            checked.resolved += store.resolve_alerts(&[alert.fingerprint], now).await?.len();
        }
    }
    Ok(checked)
}

fn error_rate(rate: &ErrorRate, thresholds: &Thresholds) -> Option<Condition> {
    if rate.count < i64::from(thresholds.min_requests) {
        return None;
    }
    let (value, limit) = (100.0 * rate.errors as f64 / rate.count as f64, thresholds.error_rate_percent);
    let fingerprint = format!("error_rate:{}", rate.service);
    let alert = || NewAlert {
        severity: if value >= 5.0 * limit { Severity::Critical } else { Severity::High },
        title: format!("{}: {value:.1} % of requests fail", rate.service),
        description: format!(
            "{} of {} requests were answered with a status of 500 or above; the threshold is {limit} %",
            rate.errors, rate.count
        ),
        service: Some(rate.service.clone()),
        ..alert("error_rate", &fingerprint, value, limit, "%")
    };
    Some(Condition { breach: (value > limit).then(alert), fingerprint })
}

fn response_time(timing: &EndpointTiming, thresholds: &Thresholds) -> Option<Condition> {
    if timing.count < i64::from(thresholds.min_requests) {
        return None;
    }
    let (value, limit) = (timing.p95_ms, thresholds.response_time_ms);
    let EndpointTiming { service, method, endpoint, .. } = timing;
    let fingerprint = format!("response_time:{service}:{method} {endpoint}");
    let alert = || NewAlert {
        severity: if value >= 3.0 * limit { Severity::High } else { Severity::Medium },
        title: format!("{service}: {method} {endpoint} is slow, p95 {value:.0} ms"),
        description: format!(
            "5 % of {} requests took {value:.0} ms or longer, the longest {:.0} ms; the threshold is {limit} ms",
            timing.count, timing.max_ms
        ),
        service: Some(service.clone()),
        endpoint: Some(format!("{method} {endpoint}")),
        ..alert("response_time", &fingerprint, value, limit, "ms")
    };
    Some(Condition { breach: (value > limit).then(alert), fingerprint })
}

fn host_use(host: &HostUsage, thresholds: &Thresholds) -> [Condition; 2] {
    let condition = |alert_type: &str, what: &str, value: f64, limit: f64| {
        let fingerprint = format!("{alert_type}:{}", host.host);
        let alert = || NewAlert {
            severity: severity_of_share(value),
            title: format!("{}: {what} at {value:.0} %", host.host),
            description: format!(
                "the mean of {} samples is {value:.1} %; the threshold is {limit} %",
                host.samples
            ),
            host: Some(host.host.clone()),
            ..self::alert(alert_type, &fingerprint, value, limit, "%")
        };
        Condition { breach: (value > limit).then(alert), fingerprint }
    };
    [
        condition("cpu", "CPU", host.cpu_percent_mean, thresholds.cpu_percent),
        condition("memory", "memory", host.memory_percent_mean, thresholds.memory_percent),
    ]
}

fn disk_use(disk: &DiskUsage, thresholds: &Thresholds) -> Condition {
    let (value, limit) = (disk.used_percent, thresholds.disk_percent);
    let fingerprint = format!("disk:{}:{}", disk.host, disk.mount);
    let gigabytes = |bytes: i64| bytes as f64 / 1e9;
    let alert = || NewAlert {
        severity: severity_of_share(value),
        title: format!("{}: disk {} is {value:.0} % full", disk.host, disk.mount),
        description: format!(
            "{:.1} of {:.1} GB are in use; the threshold is {limit} %",
            gigabytes(disk.used_bytes),
            gigabytes(disk.total_bytes)
        ),
        host: Some(disk.host.clone()),
        ..alert("disk", &fingerprint, value, limit, "%")
    };
    Condition { breach: (value > limit).then(alert), fingerprint }
}

fn service_state(health: &ServiceHealth) -> Condition {
    let fingerprint = format!("service_health:{}", health.service);
    let alert = || NewAlert {
        fingerprint: fingerprint.clone(),
        alert_type: "service_health".to_owned(),
        severity: Severity::Critical,
        title: format!("{} is unhealthy", health.service),
        description: format!(
            "{} checks of {} failed in a row, the last with: {}",
            health.consecutive_failures,
            health.target,
            health.error.as_deref().unwrap_or("no reason given")
        ),
        service: Some(health.service.clone()),
        endpoint: None,
        host: None,
        value: None,
        threshold: None,
        unit: None,
    };
    Condition { breach: (health.state == HealthState::Unhealthy).then(alert), fingerprint }
}

/// The parts that all alerts about a figure share.
fn alert(alert_type: &str, fingerprint: &str, value: f64, threshold: f64, unit: &str) -> NewAlert {
    NewAlert {
        fingerprint: fingerprint.to_owned(),
        alert_type: alert_type.to_owned(),
        severity: Severity::Medium,
        title: String::new(),
        description: String::new(),
        service: None,
        endpoint: None,
        host: None,
        value: Some(value),
        threshold: Some(threshold),
        unit: Some(unit.to_owned()),
    }
}

fn severity_of_share(percent: f64) -> Severity {
    if percent >= NEARLY_FULL_PERCENT { Severity::Critical } else { Severity::High }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests_support::Bench;
    use dogwatch_store::{DiskSample, HealthCheck, HealthRule, HostSample};

    async fn check(bench: &Bench) -> (usize, usize, usize) {
        let checked = CheckPerformanceThresholds::default().run(&bench.cx).await.unwrap();
        (checked.breached, checked.raised, checked.resolved)
    }

    #[tokio::test]
    async fn errors_raise_one_alert_that_is_counted_and_resolved_when_the_window_is_clean() {
        let bench = Bench::new("").await;
        bench.requests(bench.clock.now(), 10, 500, 1.0).await;
        bench.requests(bench.clock.now(), 10, 200, 1.0).await;
        bench.clock.advance(secs(1));
        assert_eq!(check(&bench).await, (1, 1, 0));
        assert_eq!(check(&bench).await, (1, 0, 0));
        let open = bench.cx.store.open_alerts().await.unwrap();
        assert_eq!((open[0].title.as_str(), open[0].occurrences), ("shop: 50.0 % of requests fail", 2));
        assert_eq!(open[0].severity, Severity::Critical);
        bench.clock.advance(secs(300));
        assert_eq!(check(&bench).await, (0, 0, 1));
        assert_eq!(check(&bench).await, (0, 0, 0));
        assert_eq!(bench.database.number("SELECT count(*) FROM notifications").await, 2);
    }

    #[tokio::test]
    async fn what_is_at_its_threshold_or_rare_raises_nothing() {
        let bench = Bench::new("").await;
        bench.requests(bench.clock.now(), 95, 200, 2000.0).await;
        bench.requests(bench.clock.now(), 5, 500, 2000.0).await;
        bench.clock.advance(secs(1));
        assert_eq!(check(&bench).await, (0, 0, 0));
        let bench = Bench::new("").await;
        bench.requests(bench.clock.now(), 9, 500, 9000.0).await;
        bench.clock.advance(secs(1));
        assert_eq!(check(&bench).await, (0, 0, 0));
    }

    #[tokio::test]
    async fn a_full_host_raises_its_alerts_and_silence_does_not_resolve_them() {
        let bench = Bench::new("").await;
        let sample = |used: i64, cpu_percent: f64, sampled_at| HostSample {
            host: "web-1".to_owned(),
            sampled_at,
            cpu_percent,
            cpu_count: 2.0,
            load1: 1.0,
            load5: 1.0,
            load15: 1.0,
            memory_used_bytes: used,
            memory_total_bytes: 100,
            swap_used_bytes: 0,
            swap_total_bytes: 0,
            network_received_bytes_per_second: None,
            network_sent_bytes_per_second: None,
            disks: vec![DiskSample {
                mount: "/".to_owned(),
                file_system: "ext4".to_owned(),
                used_bytes: used,
                total_bytes: 100,
            }],
        };
        bench.cx.store.insert_host_sample(&sample(97, 99.0, bench.clock.now())).await.unwrap();
        bench.clock.advance(secs(1));
        assert_eq!(check(&bench).await, (3, 3, 0));
        bench.clock.advance(secs(600));
        assert_eq!(check(&bench).await, (0, 0, 0), "a host that fell silent is not well");
        bench.cx.store.insert_host_sample(&sample(10, 5.0, bench.clock.now())).await.unwrap();
        bench.clock.advance(secs(1));
        assert_eq!(check(&bench).await, (0, 0, 3));
    }

    #[tokio::test]
    async fn an_unhealthy_service_raises_an_alert_and_a_healthy_one_resolves_it() {
        let bench = Bench::new("").await;
        let check_of = |ok: bool| HealthCheck {
            service: "shop".to_owned(),
            kind: "http".to_owned(),
            target: "http://shop/".to_owned(),
            ok,
            response_time_ms: 1.0,
            error: (!ok).then(|| "answered 500".to_owned()),
        };
        let rule = HealthRule { unhealthy_after: 1, healthy_after: 1 };
        bench.cx.store.record_health_check(&check_of(false), rule, bench.clock.now()).await.unwrap();
        assert_eq!(check(&bench).await, (1, 1, 0));
        let open = bench.cx.store.open_alerts().await.unwrap();
        assert_eq!(
            open[0].description,
            "1 checks of http://shop/ failed in a row, the last with: answered 500"
        );
        bench.cx.store.record_health_check(&check_of(true), rule, bench.clock.now()).await.unwrap();
        assert_eq!(check(&bench).await, (0, 0, 1));
    }

    #[tokio::test]
    async fn a_window_that_makes_no_sense_is_discarded() {
        let bench = Bench::new("").await;
        let error = CheckPerformanceThresholds { window_minutes: 0 }.run(&bench.cx).await.unwrap_err();
        assert_eq!(error.next(), dogwatch_queue::NextStep::Discard);
    }

    #[test]
    fn arguments_of_yesterday_are_understood() {
        for args in ["{}", r#"{"window_minutes": 5}"#] {
            assert!(serde_json::from_str::<CheckPerformanceThresholds>(args).is_ok(), "{args}");
        }
    }
}
