//! `POST /api/v1/performance/metrics`: request metrics, for who has no OpenTelemetry.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, TimeDelta, Utc};
use dogwatch_runtime::time;
use dogwatch_store::{Batch, MAX_COUNT, MAX_TIME_MS, RequestMetric, SpanKey};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::body::{OneOrMany, OneOrManyOf, wrong_text};
use super::error::Problem;
use crate::access::Caller;

/// How far a sender's clock may be ahead.
const MAX_AHEAD: TimeDelta = TimeDelta::minutes(5);
/// How old a metric may be: late ones are welcome, but each day has a partition.
const MAX_AGE: TimeDelta = TimeDelta::days(7);
const MAX_TEXT: usize = 1000;

pub(super) fn ingesting() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(store))
}

/// One request that some service has answered. What is left out is unknown, not zero.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MetricRequest {
    service: String,
    endpoint: String,
    method: String,
    status_code: i16,
    response_time_ms: f64,
    #[serde(default, deserialize_with = "time::optional")]
    occurred_at: Option<DateTime<Utc>>,
    tenant: Option<String>,
    user_id: Option<String>,
    client_address: Option<String>,
    trace_id: Option<String>,
    db_query_count: Option<i32>,
    db_query_time_ms: Option<f64>,
    cache_hits: Option<i32>,
    cache_misses: Option<i32>,
    error: Option<String>,
}

/// How many were stored.
#[derive(Serialize, ToSchema)]
struct Stored {
    /// So many.
    stored: u64,
}

/// Tell of requests: 201 when all are stored, 202 while monitoring is off; on any error none is
#[utoipa::path(post, path = "/performance/metrics", tag = "metrics", request_body = OneOrManyOf<MetricRequest>,
    responses((status = 201, body = Stored), (status = 202, body = Stored)))]
async fn store(
    State(state): State<ApiState>,
    caller: Caller,
    body: OneOrMany<MetricRequest>,
) -> Result<(StatusCode, Json<Stored>), Problem> {
    let now = state.clock.now();
    let mut rows: Vec<RequestMetric> =
        body.into_items().map(|(pointer, metric)| metric.check(&pointer, now)).collect::<Result<_, _>>()?;
    for row in &mut rows {
        row.tenant = caller.tenant(row.tenant.take())?;
    }
    if !state.tuning.monitoring().enabled {
        return Ok((StatusCode::ACCEPTED, Json(Stored { stored: 0 })));
    }
    let mut batch = Batch::of(caller.series_owner());
    for row in &rows {
        state.store.add_request(&mut batch, row).await?;
    }
    let stored = state.intake.store(batch).await?;
    Ok((StatusCode::CREATED, Json(Stored { stored })))
}

impl MetricRequest {
    pub(super) fn check(self, pointer: &str, now: DateTime<Utc>) -> Result<RequestMetric, Problem> {
        let wrong = |field: &str, reason: String| Err(Problem::at(format!("{pointer}/{field}"), reason));
        for (field, text) in
            [("service", &self.service), ("endpoint", &self.endpoint), ("method", &self.method)]
        {
            if text.is_empty() {
                return wrong(field, format!("is empty; write 1 to {MAX_TEXT} bytes"));
            }
            if let Some(reason) = wrong_text(text, MAX_TEXT, char::is_control) {
                return wrong(field, reason);
            }
        }
        let optional = [
            ("tenant", &self.tenant),
            ("user_id", &self.user_id),
            ("client_address", &self.client_address),
            ("trace_id", &self.trace_id),
            ("error", &self.error),
        ];
        let optional = optional.into_iter().filter_map(|(field, text)| Some((field, text.as_ref()?)));
        for (field, text) in optional {
            let may_break = |c: char| field == "error" && matches!(c, '\n' | '\r' | '\t');
            if let Some(reason) = wrong_text(text, MAX_TEXT, |c| c.is_control() && !may_break(c)) {
                return wrong(field, reason);
            }
        }
        if !(100..=599).contains(&self.status_code) {
            return wrong(
                "status_code",
                format!("`{}` is no HTTP status; write 100 to 599", self.status_code),
            );
        }
        let times =
            [("response_time_ms", Some(self.response_time_ms)), ("db_query_time_ms", self.db_query_time_ms)];
        for (field, time) in times {
            if let Some(ms) = time.filter(|ms| !(0.0..=MAX_TIME_MS).contains(ms)) {
                return wrong(field, format!("`{ms}` is not between 0 and {MAX_TIME_MS} milliseconds"));
            }
        }
        let counts = [
            ("db_query_count", self.db_query_count),
            ("cache_hits", self.cache_hits),
            ("cache_misses", self.cache_misses),
        ];
        for (field, count) in counts {
            if let Some(count) = count.filter(|count| !(0..=MAX_COUNT).contains(count)) {
                return wrong(field, format!("`{count}` is not between 0 and {MAX_COUNT}"));
            }
        }
        let occurred_at = self.occurred_at.unwrap_or(now);
        if occurred_at > now + MAX_AHEAD || occurred_at < now - MAX_AGE {
            let reason = format!(
                "`{}` is not within the last 7 days; it is {} now",
                occurred_at.to_rfc3339(),
                now.to_rfc3339()
            );
            return wrong("occurred_at", reason);
        }
        Ok(RequestMetric {
            occurred_at,
            key: SpanKey::random(),
            tenant: self.tenant,
            service: self.service,
            endpoint: self.endpoint,
            method: self.method.to_uppercase(),
            status_code: Some(self.status_code),
            is_error: self.status_code >= 500,
            response_time_ms: self.response_time_ms,
            user_id: self.user_id,
            client_address: self.client_address,
            trace_id: self.trace_id,
            db_query_count: self.db_query_count,
            db_query_time_ms: self.db_query_time_ms,
            cache_hits: self.cache_hits,
            cache_misses: self.cache_misses,
            cpu_percent: None,
            memory_percent: None,
            error: self.error,
        })
    }
}
