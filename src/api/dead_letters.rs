//! `/api/v1/jobs/dead/…`: what becomes of jobs that have died, one or many. They are listed with the other jobs.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use dogwatch_queue::{DeadFilter, JobCount, JobRef, JobState};
use dogwatch_store::AuditAction;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::body::Object;
use super::error::Problem;
use super::jobs::{QueueQuery, absent, find};
use super::parts::{Path, Query};
use crate::access::Caller;

pub(super) fn writing() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(replay_many))
}

pub(super) fn discarding() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(discard)).routes(routes!(discard_many))
}

/// Forget a dead letter
#[utoipa::path(delete, path = "/jobs/{id}", tag = "jobs", params(("id" = String, Path), QueueQuery),
    responses((status = 204)))]
async fn discard(
    State(state): State<ApiState>,
    Path(id): Path<String>,
    Query(QueueQuery { queue }): Query<QueueQuery>,
    caller: Caller,
) -> Result<StatusCode, Problem> {
    let job = find(&state, JobRef::new(&id, queue.as_deref())).await?;
    let which = JobRef::new(&id, Some(&job.queue));
    if job.state != JobState::Dead {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            format!("{which} is {} and no dead letter; what waits or runs can be cancelled", job.state),
        ));
    }
    if !state.control.discard(which).await? {
        return Err(absent(which));
    }
    caller.actor().did(&state.store, AuditAction::JobsDiscarded, which.to_string()).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Run dead letters again
#[utoipa::path(post, path = "/jobs/dead/replay", tag = "jobs", request_body = DeadFilter,
    responses((status = 200, body = JobCount)))]
async fn replay_many(
    State(state): State<ApiState>,
    caller: Caller,
    which: Object<DeadFilter>,
) -> Result<Json<JobCount>, Problem> {
    let count = JobCount { jobs: state.control.replay(&which.0).await? };
    note_many(&state, &caller, AuditAction::JobsReplayed, &which.0, &count).await;
    Ok(Json(count))
}

/// Forget dead letters
#[utoipa::path(post, path = "/jobs/dead/discard", tag = "jobs", request_body = DeadFilter,
    responses((status = 200, body = JobCount)))]
async fn discard_many(
    State(state): State<ApiState>,
    caller: Caller,
    which: Object<DeadFilter>,
) -> Result<Json<JobCount>, Problem> {
    let count = JobCount { jobs: state.control.discard_all(&which.0).await? };
    note_many(&state, &caller, AuditAction::JobsDiscarded, &which.0, &count).await;
    Ok(Json(count))
}

async fn note_many(
    state: &ApiState,
    caller: &Caller,
    action: AuditAction,
    which: &DeadFilter,
    count: &JobCount,
) {
    let details = serde_json::json!({ "which": which, "jobs": count.jobs });
    caller.actor().did_with(&state.store, action, None, Some(details)).await;
}
