//! `GET /api/v1/performance/metrics/…`: what happened in a window, over all, by endpoint, and what was slow.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use dogwatch_store::{QueryTiming, SlowRequest};

use super::ApiState;
use super::error::Problem;
use crate::metrics::{self, Endpoint, MetricsError, Page, Question, Summary};

type Asked = Result<Query<Question>, QueryRejection>;

pub(super) async fn summary(State(state): State<ApiState>, asked: Asked) -> Result<Json<Summary>, Problem> {
    Ok(Json(metrics::summary(&state.store, state.clock.now(), &question(asked)?).await?))
}

pub(super) async fn endpoints(
    State(state): State<ApiState>,
    asked: Asked,
) -> Result<Json<Page<Endpoint>>, Problem> {
    Ok(Json(metrics::endpoints(&state.store, state.clock.now(), &question(asked)?).await?))
}

pub(super) async fn slow_requests(
    State(state): State<ApiState>,
    asked: Asked,
) -> Result<Json<Page<SlowRequest>>, Problem> {
    let threshold_ms = state.monitoring.slow_request_ms;
    let question = question(asked)?;
    Ok(Json(metrics::slow_requests(&state.store, state.clock.now(), &question, threshold_ms).await?))
}

pub(super) async fn slow_queries(
    State(state): State<ApiState>,
    asked: Asked,
) -> Result<Json<Page<QueryTiming>>, Problem> {
    let threshold_ms = state.monitoring.slow_query_ms;
    let question = question(asked)?;
    Ok(Json(metrics::slow_queries(&state.store, state.clock.now(), &question, threshold_ms).await?))
}

fn question(asked: Asked) -> Result<Question, Problem> {
    let Query(question) = asked.map_err(|error| Problem::new(StatusCode::BAD_REQUEST, error.body_text()))?;
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
