//! The `[jobs]` section of dogwatch.toml.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use dogwatch_alerting::{Aggregate, Condition, Dimension, Metric, Operator, Rule, Scope, Severity};
use dogwatch_store::KEPT_TABLES;
use serde::{Deserialize, Serialize};

/// The part of its threshold at which an alert is cleared, so that it does not come and go with each look.
const CLEARED_AT: f64 = 0.9;
/// Ten years.
pub(crate) const MAX_DAYS: u32 = 3650;

/// What the jobs go by. The defaults and the reason for each stand in dogwatch.toml.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Days for which data is kept.
    pub retention_days: u32,
    /// The same for single tables, where they differ.
    pub retention_days_of: BTreeMap<String, u32>,
    /// Change of a mean, in percent, from which on a trend is one.
    pub trend_min_change_percent: f64,
    /// When an alert is raised.
    pub thresholds: Thresholds,
}

/// When an alert is raised, by the rules that are always there. Each is cleared at nine tenths of its threshold.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thresholds {
    /// Over how many minutes.
    pub window_minutes: u32,
    /// Mean CPU use of a host over the window, in percent of what it may use.
    pub cpu_percent: f64,
    /// Mean memory use of a host over the window, in percent.
    pub memory_percent: f64,
    /// Use of a disk, in percent.
    pub disk_percent: f64,
    /// Requests of a service that were answered with a status of 500 or above, in percent.
    pub error_rate_percent: f64,
    /// 95th percentile of an endpoint's response time, in milliseconds.
    pub response_time_ms: f64,
    /// How much a figure has changed for the worse, in percent, as trend analysis found.
    pub trend_change_percent: f64,
    /// Hours until a disk or a memory is full, as trend analysis foresees; fewer are an alert.
    pub limit_in_hours: f64,
    /// Requests in the window below which error rate and response time say nothing.
    pub min_requests: u32,
}

impl Thresholds {
    /// The rules that are always there, over so many minutes.
    pub fn rules(&self, window_minutes: u32) -> Vec<Rule> {
        let rule = |name: &str, metric: Metric, raise: f64, severity: Severity| {
            let condition = Condition::Threshold {
                metric,
                aggregate: metric.aggregates().first().copied(),
                operator: Operator::Above,
                raise,
                clear: raise * CLEARED_AT,
            };
            Rule {
                name: name.to_owned(),
                condition,
                window: TimeDelta::minutes(window_minutes.into()),
                by: metric.source().default_dimensions().to_vec(),
                only: Scope::default(),
                hold: TimeDelta::zero(),
                clear_for: TimeDelta::zero(),
                severity,
                min_count: 1,
                labels: BTreeMap::default(),
            }
        };
        let min_count = self.min_requests.into();
        vec![
            Rule {
                min_count,
                ..rule("error_rate", Metric::ErrorRate, self.error_rate_percent, Severity::High)
            },
            Rule {
                min_count,
                by: vec![Dimension::Service, Dimension::Endpoint],
                ..rule("response_time", Metric::ResponseTimeMs, self.response_time_ms, Severity::Medium)
            },
            rule("cpu", Metric::CpuPercent, self.cpu_percent, Severity::Medium),
            rule("memory", Metric::MemoryPercent, self.memory_percent, Severity::High),
            rule("disk", Metric::DiskPercent, self.disk_percent, Severity::High),
            // Unhealthy; what is degraded is left to a rule of the user.
            Rule {
                condition: Condition::Threshold {
                    metric: Metric::ServiceHealth,
                    aggregate: None::<Aggregate>,
                    operator: Operator::Above,
                    raise: 1.0,
                    clear: 1.0,
                },
                ..rule("service_health", Metric::ServiceHealth, 1.0, Severity::Critical)
            },
            // One is enough: a dead letter is work that nobody does any more.
            rule("queue_dead", Metric::QueueDead, 0.0, Severity::High),
            rule("trend", Metric::TrendChangePercent, self.trend_change_percent, Severity::Medium),
            Rule {
                condition: Condition::Threshold {
                    metric: Metric::LimitInHours,
                    aggregate: None::<Aggregate>,
                    operator: Operator::Below,
                    raise: self.limit_in_hours,
                    clear: self.limit_in_hours / CLEARED_AT,
                },
                ..rule("limit", Metric::LimitInHours, self.limit_in_hours, Severity::High)
            },
        ]
    }
}

impl Settings {
    /// Checks what the types cannot. The error names the key in this section and what would be right.
    pub fn validate(&self) -> Result<(), (&'static str, String)> {
        check_days(self.retention_days).map_err(|reason| ("retention_days", reason))?;
        check_days_of(&self.retention_days_of).map_err(|reason| ("retention_days_of", reason))?;
        let Thresholds {
            window_minutes,
            cpu_percent,
            memory_percent,
            disk_percent,
            error_rate_percent,
            response_time_ms,
            trend_change_percent,
            limit_in_hours,
            min_requests: _,
        } = self.thresholds;
        if !(1..=1440).contains(&window_minutes) {
            return Err((
                "thresholds.window_minutes",
                format!("`{window_minutes}` is not between 1 and 1440"),
            ));
        }
        for (key, percent) in [
            ("thresholds.cpu_percent", cpu_percent),
            ("thresholds.memory_percent", memory_percent),
            ("thresholds.disk_percent", disk_percent),
            ("thresholds.error_rate_percent", error_rate_percent),
        ] {
            if !(0.0..=100.0).contains(&percent) {
                return Err((key, format!("`{percent}` is no percentage; write a number from 0 to 100")));
            }
        }
        for (key, above_zero) in [
            ("thresholds.response_time_ms", response_time_ms),
            ("thresholds.trend_change_percent", trend_change_percent),
            ("thresholds.limit_in_hours", limit_in_hours),
            ("trend_min_change_percent", self.trend_min_change_percent),
        ] {
            if above_zero <= 0.0 || !above_zero.is_finite() {
                return Err((key, format!("`{above_zero}` is not above 0")));
            }
        }
        Ok(())
    }
}

/// Days that data may be kept for: today's never goes.
pub(crate) fn check_days(days: u32) -> Result<(), String> {
    if (1..=MAX_DAYS).contains(&days) {
        Ok(())
    } else {
        Err(format!("`{days}` is not between 1 and {MAX_DAYS}"))
    }
}

/// The same for each table, which has to be one.
pub(crate) fn check_days_of(tables: &BTreeMap<String, u32>) -> Result<(), String> {
    for (table, days) in tables {
        if !KEPT_TABLES.contains(&table.as_str()) {
            return Err(format!("`{table}` is no table; write one of {}", KEPT_TABLES.join(", ")));
        }
        check_days(*days).map_err(|reason| format!("{table}: {reason}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use dogwatch_alerting::{Outcome, Reading};

    use super::*;

    #[test]
    fn one_dead_letter_raises_an_alert_by_default() {
        let rules = crate::tests_support::settings().thresholds.rules(5);
        let rule = rules.iter().find(|rule| rule.name == "queue_dead").unwrap();
        let dead = |count: f64| Reading {
            value: Some(count),
            count: 1,
            note: None,
            scope: Scope::of([(Dimension::Queue, "default".to_owned())]),
        };
        assert_eq!(rule.judge(&dead(1.0), false), Outcome::Breach);
        assert_eq!(rule.judge(&dead(1.0), true), Outcome::Breach);
        assert_eq!(rule.judge(&dead(0.0), true), Outcome::Ok);
        assert!(rule.title(&dead(2.0)).ends_with("2 dead letters"));
    }
}
