//! `/api/v1/performance/trends`: what trend analysis has found.

use axum::Json;
use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::error::Problem;
use super::parts::Query;
use crate::metrics::Page;
use crate::trends::{self, TrendItem, TrendQuestion};

pub(super) fn reading() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list))
}

/// What has changed, what is unusual, what will be full: what users feel most first, what is open before what has ended
#[utoipa::path(get, path = "/performance/trends", tag = "metrics", params(TrendQuestion), responses((status = 200, body = Page<TrendItem>)))]
async fn list(
    State(state): State<ApiState>,
    Query(asked): Query<TrendQuestion>,
) -> Result<Json<Page<TrendItem>>, Problem> {
    Ok(Json(trends::list(&state.store, state.clock.now(), &asked).await?))
}
