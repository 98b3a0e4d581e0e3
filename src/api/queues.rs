//! `/api/v1/queues` and `/api/v1/workers`: what waits, who works; pause, resume and purge.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use dogwatch_queue::{JobCount, QueueCounts, WorkerInfo};
use dogwatch_store::AuditAction;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::error::Problem;
use super::parts::Path;
use crate::access::Caller;
use crate::metrics::Page;

pub(super) fn reading() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(workers))
}

pub(super) fn writing() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(pause)).routes(routes!(resume))
}

pub(super) fn purging() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(purge))
}

fn page<T>(items: Vec<T>) -> Json<Page<T>> {
    Json(Page { items, next_cursor: None })
}

/// How much waits where
#[utoipa::path(get, path = "/queues", tag = "queues", responses((status = 200, body = Page<QueueCounts>)))]
async fn list(State(state): State<ApiState>) -> Result<Json<Page<QueueCounts>>, Problem> {
    Ok(page(state.inspector.counts().await?))
}

/// Let workers take nothing from a queue
#[utoipa::path(post, path = "/queues/{name}/pause", tag = "queues", params(("name" = String, Path)),
    responses((status = 200, body = QueueCounts)))]
async fn pause(
    State(state): State<ApiState>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<QueueCounts>, Problem> {
    known(&state, &name).await?;
    state.control.pause(&name).await?;
    caller.actor().did(&state.store, AuditAction::QueuePaused, name.clone()).await;
    show(&state, &name).await
}

/// Let workers take from it again
#[utoipa::path(post, path = "/queues/{name}/resume", tag = "queues", params(("name" = String, Path)),
    responses((status = 200, body = QueueCounts)))]
async fn resume(
    State(state): State<ApiState>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<QueueCounts>, Problem> {
    known(&state, &name).await?;
    state.control.resume(&name).await?;
    caller.actor().did(&state.store, AuditAction::QueueResumed, name.clone()).await;
    show(&state, &name).await
}

/// Cancel everything in it that waits: ready, scheduled and retrying jobs
#[utoipa::path(post, path = "/queues/{name}/purge", tag = "queues", params(("name" = String, Path)),
    responses((status = 200, body = JobCount)))]
async fn purge(
    State(state): State<ApiState>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<JobCount>, Problem> {
    known(&state, &name).await?;
    let count = JobCount { jobs: state.control.purge(&name).await? };
    let details = serde_json::json!(count);
    caller.actor().did_with(&state.store, AuditAction::QueuePurged, name, Some(details)).await;
    Ok(Json(count))
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

/// Who works, and at what
#[utoipa::path(get, path = "/workers", tag = "queues", responses((status = 200, body = Page<WorkerInfo>)))]
async fn workers(State(state): State<ApiState>) -> Result<Json<Page<WorkerInfo>>, Problem> {
    Ok(page(state.inspector.workers().await?))
}
