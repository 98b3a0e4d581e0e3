//! `/api/v1/jobs`: enqueue one or many, list, look at one.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use dogwatch_queue::{Enqueued, JobFilter, JobRecord, NewJob};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::ApiState;
use super::body::{OneOrMany, duration, pointer};
use super::error::Problem;

/// A job to enqueue.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JobRequest {
    job: String,
    #[serde(default)]
    args: Map<String, Value>,
    queue: Option<String>,
    id: Option<String>,
    run_at: Option<DateTime<Utc>>,
    #[serde(default, deserialize_with = "duration")]
    delay: Option<Duration>,
    max_attempts: Option<u32>,
    #[serde(default, deserialize_with = "duration")]
    timeout: Option<Duration>,
}

impl From<JobRequest> for NewJob {
    fn from(request: JobRequest) -> Self {
        let JobRequest { job, args, queue, id, run_at, delay, max_attempts, timeout } = request;
        let new = Self::new(job, Value::Object(args));
        Self {
            queue: queue.unwrap_or_else(|| new.queue.clone()),
            id,
            run_at,
            delay: delay.unwrap_or_default(),
            max_attempts,
            timeout,
            ..new
        }
    }
}

/// `POST /api/v1/jobs`: 202 with the id, or with an array of them.
pub(super) async fn enqueue(
    State(state): State<ApiState>,
    body: OneOrMany<JobRequest>,
) -> Result<Response, Problem> {
    let many = body.many;
    let jobs = body.into_items().map(|(_, request)| request.into()).collect();
    let enqueued = state.producer.enqueue_all(jobs).await;
    let mut enqueued = enqueued.map_err(|(index, error)| Problem::of_queue(&pointer(many, index), &error))?;
    let response = match enqueued.pop() {
        Some(Enqueued { id, is_new }) if !many => Json(Enqueued { id, is_new }).into_response(),
        last => {
            enqueued.extend(last);
            Json(enqueued).into_response()
        }
    };
    Ok((StatusCode::ACCEPTED, response).into_response())
}

/// `GET /api/v1/jobs/{id}`.
pub(super) async fn show(
    State(state): State<ApiState>,
    Path(id): Path<String>,
) -> Result<Json<JobRecord>, Problem> {
    match state.inspector.job(&id).await? {
        Some(job) => Ok(Json(job)),
        None => Err(Problem::new(
            StatusCode::NOT_FOUND,
            format!("no job has the id `{id}`; ended jobs are kept for a time only"),
        )),
    }
}

/// What `GET /api/v1/jobs` takes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    state: Option<String>,
    queue: Option<String>,
    job: Option<String>,
    limit: Option<usize>,
}

/// A list.
#[derive(Serialize)]
pub(super) struct JobList {
    items: Vec<JobRecord>,
    next_cursor: Option<String>,
}

/// `GET /api/v1/jobs`: the newest first.
pub(super) async fn list(
    State(state): State<ApiState>,
    query: Result<Query<ListQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<JobList>, Problem> {
    let Query(query) = query.map_err(|error| Problem::new(StatusCode::BAD_REQUEST, error.body_text()))?;
    let job_state = query.state.map(|word| word.parse()).transpose();
    let filter = JobFilter {
        state: job_state
            .map_err(|reason: String| Problem::new(StatusCode::BAD_REQUEST, format!("state: {reason}")))?,
        queue: query.queue,
        job: query.job,
        limit: query.limit.unwrap_or(50),
    };
    Ok(Json(JobList { items: state.inspector.jobs(&filter).await?, next_cursor: None }))
}
