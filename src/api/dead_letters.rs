//! `/api/v1/jobs/dead/…`: what becomes of jobs that have died, one or many. They are listed with the other jobs.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use dogwatch_queue::{DeadFilter, JobState};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
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

/// Which dead letters are meant: those that fit all that is told, so that `{}` means every one.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct Which {
    /// Only of this queue.
    queue: Option<String>,
    /// Only of this name.
    job: Option<String>,
    /// Only those whose last error contains this text.
    error: Option<String>,
}

impl From<Which> for DeadFilter {
    fn from(Which { queue, job, error }: Which) -> Self {
        Self { queue, job, error }
    }
}

/// How many it was done to.
#[derive(Serialize, ToSchema)]
pub(super) struct Many {
    /// Jobs.
    pub(super) jobs: usize,
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
#[utoipa::path(post, path = "/jobs/dead/replay", tag = "jobs", request_body = Which,
    responses((status = 200, body = Many)))]
async fn replay_many(State(state): State<ApiState>, which: Object<Which>) -> Result<Json<Many>, Problem> {
    Ok(Json(Many { jobs: state.control.replay(&which.0.into()).await? }))
}

/// Forget dead letters
#[utoipa::path(post, path = "/jobs/dead/discard", tag = "jobs", request_body = Which,
    responses((status = 200, body = Many)))]
async fn discard_many(State(state): State<ApiState>, which: Object<Which>) -> Result<Json<Many>, Problem> {
    Ok(Json(Many { jobs: state.control.discard_all(&which.0.into()).await? }))
}
