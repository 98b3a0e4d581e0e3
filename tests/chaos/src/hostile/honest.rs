//! Honest senders: a service that exports its requests as SDKs do, trying again what was not accepted, and every minute
//! another one that begins to fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use anyhow::Result;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::ALERT_IN_TIME;
use super::receiver::Receiver;
use super::subject::Subject;

/// The service whose requests are counted.
const COUNTED: &str = "SELECT count(*) FROM performance_metrics JOIN metric_series ON metric_series.id = series_id \
                       WHERE metric_series.service = 'honest'";
/// Services that fail, with a number behind.
pub(super) const FAILING: &str = "honest-failing-";
const SPANS: u64 = 20;
const EXPORT_EVERY: Duration = Duration::from_millis(500);
const FAIL_EVERY: Duration = Duration::from_mins(1);
/// More failures than the rule needs.
const FAILURES: u64 = 40;
/// As SDKs do.
const LONGEST_RETRY: Duration = Duration::from_mins(1);
const STORED_LIMIT: Duration = Duration::from_mins(2);

pub(super) struct Honest {
    sent: Arc<AtomicU64>,
    retried: Arc<AtomicU64>,
    exporting: JoinHandle<()>,
    failing: JoinHandle<Vec<Instant>>,
}

/// What came of the honest senders.
pub(super) struct Outcome {
    pub(super) sent: u64,
    pub(super) stored: u64,
    /// How long after the failures each alert came.
    pub(super) alerts: Vec<Option<Duration>>,
}

impl Honest {
    pub(super) fn start(subject: &Arc<Subject>, stop: CancellationToken) -> Self {
        let (sent, retried) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let exporting = {
            let (subject, stop, sent, retried) =
                (subject.clone(), stop.clone(), sent.clone(), retried.clone());
            tokio::spawn(async move {
                while !stop.is_cancelled() {
                    if export(&subject, &batch("honest", SPANS, 200), &retried).await {
                        sent.fetch_add(SPANS, Ordering::Relaxed);
                    }
                    stop.run_until_cancelled(tokio::time::sleep(EXPORT_EVERY)).await;
                }
            })
        };
        let failing = {
            let (subject, retried) = (subject.clone(), retried.clone());
            tokio::spawn(async move {
                let mut began = Vec::new();
                // One that begins shortly before the end has no time left.
                while stop.run_until_cancelled(tokio::time::sleep(FAIL_EVERY / 2)).await.is_some() {
                    let service = format!("{FAILING}{}", began.len());
                    export(&subject, &batch(&service, FAILURES, 500), &retried).await;
                    began.push(Instant::now());
                    stop.run_until_cancelled(tokio::time::sleep(FAIL_EVERY / 2)).await;
                }
                began
            })
        };
        Self { sent, retried, exporting, failing }
    }

    pub(super) fn progress(&self) -> String {
        let (sent, retried) = (self.sent.load(Ordering::Relaxed), self.retried.load(Ordering::Relaxed));
        format!("{sent} honest requests sent, {retried} exports tried again")
    }

    /// Waits until all is stored and the alerts have come, for a bounded time.
    pub(super) async fn finish(self, subject: &Subject, receiver: &Receiver) -> Result<Outcome> {
        self.exporting.await?;
        let began = self.failing.await?;
        let (sent, since) = (self.sent.load(Ordering::Relaxed), Instant::now());
        let count = async || subject.number(COUNTED).await.map(i64::unsigned_abs);
        let mut stored = count().await?;
        while stored != sent && since.elapsed() < STORED_LIMIT {
            tokio::time::sleep(Duration::from_secs(1)).await;
            stored = count().await?;
        }
        let delay = |(index, began): (usize, &Instant)| {
            receiver.named_at(&format!("{FAILING}{index}")).map(|at| at.duration_since(*began))
        };
        let mut alerts: Vec<_> = began.iter().enumerate().map(delay).collect();
        while alerts.contains(&None) && since.elapsed() < ALERT_IN_TIME {
            tokio::time::sleep(Duration::from_secs(1)).await;
            alerts = began.iter().enumerate().map(delay).collect();
        }
        Ok(Outcome { sent, stored, alerts })
    }
}

impl Outcome {
    pub(super) fn delays(&self) -> String {
        let delay = |delay: &Option<Duration>| {
            delay.map_or_else(|| "never".to_owned(), |delay| format!("{} s", delay.as_secs()))
        };
        self.alerts.iter().map(delay).collect::<Vec<_>>().join(", ")
    }
}

/// Sends a batch until it is accepted. False when it was not in all the time that an SDK tries.
async fn export(subject: &Subject, body: &Value, retried: &AtomicU64) -> bool {
    let began = Instant::now();
    let mut pause = Duration::from_millis(500);
    while began.elapsed() < LONGEST_RETRY {
        let request = subject.http.post(subject.traces_url()).bearer_auth(&subject.honest_key).json(body);
        if request.send().await.is_ok_and(|answer| answer.status().is_success()) {
            return true;
        }
        retried.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(5));
    }
    false
}

/// Requests that have just ended.
pub(super) fn batch(service: &str, count: u64, status: u16) -> Value {
    let spans: Vec<Value> = (0..count).map(|_| span(status, Duration::from_millis(20), now_ns())).collect();
    of_service(service, &spans)
}

pub(super) fn of_service(service: &str, spans: &[Value]) -> Value {
    json!({"resourceSpans": [{
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]},
        "scopeSpans": [{"spans": spans}],
    }]})
}

pub(super) fn span(status: u16, took: Duration, end_ns: u128) -> Value {
    let start = end_ns.saturating_sub(took.as_nanos());
    json!({
        "traceId": format!("{:032x}", rand::random::<u128>()), "spanId": format!("{:016x}", rand::random::<u64>()),
        "name": "GET /orders", "kind": 2,
        "startTimeUnixNano": start.to_string(), "endTimeUnixNano": end_ns.to_string(),
        "attributes": [
            {"key": "http.request.method", "value": {"stringValue": "GET"}},
            {"key": "http.route", "value": {"stringValue": "/orders"}},
            {"key": "http.response.status_code", "value": {"intValue": status}},
        ],
    })
}

pub(super) fn now_ns() -> u128 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos()
}
