//! `/api/v1/jobs`: enqueue one or many, list, look at one.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use dogwatch_queue::{
    Cancelled, Enqueued, HISTORY, JobFilter, JobHistory, JobRecord, NewJob, Pause, Unique, UniqueUntil,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::ApiState;
use super::body::{OneOrMany, Optional, duration, pointer, text};
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
    priority: Option<u8>,
    unique_key: Option<String>,
    #[serde(default, deserialize_with = "text")]
    unique_until: Option<UniqueUntil>,
    #[serde(default, deserialize_with = "duration")]
    expires: Option<Duration>,
    max_attempts: Option<u32>,
    backoff: Option<Pause>,
    #[serde(default, deserialize_with = "duration")]
    max_age: Option<Duration>,
    #[serde(default, deserialize_with = "duration")]
    timeout: Option<Duration>,
}

impl From<JobRequest> for NewJob {
    fn from(request: JobRequest) -> Self {
        let new = Self::new(request.job, Value::Object(request.args));
        let until = request.unique_until.unwrap_or(UniqueUntil::Done);
        Self {
            queue: request.queue.unwrap_or_else(|| new.queue.clone()),
            id: request.id,
            run_at: request.run_at,
            delay: request.delay.unwrap_or_default(),
            priority: request.priority.unwrap_or(new.priority),
            unique: request.unique_key.map(|key| Unique { key, until }),
            expires: request.expires,
            max_attempts: request.max_attempts,
            backoff: request.backoff,
            max_age: request.max_age,
            timeout: request.timeout,
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
        None => Err(absent(&id)),
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

/// What `POST /api/v1/jobs/{id}/retry` takes; nothing is enough.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RetryRequest {
    args: Option<Map<String, Value>>,
}

/// `POST /api/v1/jobs/{id}/retry`: runs it again, or at once; with other arguments where some are given.
pub(super) async fn retry(
    State(state): State<ApiState>,
    Path(id): Path<String>,
    request: Optional<RetryRequest>,
) -> Result<Json<JobRecord>, Problem> {
    match state.control.retry(&id, request.0.args.map(Value::Object)).await? {
        None => Err(absent(&id)),
        Some(false) => Err(Problem::new(
            StatusCode::CONFLICT,
            format!(
                "job `{id}` cannot run again now: it runs, waits for a worker, has succeeded, or another holds its unique key"
            ),
        )),
        Some(true) => show(State(state), Path(id)).await,
    }
}

/// `POST /api/v1/jobs/{id}/cancel`: 202 when its worker was told, 200 when it is cancelled.
pub(super) async fn cancel(
    State(state): State<ApiState>,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<JobRecord>), Problem> {
    let code = match state.control.cancel(&id).await? {
        None => return Err(absent(&id)),
        Some(Cancelled::Ended) => {
            return Err(Problem::new(StatusCode::CONFLICT, format!("job `{id}` has ended already")));
        }
        Some(Cancelled::Told) => StatusCode::ACCEPTED,
        Some(Cancelled::Cancelled) => StatusCode::OK,
    };
    Ok((code, show(State(state), Path(id)).await?))
}

fn absent(id: &str) -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        format!("no job has the id `{id}`; ended jobs are kept for a time only"),
    )
}

/// What `GET /api/v1/jobs/history` takes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HistoryQuery {
    hours: Option<u64>,
}

/// A list.
#[derive(Serialize)]
pub(super) struct HistoryList {
    items: Vec<JobHistory>,
    next_cursor: Option<String>,
}

/// `GET /api/v1/jobs/history`: what ran in the last hours, how long it took and what failed.
pub(super) async fn history(
    State(state): State<ApiState>,
    query: Result<Query<HistoryQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<HistoryList>, Problem> {
    let Query(query) = query.map_err(|error| Problem::new(StatusCode::BAD_REQUEST, error.body_text()))?;
    let last = Duration::from_hours(query.hours.unwrap_or(1));
    if last.is_zero() || last > HISTORY {
        return Err(Problem::new(StatusCode::BAD_REQUEST, "hours: write a number from 1 to 24"));
    }
    Ok(Json(HistoryList { items: state.inspector.history(last).await?, next_cursor: None }))
}
