//! `/api/v1/performance/services/health` and `/heartbeats`: how services are, and what they tell of themselves.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;

use super::ApiState;
use super::error::Problem;
use crate::metrics::Page;
use crate::services::{Service, services};

/// Bytes of a name.
const MAX_NAME: usize = 200;

/// `GET /performance/services/health`.
pub(super) async fn health(State(state): State<ApiState>) -> Result<Json<Page<Service>>, Problem> {
    let items = services(&state.store, state.clock.now()).await?;
    Ok(Json(Page { items, next_cursor: None }))
}

/// `POST /heartbeats/{name}`: of a service that `[[services]]` has with `url = "heartbeat:"`.
pub(super) async fn beat(
    State(state): State<ApiState>,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
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
