//! `/api/v1/performance/metrics/…`: what happened in a window, over all, by endpoint, and the slowest requests.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use dogwatch_store::{
    EndpointTiming, MIN_SLOW_MS, MetricFilter, RequestSummary, SlowRequest, SlowRequestCursor, Window,
};
use serde::{Deserialize, Serialize};

use super::ApiState;
use super::error::Problem;

/// A year.
const MAX_HOURS: u32 = 24 * 366;
const MAX_LIMIT: u16 = 500;
const DEFAULT_LIMIT: u16 = 50;
/// What is slow where nobody says otherwise, in milliseconds.
const DEFAULT_SLOW_MS: f64 = 1000.0;

/// Which window, and whose requests.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WindowQuery {
    hours: Option<u32>,
    since: Option<DateTime<Utc>>,
    until: Option<DateTime<Utc>>,
    tenant: Option<String>,
    service: Option<String>,
    endpoint: Option<String>,
    /// Of lists.
    limit: Option<u16>,
    /// Of slow requests.
    threshold_ms: Option<f64>,
    cursor: Option<String>,
}

/// All requests of a window.
#[derive(Serialize)]
pub(super) struct Summary {
    since: DateTime<Utc>,
    until: DateTime<Utc>,
    /// Part of the requests that failed, 0 to 1; absent when there was none.
    error_rate: Option<f64>,
    #[serde(flatten)]
    requests: RequestSummary,
}

/// An endpoint, and how it was in the window before, of the same length.
#[derive(Serialize)]
pub(super) struct Endpoint {
    error_rate: f64,
    #[serde(flatten)]
    timing: EndpointTiming,
    before: Option<Before>,
}

/// An endpoint in the window before.
#[derive(Serialize)]
struct Before {
    count: i64,
    error_rate: f64,
    mean_ms: f64,
    p95_ms: f64,
}

/// One slow request.
#[derive(Serialize)]
pub(super) struct Slow {
    occurred_at: DateTime<Utc>,
    tenant: Option<String>,
    service: String,
    method: String,
    endpoint: String,
    status_code: Option<i16>,
    response_time_ms: f64,
    user_id: Option<String>,
    client_address: Option<String>,
    trace_id: Option<String>,
    db_query_count: Option<i32>,
    db_query_time_ms: Option<f64>,
    error: Option<String>,
}

/// A page of a list.
#[derive(Serialize)]
pub(super) struct Page<T> {
    items: Vec<T>,
    next_cursor: Option<String>,
}

type Asked = Result<Query<WindowQuery>, QueryRejection>;

/// Everything in one line.
pub(super) async fn summary(State(state): State<ApiState>, query: Asked) -> Result<Json<Summary>, Problem> {
    let query = read(query)?;
    let (since, until, window) = query.window(state.clock.now())?;
    let requests = state.store.request_summary(window, &query.filter()).await?;
    let error_rate = (requests.count > 0).then(|| rate(requests.errors, requests.count));
    Ok(Json(Summary { since, until, error_rate, requests }))
}

/// The busiest endpoints.
pub(super) async fn endpoints(
    State(state): State<ApiState>,
    query: Asked,
) -> Result<Json<Page<Endpoint>>, Problem> {
    let query = read(query)?;
    let (since, until, window) = query.window(state.clock.now())?;
    let before = Window { since: since - (until - since), until: Some(since) };
    let filter = query.filter();
    let (now, then) = tokio::try_join!(
        state.store.response_times(window, &filter),
        state.store.response_times(before, &filter)
    )?;
    let items = now.into_iter().take(query.limit()?.into()).map(|timing| {
        let same = |other: &&EndpointTiming| {
            (&other.service, &other.method, &other.endpoint)
                == (&timing.service, &timing.method, &timing.endpoint)
        };
        let before = then.iter().find(same).map(|timing| Before {
            count: timing.count,
            error_rate: rate(timing.errors, timing.count),
            mean_ms: timing.mean_ms,
            p95_ms: timing.p95_ms,
        });
        Endpoint { error_rate: rate(timing.errors, timing.count), timing, before }
    });
    Ok(Json(Page { items: items.collect(), next_cursor: None }))
}

/// The slowest requests, a page of them.
pub(super) async fn slow_requests(
    State(state): State<ApiState>,
    query: Asked,
) -> Result<Json<Page<Slow>>, Problem> {
    let query = read(query)?;
    let (_, _, window) = query.window(state.clock.now())?;
    let threshold_ms = query.threshold_ms.unwrap_or(DEFAULT_SLOW_MS);
    if !(MIN_SLOW_MS..=1e9).contains(&threshold_ms) {
        return Err(wrong(
            "threshold_ms",
            format!("`{threshold_ms}` is not between {MIN_SLOW_MS} and 1000000000"),
        ));
    }
    let cursor = query.cursor.as_deref().map(str::parse::<SlowRequestCursor>).transpose();
    let cursor = cursor.map_err(|reason| wrong("cursor", reason))?;
    let limit = query.limit()?;
    let slow = state.store.slow_requests(window, &query.filter(), threshold_ms, cursor, limit.into()).await?;
    let is_full = slow.len() == usize::from(limit);
    let next_cursor = slow.last().filter(|_| is_full).map(|last| last.cursor().to_string());
    Ok(Json(Page { items: slow.into_iter().map(Slow::from).collect(), next_cursor }))
}

fn read(query: Asked) -> Result<WindowQuery, Problem> {
    let Query(query) = query.map_err(|error| Problem::new(StatusCode::BAD_REQUEST, error.body_text()))?;
    Ok(query)
}

fn wrong(name: &str, reason: impl std::fmt::Display) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, format!("{name}: {reason}"))
}

fn rate(errors: i64, count: i64) -> f64 {
    errors as f64 / (count as f64).max(1.0)
}

impl WindowQuery {
    /// From when, to when, and what of it the store is asked for: all that came since, where no end is given.
    fn window(&self, now: DateTime<Utc>) -> Result<(DateTime<Utc>, DateTime<Utc>, Window), Problem> {
        if self.hours.is_some() && self.since.is_some() {
            return Err(wrong("hours", "stands beside `since`; write one of them"));
        }
        let hours = self.hours.unwrap_or(24);
        if !(1..=MAX_HOURS).contains(&hours) {
            return Err(wrong("hours", format!("`{hours}` is not between 1 and {MAX_HOURS}")));
        }
        let until = self.until.unwrap_or(now);
        // A part of a minute is read row by row: nobody who writes hours asks for it.
        let whole =
            (until - TimeDelta::hours(hours.into())).duration_trunc(TimeDelta::minutes(1)).unwrap_or(until);
        let since = self.since.unwrap_or(whole);
        if since >= until {
            return Err(wrong(
                "since",
                format!("`{}` is not before {}", since.to_rfc3339(), until.to_rfc3339()),
            ));
        }
        Ok((since, until, Window { since, until: self.until }))
    }

    fn filter(&self) -> MetricFilter {
        MetricFilter {
            tenant: self.tenant.clone(),
            service: self.service.clone(),
            endpoint: self.endpoint.clone(),
        }
    }

    fn limit(&self) -> Result<u16, Problem> {
        let limit = self.limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            return Err(wrong("limit", format!("`{limit}` is not between 1 and {MAX_LIMIT}")));
        }
        Ok(limit)
    }
}

impl From<SlowRequest> for Slow {
    fn from(slow: SlowRequest) -> Self {
        Self {
            occurred_at: slow.occurred_at,
            tenant: slow.tenant,
            service: slow.service,
            method: slow.method,
            endpoint: slow.endpoint,
            status_code: slow.status_code,
            response_time_ms: slow.response_time_ms,
            user_id: slow.user_id,
            client_address: slow.client_address,
            trace_id: slow.trace_id,
            db_query_count: slow.db_query_count,
            db_query_time_ms: slow.db_query_time_ms,
            error: slow.error,
        }
    }
}
