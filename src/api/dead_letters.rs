//! `/api/v1/jobs/dead/…`: what becomes of jobs that have died, one or many. They are listed with the other jobs.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use dogwatch_queue::{DeadFilter, JobCount, JobState};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::body::Object;
use super::error::Problem;
use super::jobs::absent;
use super::parts::Path;

pub(super) fn writing() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(discard)).routes(routes!(replay_many)).routes(routes!(discard_many))
}

/// Forget a dead letter
#[utoipa::path(delete, path = "/jobs/{id}", tag = "jobs", params(("id" = String, Path)), responses((status = 204)))]
async fn discard(State(state): State<ApiState>, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    if state.control.discard(&id).await? {
        return Ok(StatusCode::NO_CONTENT);
    }
    match state.inspector.job(&id).await? {
        Some(job) if job.state != JobState::Dead => Err(Problem::new(
            StatusCode::CONFLICT,
            format!("job `{id}` is {} and no dead letter; what waits or runs can be cancelled", job.state),
        )),
        _ => Err(absent(&id)),
    }
}

/// Run dead letters again
#[utoipa::path(post, path = "/jobs/dead/replay", tag = "jobs", request_body = DeadFilter,
    responses((status = 200, body = JobCount)))]
async fn replay_many(
    State(state): State<ApiState>,
    which: Object<DeadFilter>,
) -> Result<Json<JobCount>, Problem> {
    Ok(Json(JobCount { jobs: state.control.replay(&which.0).await? }))
}

/// Forget dead letters
#[utoipa::path(post, path = "/jobs/dead/discard", tag = "jobs", request_body = DeadFilter,
    responses((status = 200, body = JobCount)))]
async fn discard_many(
    State(state): State<ApiState>,
    which: Object<DeadFilter>,
) -> Result<Json<JobCount>, Problem> {
    Ok(Json(JobCount { jobs: state.control.discard_all(&which.0).await? }))
}
