//! Evaluates all rules: those of dogwatch.toml and the few that are always there. What is beyond a threshold raises an
//! alert, what is seen to be well again resolves it; what is not known changes nothing.
//!
//! Every evaluation is kept, also one that failed. A rule that cannot be evaluated is an alert of its own, and stops no
//! other. However many workers look at once, one alert comes of one condition (`alerts.rs`).

use std::collections::HashSet;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use dogwatch_alerting::{Change, Outcome, Reading, Rule};
use dogwatch_queue::{Job, JobError, Retry, Run, error_chain, secs};
use dogwatch_store::{RuleEvaluation, StoreError};
use serde::{Deserialize, Serialize};

use crate::measure::{MeasureError, measure};
use crate::services::Services;

/// Arguments.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CheckPerformanceThresholds {
    /// Another window for the rules that are always there, in minutes.
    pub window_minutes: Option<u32>,
}

/// What was found.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// Rules that were evaluated.
    rules: usize,
    /// Rules that could not be.
    failed: usize,
    /// Figures that were looked at.
    conditions: usize,
    /// Those beyond their threshold.
    breached: usize,
    /// Alerts that were raised, or raised again.
    raised: usize,
    /// Alerts that are over.
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
        if let Some(given) = self.window_minutes
            && !(1..=1440).contains(&given)
        {
            return Err(JobError::discard(format!(
                "argument /window_minutes: `{given}` is not between 1 and 1440"
            )));
        }
        // What came a moment ago counts. Without it the rules are evaluated by what is rolled up already.
        match cx.store.roll_up().await {
            Err(error) if error.is_unavailable() => return Err(error.into()),
            Err(error) => tracing::error!(error = error_chain(&error), "rollups cannot be made"),
            Ok(_) => {}
        }
        Ok(check(cx, self.window_minutes, cx.clock.now()).await?)
    }
}

async fn check(
    cx: &Services,
    window_minutes: Option<u32>,
    now: DateTime<Utc>,
) -> Result<Checked, StoreError> {
    let services: Vec<String> = cx.targets.iter().map(|target| target.name.clone()).collect();
    let mut checked =
        Checked { resolved: cx.alerting.end_orphans(&cx.store, &services, now).await?, ..Checked::default() };
    let open = cx.store.open_conditions().await?;
    cx.alerting.observe_limits(&cx.store, &open, now).await?;
    let rules = cx.alerting.rules_by(&cx.settings_now().await?.thresholds, window_minutes);
    let mut evaluations = Vec::with_capacity(rules.len());
    for rule in &rules {
        evaluations.push(evaluate(cx, rule, &open, now, &mut checked).await?);
    }
    cx.store.insert_rule_evaluations(&evaluations).await?;
    Ok(checked)
}

/// One rule: reads its figures, and lets each become what it becomes.
async fn evaluate(
    cx: &Services,
    rule: &Rule,
    open: &HashSet<String>,
    now: DateTime<Utc>,
    checked: &mut Checked,
) -> Result<RuleEvaluation, StoreError> {
    let begun = Instant::now();
    let readings = measure(&cx.store, &cx.inspector, rule, now).await;
    let (readings, error) = match readings {
        Ok(readings) => (readings, None),
        // Then nothing can be found out, nor written down: the job comes again.
        Err(MeasureError::Store(error)) if error.is_unavailable() => return Err(error),
        Err(error) => (Vec::new(), Some(error_chain(&error))),
    };
    let was_failing = open.contains(&format!("rule_failed:{}", rule.name));
    cx.alerting.observe_rule(&cx.store, rule, error.as_deref(), was_failing, now).await?;
    checked.rules += 1;
    let mut evaluation = evaluation(rule, now, begun);
    if let Some(error) = error {
        tracing::warn!(rule = rule.name, error, "rule `{}` cannot be evaluated", rule.name);
        checked.failed += 1;
        evaluation.outcome = Outcome::Error;
        evaluation.error = Some(error);
    }
    for reading in readings {
        let is_open = open.contains(&rule.fingerprint(&reading.scope));
        let (outcome, change) = match cx.alerting.observe(&cx.store, rule, &reading, is_open, now).await {
            Ok(observed) => observed,
            Err(error) if error.is_unavailable() => return Err(error),
            // One reading that cannot be stored hides no other.
            Err(error) => {
                let error = error_chain(&error);
                tracing::error!(rule = rule.name, error, "a reading of rule `{}` is set aside", rule.name);
                evaluation.error.get_or_insert(error);
                continue;
            }
        };
        checked.conditions += 1;
        checked.breached += usize::from(outcome == Outcome::Breach);
        match change {
            Change::Raised | Change::Reopened | Change::Flapping => checked.raised += 1,
            Change::Resolved => checked.resolved += 1,
            Change::None | Change::Pending | Change::Forgotten => {}
        }
        count(&mut evaluation, rule, &reading, outcome);
    }
    evaluation.took_ms = begun.elapsed().as_secs_f64() * 1e3;
    Ok(evaluation)
}

fn evaluation(rule: &Rule, now: DateTime<Utc>, begun: Instant) -> RuleEvaluation {
    RuleEvaluation {
        rule: rule.name.clone(),
        evaluated_at: now,
        // Until something says more.
        outcome: Outcome::NoData,
        breaching: 0,
        well: 0,
        without_data: 0,
        worst_value: None,
        worst_scope: None,
        error: None,
        took_ms: begun.elapsed().as_secs_f64() * 1e3,
    }
}

fn count(evaluation: &mut RuleEvaluation, rule: &Rule, reading: &Reading, outcome: Outcome) {
    match outcome {
        Outcome::Breach => evaluation.breaching += 1,
        Outcome::Ok => evaluation.well += 1,
        Outcome::NoData | Outcome::Error => evaluation.without_data += 1,
    }
    evaluation.outcome = match (evaluation.breaching, evaluation.well) {
        (1.., _) => Outcome::Breach,
        (_, 1..) => Outcome::Ok,
        _ => Outcome::NoData,
    };
    let Some(value) = reading.value.filter(|_| outcome == Outcome::Breach || evaluation.breaching == 0)
    else {
        return;
    };
    if evaluation.worst_value.is_none_or(|worst| rule.is_worse(value, worst)) {
        (evaluation.worst_value, evaluation.worst_scope) = (Some(value), Some(reading.scope.to_string()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests_support::Bench;
    use dogwatch_alerting::Severity;
    use dogwatch_store::{DiskSample, HealthCheck, HealthRule, HostSample};

    /// Figures beyond a threshold, alerts raised, alerts resolved.
    async fn check(bench: &Bench) -> (usize, usize, usize) {
        let checked = CheckPerformanceThresholds::default().run(&bench.cx).await.unwrap();
        (checked.breached, checked.raised, checked.resolved)
    }

    #[tokio::test]
    async fn errors_raise_one_alert_that_is_counted_and_resolved_when_requests_succeed_again() {
        let bench = Bench::new("").await;
        bench.requests(bench.clock.now(), 10, 500, 1.0).await;
        bench.requests(bench.clock.now(), 10, 200, 1.0).await;
        bench.clock.advance(secs(1));
        assert_eq!(check(&bench).await, (1, 1, 0));
        assert_eq!(check(&bench).await, (1, 0, 0));
        let open = bench.open_alerts().await;
        assert_eq!((open[0].title.as_str(), open[0].occurrences), ("shop: 50.0 % of requests fail", 2));
        assert_eq!((open[0].severity, open[0].service.as_deref()), (Severity::High, Some("shop")));
        bench.clock.advance(secs(300));
        assert_eq!(check(&bench).await, (0, 0, 0), "no requests at all are no good requests");
        bench.requests(bench.clock.now(), 20, 200, 1.0).await;
        bench.clock.advance(secs(1));
        assert_eq!(check(&bench).await, (0, 0, 1));
        assert_eq!(check(&bench).await, (0, 0, 0));
        assert_eq!(bench.database.number("SELECT count(*) FROM notifications").await, 2);
    }

    #[tokio::test]
    async fn every_evaluation_is_kept_and_one_that_fails_is_an_alert_and_stops_no_other() {
        let mut bench = Bench::new("").await;
        let queue = "{\"name\": \"deep_queue\", \"metric\": \"queue_ready\", \"raise\": 100}";
        let queue: dogwatch_alerting::RuleSettings = serde_json::from_str(queue).unwrap();
        // Redis is away: the first rule cannot be evaluated.
        bench.change(|services| services.alerting.rules.insert(0, queue.rule().unwrap().unwrap()));
        bench.requests(bench.clock.now(), 10, 500, 1.0).await;
        for _ in 0..3 {
            bench.clock.advance(secs(31));
            CheckPerformanceThresholds::default().run(&bench.cx).await.unwrap();
        }
        let open = bench.open_alerts().await;
        let open: Vec<_> =
            open.iter().map(|alert| (alert.fingerprint.as_str(), alert.status.as_str())).collect();
        assert_eq!(open, [("rule_failed:deep_queue", "active"), ("error_rate:shop", "active")]);
        let kept = bench.cx.store.rule_evaluations("deep_queue", DateTime::UNIX_EPOCH).await.unwrap();
        assert_eq!((kept.len(), kept[0].outcome), (3, Outcome::Error));
        assert!(kept[0].error.is_some());
        let kept = bench.cx.store.rule_evaluations("error_rate", DateTime::UNIX_EPOCH).await.unwrap();
        assert_eq!((kept.len(), kept[0].outcome, kept[0].worst_value), (3, Outcome::Breach, Some(100.0)));
        let kept = bench.cx.store.rule_evaluations("cpu", DateTime::UNIX_EPOCH).await.unwrap();
        assert_eq!(kept[0].outcome, Outcome::NoData);
    }

    #[tokio::test]
    async fn ten_checkers_at_once_raise_each_alert_once() {
        let bench = std::sync::Arc::new(Bench::new("").await);
        bench.requests(bench.clock.now(), 10, 500, 9000.0).await;
        bench.clock.advance(secs(1));
        let checks = (0..10).map(|_| {
            let bench = std::sync::Arc::clone(&bench);
            async move { check(&bench).await.1 }
        });
        let raised: usize = futures_util::future::join_all(checks).await.into_iter().sum();
        assert_eq!(raised, 2);
        // Two alerts, each to the log.
        assert_eq!(bench.database.number("SELECT count(*) FROM notifications").await, 2);
    }

    #[tokio::test]
    async fn an_alert_of_a_rule_or_service_that_is_gone_ends() {
        let mut bench = Bench::new("").await;
        bench.requests(bench.clock.now(), 10, 500, 1.0).await;
        bench.clock.advance(secs(1));
        assert_eq!(check(&bench).await, (1, 1, 0));
        bench.change(|services| services.alerting.rules.retain(|rule| rule.name != "error_rate"));
        assert_eq!(check(&bench).await, (0, 0, 1));
    }

    #[tokio::test]
    async fn an_absence_is_raised_and_ends_with_the_next_request() {
        let mut bench = Bench::new("").await;
        let absent =
            "{\"name\": \"silent\", \"metric\": \"request_rate\", \"absent\": true, \"window\": \"10m\"}";
        let absent: dogwatch_alerting::RuleSettings = serde_json::from_str(absent).unwrap();
        bench.change(|services| services.alerting.rules = vec![absent.rule().unwrap().unwrap()]);
        bench.requests(bench.clock.now(), 1, 200, 1.0).await;
        bench.clock.advance(secs(60));
        assert_eq!(check(&bench).await, (0, 0, 0));
        bench.clock.advance(secs(3600));
        assert_eq!(check(&bench).await, (1, 1, 0));
        bench.requests(bench.clock.now(), 1, 200, 1.0).await;
        bench.clock.advance(secs(1));
        assert_eq!(check(&bench).await, (0, 0, 1));
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
        let mut bench = Bench::new("").await;
        let shop = crate::ServiceTarget::new("shop", "http://shop/".to_owned().into());
        bench.change(|services| services.targets.push(shop));
        let check_of = |ok: bool| HealthCheck {
            service: "shop".to_owned(),
            kind: "http".to_owned(),
            target: "http://shop/".to_owned(),
            ok,
            is_degraded: false,
            response_time_ms: 1.0,
            error: (!ok).then(|| "answered 500".to_owned()),
        };
        let rule =
            HealthRule { unhealthy_after: 1, healthy_after: 1, interval: chrono::TimeDelta::seconds(30) };
        bench.cx.store.record_health_check(&check_of(false), rule, bench.clock.now()).await.unwrap();
        assert_eq!(check(&bench).await, (1, 1, 0));
        let open = bench.open_alerts().await;
        assert_eq!(
            open[0].description,
            "now; the threshold is 1. 1 checks of http://shop/ failed in a row, the last with: answered 500"
        );
        bench.cx.store.record_health_check(&check_of(true), rule, bench.clock.now()).await.unwrap();
        assert_eq!(check(&bench).await, (0, 0, 1));
    }

    #[tokio::test]
    async fn a_window_that_makes_no_sense_is_discarded() {
        let bench = Bench::new("").await;
        let error = CheckPerformanceThresholds { window_minutes: Some(0) }.run(&bench.cx).await.unwrap_err();
        assert_eq!(error.next(), dogwatch_queue::NextStep::Discard);
    }

    #[test]
    fn arguments_of_yesterday_are_understood() {
        for args in ["{}", r#"{"window_minutes": 5}"#] {
            assert!(serde_json::from_str::<CheckPerformanceThresholds>(args).is_ok(), "{args}");
        }
    }
}
