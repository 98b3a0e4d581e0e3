//! `/api/v1/performance/services/health` and `/heartbeats`: how services are, and what they tell of themselves.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use dogwatch_store::ExportRefusal;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::error::Problem;
use super::parts::Path;
use crate::metrics::Page;
use crate::services::{Service, services};

/// How far back the list of what was refused goes.
const REFUSED_LATELY_MINUTES: i32 = 10;
/// Bytes of a name.
const MAX_NAME: usize = 200;

pub(super) fn reading() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(health)).routes(routes!(refusals))
}

pub(super) fn ingesting() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(beat))
}

/// How the checked services are, and how long they were up
#[utoipa::path(get, path = "/performance/services/health", tag = "services", responses((status = 200, body = Page<Service>)))]
async fn health(State(state): State<ApiState>) -> Result<Json<Page<Service>>, Problem> {
    let items = services(&state.store, &state.needs, state.clock.now()).await?;
    Ok(Json(Page { items, next_cursor: None }))
}

/// What exporters sent in the last ten minutes and was refused
#[utoipa::path(get, path = "/performance/services/refusals", tag = "services",
    responses((status = 200, body = Page<ExportRefusal>)))]
async fn refusals(State(state): State<ApiState>) -> Result<Json<Page<ExportRefusal>>, Problem> {
    Ok(Json(Page { items: state.store.export_refusals(REFUSED_LATELY_MINUTES).await?, next_cursor: None }))
}

/// Tell that a service lives, which `[[services]]` has with `url = "heartbeat:"`
#[utoipa::path(post, path = "/heartbeats/{name}", tag = "services", params(("name" = String, Path)), responses((status = 204)))]
async fn beat(State(state): State<ApiState>, Path(name): Path<String>) -> Result<StatusCode, Problem> {
    if name.is_empty() || name.len() > MAX_NAME || name.contains('\0') {
        return Err(Problem::new(StatusCode::BAD_REQUEST, format!("a name has 1 to {MAX_NAME} bytes")));
    }
    // Whoever may call could otherwise fill the table.
    if !state.heartbeats.contains(&name) {
        let detail = format!("no service is named `{name}` and has `url = \"heartbeat:\"` in dogwatch.toml");
        return Err(Problem::new(StatusCode::NOT_FOUND, detail));
    }
    state.store.beat(&name, state.clock.now()).await?;
    Ok(StatusCode::NO_CONTENT)
}
