//! Writes a report of the last hours: requests, endpoints, hosts, services, alerts. As JSON for programs and as text
//! for people.
//!
//! The report is built from what is in the database and stored there; `dogwatch report` builds the same one without
//! storing it.

use std::fmt::Write as _;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use dogwatch_queue::{Job, JobError, Retry, Run, mins, secs};
use dogwatch_store::{
    Alert, AlertFilter, DiskUsage, EndpointTiming, HostUsage, MetricFilter, RequestSummary, ServiceHealth,
    Store, StoreError, StoredReport, Window,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::services::Services;

/// Endpoints in a report.
const ENDPOINTS: usize = 10;
/// Alerts in a report.
const ALERTS: u32 = 50;

/// Arguments.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GeneratePerformanceReport {
    /// Hours that the report covers.
    pub hours: u32,
}

impl Default for GeneratePerformanceReport {
    fn default() -> Self {
        Self { hours: 24 }
    }
}

/// Where the report is.
#[derive(Debug, Serialize)]
pub struct Generated {
    report_id: Uuid,
    requests: i64,
    alerts: usize,
}

impl Job for GeneratePerformanceReport {
    const NAME: &'static str = "generate_performance_report";
    const RETRY: Retry = Retry::exponential(5, secs(10), mins(10));
    const TIMEOUT: Duration = mins(5);
    type Context = Services;
    type Outcome = Generated;

    async fn run(self, cx: &Run<Services>) -> Result<Generated, JobError> {
        if !(1..=24 * 90).contains(&self.hours) {
            return Err(JobError::discard(format!(
                "argument /hours: `{}` is not between 1 and 2160",
                self.hours
            )));
        }
        let now = cx.clock.now();
        let report = Report::build(&cx.store, now - TimeDelta::hours(self.hours.into()), now).await?;
        let stored = StoredReport {
            id: Uuid::now_v7(),
            created_at: now,
            window_start: report.window_start,
            window_end: report.window_end,
            body: serde_json::to_value(&report).map_err(JobError::discard)?,
            text: report.text(),
        };
        cx.store.insert_report(&stored).await?;
        Ok(Generated { report_id: stored.id, requests: report.requests.count, alerts: report.alerts.len() })
    }
}

/// What happened in a window.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Where the window begins.
    pub window_start: DateTime<Utc>,
    /// Where it ends.
    pub window_end: DateTime<Utc>,
    /// All requests.
    pub requests: RequestSummary,
    /// The endpoints with the highest p95, at most ten.
    pub slowest_endpoints: Vec<EndpointTiming>,
    /// CPU and memory.
    pub hosts: Vec<HostUsage>,
    /// Disks.
    pub disks: Vec<DiskUsage>,
    /// The services and how they are now.
    pub services: Vec<ServiceHealth>,
    /// Alerts that were open at some time in the window, at most fifty.
    pub alerts: Vec<Alert>,
}

impl Report {
    /// Reads everything.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn build(store: &Store, start: DateTime<Utc>, end: DateTime<Utc>) -> Result<Self, StoreError> {
        let (window, all) = (Window { since: start, until: Some(end) }, MetricFilter::default());
        let mut slowest_endpoints = store.response_times(window, &all).await?;
        slowest_endpoints.sort_by(|a, b| b.p95_ms.total_cmp(&a.p95_ms));
        slowest_endpoints.truncate(ENDPOINTS);
        let mut alerts = store.alerts(&AlertFilter { limit: ALERTS, ..AlertFilter::default() }).await?;
        alerts.retain(|alert| alert.resolved_at.is_none_or(|at| at >= start) && alert.first_seen_at < end);
        Ok(Self {
            window_start: start,
            window_end: end,
            requests: store.request_summary(window, &all).await?,
            slowest_endpoints,
            hosts: store.host_usage(start, end).await?,
            disks: store.disk_usage(start, end).await?,
            services: store.service_health().await?,
            alerts,
        })
    }

    /// The report for people, in lines of at most 100 characters.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a String cannot fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let minute = |time: DateTime<Utc>| time.format("%Y-%m-%d %H:%M");
        writeln!(
            out,
            "Performance report, {} to {} UTC",
            minute(self.window_start),
            minute(self.window_end)
        )?;
        self.write_requests(out)?;
        writeln!(out, "\nHosts")?;
        if self.hosts.is_empty() {
            writeln!(out, "  no samples")?;
        }
        for host in &self.hosts {
            let HostUsage { cpu_percent_mean, cpu_percent_max, memory_percent_mean, .. } = host;
            writeln!(
                out,
                "  {:<24} CPU {cpu_percent_mean:.0} % (max {cpu_percent_max:.0} %), memory {memory_percent_mean:.0} %",
                host.host
            )?;
        }
        for disk in &self.disks {
            let gigabytes = disk.total_bytes as f64 / 1e9;
            writeln!(
                out,
                "  {:<24} {} {:.0} % of {gigabytes:.0} GB",
                disk.host, disk.mount, disk.used_percent
            )?;
        }
        writeln!(out, "\nServices")?;
        if self.services.is_empty() {
            writeln!(out, "  none checked")?;
        }
        for service in &self.services {
            let took = service.response_time_ms.map(|ms| format!("{ms:.0} ms")).unwrap_or_default();
            let why = service.error.as_deref().unwrap_or_default();
            writeln!(out, "  {:<24} {:<10} {took} {why}", service.service, service.state.to_string())?;
        }
        writeln!(out, "\nAlerts")?;
        if self.alerts.is_empty() {
            writeln!(out, "  none")?;
        }
        for alert in &self.alerts {
            let (severity, status) = (alert.severity.to_string(), alert.status.to_string());
            writeln!(
                out,
                "  {severity:<8} {status:<12} {} ({}x, since {})",
                alert.title,
                alert.occurrences,
                minute(alert.first_seen_at)
            )?;
        }
        Ok(())
    }

    fn write_requests(&self, out: &mut String) -> std::fmt::Result {
        let requests = &self.requests;
        writeln!(out, "\nRequests")?;
        let (Some(p50), Some(p95), Some(p99)) = (requests.p50_ms, requests.p95_ms, requests.p99_ms) else {
            return writeln!(out, "  none");
        };
        let share = 100.0 * requests.errors as f64 / requests.count as f64;
        writeln!(out, "  {} requests, {} failed ({share:.2} %)", requests.count, requests.errors)?;
        writeln!(out, "  p50 {p50:.0} ms, p95 {p95:.0} ms, p99 {p99:.0} ms")?;
        writeln!(out, "\nSlowest endpoints\n  {:>8} {:>8} {:>9}  endpoint", "p95 ms", "count", "errors")?;
        for timing in &self.slowest_endpoints {
            let EndpointTiming { service, method, endpoint, count, errors, p95_ms, .. } = timing;
            writeln!(out, "  {p95_ms:>8.0} {count:>8} {errors:>9}  {service} {method} {endpoint}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests_support::Bench;

    #[tokio::test]
    async fn a_report_is_stored_as_a_document_and_as_text() {
        let bench = Bench::new("").await;
        let at = bench.clock.now() - TimeDelta::hours(1);
        bench.requests(at, 98, 200, 20.0).await;
        bench.requests(at, 2, 503, 900.0).await;
        let generated = GeneratePerformanceReport::default().run(&bench.cx).await.unwrap();
        assert_eq!((generated.requests, generated.alerts), (100, 0));
        let report = bench.cx.store.report(generated.report_id).await.unwrap().unwrap();
        assert_eq!(report.body["requests"]["errors"], 2);
        insta::assert_snapshot!(report.text, @r"
        Performance report, 2026-05-19 12:00 to 2026-05-20 12:00 UTC

        Requests
          100 requests, 2 failed (2.00 %)
          p50 20 ms, p95 20 ms, p99 900 ms

        Slowest endpoints
            p95 ms    count    errors  endpoint
                20      100         2  shop POST /pay

        Hosts
          no samples

        Services
          none checked

        Alerts
          none
        ");
    }

    #[tokio::test]
    async fn an_empty_database_has_a_report_too() {
        let bench = Bench::new("").await;
        let generated = GeneratePerformanceReport { hours: 1 }.run(&bench.cx).await.unwrap();
        let report = bench.cx.store.report(generated.report_id).await.unwrap().unwrap();
        assert!(report.text.contains("Requests\n  none"), "{}", report.text);
    }
}
