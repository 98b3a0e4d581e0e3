//! `/api/v1/performance/trends`: what has shifted from one window to the next.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::TimeDelta;
use dogwatch_store::Trend;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::error::Problem;
use super::parts::Query;
use crate::metrics::Page;

/// Findings of a list.
const LIMIT: u32 = 500;

pub(super) fn reading() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list))
}

/// Of which time.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Asked {
    /// The last hours; default 24.
    #[param(minimum = 1, maximum = 8784)]
    hours: Option<u32>,
    /// Only of this service.
    service: Option<String>,
}

/// What has shifted, the newest first
#[utoipa::path(get, path = "/performance/trends", tag = "metrics", params(Asked), responses((status = 200, body = Page<Trend>)))]
async fn list(
    State(state): State<ApiState>,
    Query(asked): Query<Asked>,
) -> Result<Json<Page<Trend>>, Problem> {
    let wrong = |detail: String| Problem::new(StatusCode::BAD_REQUEST, detail);
    let hours = asked.hours.unwrap_or(24);
    if !(1..=24 * 366).contains(&hours) {
        return Err(wrong(format!("hours: `{hours}` is not between 1 and 8784")));
    }
    let since = state.clock.now() - TimeDelta::hours(hours.into());
    let mut items = state.store.trends(since, LIMIT).await?;
    items.retain(|trend| asked.service.is_none() || trend.service == asked.service);
    Ok(Json(Page { items, next_cursor: None }))
}
