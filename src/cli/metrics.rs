//! `dogwatch summary`, `endpoints`, `slow-requests`, `slow-queries`: what happened in a window.

use std::process::ExitCode;

use anstyle::AnsiColor;
use chrono::{DateTime, Utc};
use clap::Args;
use dogwatch_queue::Clock;
use dogwatch_store::{QueryTiming, SlowRequest, Store};
use serde::de::DeserializeOwned;

use super::{Global, output, point_in_time, usage};
use crate::config::MonitoringSettings;
use crate::metrics::{self, Endpoint, EndpointOrder, MetricsError, Page, Question};
use crate::wiring;

/// Error rates from here on are red, in parts of one.
const HIGH_ERROR_RATE: f64 = 0.05;
/// A p95 that has grown by this factor is red, and one that has shrunk by it is green.
const NOTABLE_CHANGE: f64 = 1.2;

/// Which window, and whose.
#[derive(Debug, Args)]
struct WindowArgs {
    /// Hours to look back; default: 24
    #[arg(long, conflicts_with = "from")]
    hours: Option<u32>,
    /// From when, instead: a date or a time in RFC 3339
    #[arg(long, value_name = "TIME", value_parser = point_in_time)]
    from: Option<DateTime<Utc>>,
    /// To when; default: now
    #[arg(long, value_name = "TIME", value_parser = point_in_time)]
    to: Option<DateTime<Utc>>,
    /// Of this tenant only
    #[arg(long)]
    tenant: Option<String>,
    /// Of this service only
    #[arg(long)]
    service: Option<String>,
    /// Of this HTTP method only
    #[arg(long)]
    method: Option<String>,
    /// Of this route only, such as /users/{id}
    #[arg(long)]
    endpoint: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// How much of a list.
#[derive(Debug, Args)]
struct PageArgs {
    /// Items to show
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=500))]
    limit: u16,
    /// Go on where a page ended: its `next_cursor`
    #[arg(long)]
    cursor: Option<String>,
}

/// Show all requests of the last hours in one line
#[derive(Debug, Args)]
#[command(after_help = "Example: dogwatch summary --hours 24 --service shop")]
pub(super) struct Summary {
    #[command(flatten)]
    window: WindowArgs,
}

/// Show the endpoints of the last hours, the busiest first
#[derive(Debug, Args)]
#[command(after_help = "Example: dogwatch endpoints --hours 1 --service shop --sort p95_ms")]
pub(super) struct Endpoints {
    /// In which order, the greatest first
    #[arg(long, value_enum, default_value_t)]
    sort: EndpointOrder,
    #[command(flatten)]
    window: WindowArgs,
    #[command(flatten)]
    page: PageArgs,
}

/// Show the slowest requests of the last hours
#[derive(Debug, Args)]
#[command(after_help = "Example: dogwatch slow-requests --threshold 2000 --hours 24")]
pub(super) struct SlowRequests {
    /// What is slow, in milliseconds; default: `monitoring.slow_request_ms`
    #[arg(long, value_name = "MS")]
    threshold: Option<f64>,
    #[command(flatten)]
    window: WindowArgs,
    #[command(flatten)]
    page: PageArgs,
}

/// Show the queries of the last hours that were slow, those that cost most first
#[derive(Debug, Args)]
#[command(after_help = "Example: dogwatch slow-queries --threshold 0 --hours 24    (0: all queries)")]
pub(super) struct SlowQueries {
    /// What is slow, in milliseconds; 0: all; default: `monitoring.slow_query_ms`
    #[arg(long, value_name = "MS")]
    threshold: Option<f64>,
    #[command(flatten)]
    window: WindowArgs,
    #[command(flatten)]
    page: PageArgs,
}

impl WindowArgs {
    fn question(&self) -> Question {
        Question {
            hours: self.hours,
            since: self.from,
            until: self.to,
            tenant: self.tenant.clone(),
            service: self.service.clone(),
            method: self.method.clone(),
            endpoint: self.endpoint.clone(),
            ..Question::default()
        }
    }
}

impl PageArgs {
    fn of(self, question: Question) -> Question {
        Question { limit: Some(self.limit), cursor: self.cursor, ..question }
    }
}

/// What a question is asked of.
struct Asked {
    store: Store,
    now: DateTime<Utc>,
    monitoring: MonitoringSettings,
}

async fn connect(global: &Global) -> anyhow::Result<Asked> {
    let (store, config) = wiring::store_with_changes(global.client_settings()?).await?;
    Ok(Asked { store, now: Clock::system().now(), monitoring: config.monitoring })
}

/// The answer of the Dogwatch that is asked, here or elsewhere.
async fn ask<T: DeserializeOwned>(
    global: &Global,
    what: &str,
    question: Question,
    here: impl AsyncFnOnce(Asked, &Question) -> Result<T, MetricsError>,
) -> anyhow::Result<T> {
    match global.remote()? {
        Some(remote) => remote.get(&["performance", "metrics", what], &question).await,
        None => answered(here(connect(global).await?, &question).await),
    }
}

/// A wrong question is wrong usage.
fn answered<T>(answer: Result<T, MetricsError>) -> anyhow::Result<T> {
    answer.map_err(|error| match error {
        MetricsError::Store(error) => error.into(),
        wrong @ MetricsError::Question { .. } => usage(wrong.to_string()),
    })
}

fn print<T: serde::Serialize>(
    page: &Page<T>,
    json: bool,
    header: &[&str],
    row: impl Fn(&T) -> Vec<String>,
    empty: &str,
) -> anyhow::Result<ExitCode> {
    if json {
        output::json(page)?;
        return Ok(ExitCode::SUCCESS);
    }
    output::table(header, page.items.iter().map(row).collect(), empty);
    if let Some(cursor) = &page.next_cursor {
        output::note(&format!("there are more: add --cursor {cursor}"));
    }
    Ok(ExitCode::SUCCESS)
}

impl Summary {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let here = async |asked: Asked, question: &Question| {
            metrics::summary(&asked.store, asked.now, question).await
        };
        let summary = ask(global, "summary", self.window.question(), here).await?;
        if self.window.json {
            output::json(&summary)?;
            return Ok(ExitCode::SUCCESS);
        }
        let requests = &summary.requests;
        let header = ["requests", "errors", "mean", "p50", "p90", "p95", "p99", "max", "in database"];
        let row = vec![
            requests.count.to_string(),
            summary.error_rate.map(error_rate).unwrap_or_default(),
            ms(requests.mean_ms),
            ms(requests.p50_ms),
            ms(requests.p90_ms),
            ms(requests.p95_ms),
            ms(requests.p99_ms),
            ms(requests.max_ms),
            requests.database_share.map(percent).unwrap_or_default(),
        ];
        output::table(&header, vec![row], "");
        Ok(ExitCode::SUCCESS)
    }
}

impl Endpoints {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let question = Question { sort: Some(self.sort), ..self.page.of(self.window.question()) };
        let here = async |asked: Asked, question: &Question| {
            metrics::endpoints(&asked.store, asked.now, question).await
        };
        let page = ask(global, "endpoints", question, here).await?;
        let header = [
            "service",
            "method",
            "endpoint",
            "requests",
            "errors",
            "p50",
            "p95",
            "before",
            "p99",
            "max",
            "in database",
        ];
        print(&page, self.window.json, &header, endpoint, "no request in this window")
    }
}

impl SlowRequests {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let question = Question { threshold_ms: self.threshold, ..self.page.of(self.window.question()) };
        let here = async |asked: Asked, question: &Question| {
            let default_ms = asked.monitoring.slow_request_ms;
            metrics::slow_requests(&asked.store, asked.now, question, default_ms).await
        };
        let page = ask(global, "slow-requests", question, here).await?;
        let header = ["time", "took", "service", "method", "endpoint", "status", "queries", "trace"];
        print(&page, self.window.json, &header, slow_request, "no request of this window was so slow")
    }
}

impl SlowQueries {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let question = Question { threshold_ms: self.threshold, ..self.page.of(self.window.question()) };
        let here = async |asked: Asked, question: &Question| {
            let default_ms = asked.monitoring.slow_query_ms;
            metrics::slow_queries(&asked.store, asked.now, question, default_ms).await
        };
        let page = ask(global, "slow-queries", question, here).await?;
        let header = ["share", "calls", "mean", "p95", "max", "n+1", "used by", "query"];
        print(&page, self.window.json, &header, slow_query, "no query of this window was so slow")
    }
}

fn endpoint(endpoint: &Endpoint) -> Vec<String> {
    let timing = &endpoint.timing;
    let p95 = ms(Some(timing.p95_ms));
    let p95 = match &endpoint.before {
        Some(before) if timing.p95_ms > before.p95_ms * NOTABLE_CHANGE => {
            output::coloured(AnsiColor::Red, &p95)
        }
        Some(before) if timing.p95_ms * NOTABLE_CHANGE < before.p95_ms => {
            output::coloured(AnsiColor::Green, &p95)
        }
        _ => p95,
    };
    vec![
        timing.service.clone(),
        timing.method.clone(),
        output::short(&timing.endpoint, 50),
        timing.count.to_string(),
        error_rate(endpoint.error_rate),
        ms(Some(timing.p50_ms)),
        p95,
        ms(endpoint.before.as_ref().map(|before| before.p95_ms)),
        ms(Some(timing.p99_ms)),
        ms(Some(timing.max_ms)),
        timing.database_share.map(percent).unwrap_or_default(),
    ]
}

fn slow_request(slow: &SlowRequest) -> Vec<String> {
    vec![
        output::time(Some(slow.occurred_at)),
        ms(Some(slow.response_time_ms)),
        slow.service.clone(),
        slow.method.clone(),
        output::short(&slow.endpoint, 50),
        slow.status_code.map(|status| status.to_string()).unwrap_or_default(),
        slow.db_query_count.map(|count| count.to_string()).unwrap_or_default(),
        slow.trace_id.clone().unwrap_or_default(),
    ]
}

fn slow_query(query: &QueryTiming) -> Vec<String> {
    let used_by = query.used_by.first().map(|user| match (&user.method, &user.endpoint) {
        (Some(method), Some(endpoint)) => format!("{method} {endpoint}"),
        _ => user.service.clone(),
    });
    let repeated = match query.repeated_in_requests {
        0 => String::new(),
        requests => output::coloured(AnsiColor::Red, &requests.to_string()),
    };
    vec![
        percent(query.share),
        query.calls.to_string(),
        ms(Some(query.mean_ms)),
        ms(Some(query.p95_ms)),
        ms(Some(query.max_ms)),
        repeated,
        output::short(&used_by.unwrap_or_default(), 30),
        output::short(&query.text, 80),
    ]
}

/// Milliseconds with three figures or so; nothing where there is none.
fn ms(value: Option<f64>) -> String {
    match value {
        None => String::new(),
        Some(ms) if ms < 10.0 => format!("{ms:.2} ms"),
        Some(ms) if ms < 100.0 => format!("{ms:.1} ms"),
        Some(ms) if ms < 10_000.0 => format!("{ms:.0} ms"),
        Some(ms) => format!("{:.1} s", ms / 1000.0),
    }
}

fn percent(part: f64) -> String {
    format!("{:.1} %", part * 100.0)
}

fn error_rate(part: f64) -> String {
    let text = percent(part);
    if part >= HIGH_ERROR_RATE { output::coloured(AnsiColor::Red, &text) } else { text }
}
