//! `/api/v1/performance/metrics/…`: what happened in a window, over all, by endpoint, and what was slow.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use dogwatch_store::{History, QueryTiming, SlowRequest};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::error::Problem;
use super::parts::Query;
use crate::access::Caller;
use crate::metrics::{self, Endpoint, MetricsError, Page, Question, Summary};

type Asked = Query<Question>;

pub(super) fn reading() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(summary))
        .routes(routes!(history))
        .routes(routes!(endpoints))
        .routes(routes!(slow_requests))
        .routes(routes!(slow_queries))
}

/// All requests of a window in one line
#[utoipa::path(get, path = "/performance/metrics/summary", tag = "metrics", params(Question),
    responses((status = 200, body = Summary)))]
async fn summary(
    State(state): State<ApiState>,
    caller: Caller,
    asked: Asked,
) -> Result<Json<Summary>, Problem> {
    Ok(Json(metrics::summary(&state.store, state.clock.now(), &question(asked, &caller)?).await?))
}

/// A window step by step: all requests, or with `fingerprint` all calls of a query
#[utoipa::path(get, path = "/performance/metrics/history", tag = "metrics", params(Question),
    responses((status = 200, body = History)))]
async fn history(
    State(state): State<ApiState>,
    caller: Caller,
    asked: Asked,
) -> Result<Json<History>, Problem> {
    Ok(Json(metrics::history(&state.store, state.clock.now(), &question(asked, &caller)?).await?))
}

/// The endpoints of a window, by one of their figures
#[utoipa::path(get, path = "/performance/metrics/endpoints", tag = "metrics", params(Question),
    responses((status = 200, body = Page<Endpoint>)))]
async fn endpoints(
    State(state): State<ApiState>,
    caller: Caller,
    asked: Asked,
) -> Result<Json<Page<Endpoint>>, Problem> {
    Ok(Json(metrics::endpoints(&state.store, state.clock.now(), &question(asked, &caller)?).await?))
}

/// The slowest requests of a window
#[utoipa::path(get, path = "/performance/metrics/slow-requests", tag = "metrics", params(Question),
    responses((status = 200, body = Page<SlowRequest>)))]
async fn slow_requests(
    State(state): State<ApiState>,
    caller: Caller,
    asked: Asked,
) -> Result<Json<Page<SlowRequest>>, Problem> {
    let threshold_ms = state.tuning.monitoring().slow_request_ms;
    let question = question(asked, &caller)?;
    Ok(Json(metrics::slow_requests(&state.store, state.clock.now(), &question, threshold_ms).await?))
}

/// The queries of a window that were slow, those that cost most first
#[utoipa::path(get, path = "/performance/metrics/slow-queries", tag = "metrics", params(Question),
    responses((status = 200, body = Page<QueryTiming>)))]
async fn slow_queries(
    State(state): State<ApiState>,
    caller: Caller,
    asked: Asked,
) -> Result<Json<Page<QueryTiming>>, Problem> {
    let threshold_ms = state.tuning.monitoring().slow_query_ms;
    let question = question(asked, &caller)?;
    let mut page = metrics::slow_queries(&state.store, state.clock.now(), &question, threshold_ms).await?;
    if caller.tenant.is_some() {
        // What the database says of a query, and when it was first seen, is of all who use it.
        page.items = page.items.into_iter().map(QueryTiming::of_one_tenant).collect();
    }
    Ok(Json(page))
}

pub(super) fn question(asked: Asked, caller: &Caller) -> Result<Question, Problem> {
    let Query(mut question) = asked;
    question.tenant = caller.tenant(question.tenant)?;
    Ok(question)
}

impl From<MetricsError> for Problem {
    fn from(error: MetricsError) -> Self {
        match error {
            MetricsError::Store(error) => error.into(),
            wrong @ MetricsError::Question { .. } => Self::new(StatusCode::BAD_REQUEST, wrong.to_string()),
        }
    }
}
