//! `/api/v1/queues` and `/api/v1/workers`: what waits, who works; pause and resume.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use dogwatch_queue::{QueueCounts, WorkerInfo};
use serde::Serialize;

use super::ApiState;
use super::error::Problem;

/// A list.
#[derive(Serialize)]
pub(super) struct List<T> {
    items: Vec<T>,
    next_cursor: Option<String>,
}

impl<T> List<T> {
    fn of(items: Vec<T>) -> Json<Self> {
        Json(Self { items, next_cursor: None })
    }
}

/// `GET /api/v1/queues`.
pub(super) async fn list(State(state): State<ApiState>) -> Result<Json<List<QueueCounts>>, Problem> {
    Ok(List::of(state.inspector.counts().await?))
}

/// `POST /api/v1/queues/{name}/pause`.
pub(super) async fn pause(
    State(state): State<ApiState>,
    Path(name): Path<String>,
) -> Result<Json<QueueCounts>, Problem> {
    known(&state, &name).await?;
    state.control.pause(&name).await?;
    show(&state, &name).await
}

/// `POST /api/v1/queues/{name}/resume`.
pub(super) async fn resume(
    State(state): State<ApiState>,
    Path(name): Path<String>,
) -> Result<Json<QueueCounts>, Problem> {
    known(&state, &name).await?;
    state.control.resume(&name).await?;
    show(&state, &name).await
}

async fn known(state: &ApiState, name: &str) -> Result<(), Problem> {
    if state.inspector.queues().await?.contains(name) { Ok(()) } else { Err(absent(name)) }
}

async fn show(state: &ApiState, name: &str) -> Result<Json<QueueCounts>, Problem> {
    let queue = state.inspector.counts().await?.into_iter().find(|queue| queue.name == name);
    queue.map(Json).ok_or_else(|| absent(name))
}

fn absent(name: &str) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, format!("no queue is named `{name}`"))
}

/// `GET /api/v1/workers`.
pub(super) async fn workers(State(state): State<ApiState>) -> Result<Json<List<WorkerInfo>>, Problem> {
    Ok(List::of(state.inspector.workers().await?))
}
