//! `/api/v1/jobs`: enqueue one or many, list, look at one.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use chrono::{DateTime, Utc};
use dogwatch_queue::{
    Cancelled, Enqueued, HISTORY, JobFilter, JobHistory, JobRecord, JobRef, JobState, ListPosition, NewJob,
    Pause, TraceContext, Unique, UniqueUntil,
};
use dogwatch_runtime::{duration, time};
use dogwatch_store::{AuditAction, Scope};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::body::{OneOrMany, OneOrManyOf, Optional, pointer, text};
use super::error::Problem;
use super::parts::{Path, Query};
use crate::access::{Caller, scope_of_job};
use crate::metrics::Page;

/// Jobs of a list.
const MAX_LIMIT: usize = 1000;

pub(super) fn reading() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(history)).routes(routes!(show))
}

pub(super) fn enqueuing() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(enqueue))
}

pub(super) fn writing() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(retry)).routes(routes!(cancel))
}

/// A job to enqueue.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct JobRequest {
    /// Its name.
    job: String,
    /// Its arguments.
    #[serde(default)]
    #[schema(value_type = Object)]
    args: Map<String, Value>,
    /// Where it waits; default: `default`.
    queue: Option<String>,
    /// Its identity within its queue: an id that the queue has already is not enqueued again. The same id in another queue is another job.
    id: Option<String>,
    /// Not before.
    #[serde(default, deserialize_with = "time::optional")]
    run_at: Option<DateTime<Utc>>,
    /// Not before so long from now, such as `10m`.
    #[serde(default, with = "duration::optional")]
    #[schema(value_type = Option<String>)]
    delay: Option<Duration>,
    /// 0 goes before 9.
    priority: Option<u8>,
    /// While a job of the same queue with this key waits or runs, no other is enqueued.
    unique_key: Option<String>,
    /// `started`, `done`, or a time such as `10m`.
    #[serde(default, deserialize_with = "text")]
    #[schema(value_type = Option<String>)]
    unique_until: Option<UniqueUntil>,
    /// It is not begun after so long.
    #[serde(default, with = "duration::optional")]
    #[schema(value_type = Option<String>)]
    expires: Option<Duration>,
    /// Attempts in all.
    max_attempts: Option<u32>,
    /// Pauses between them, such as `exponential:10s:10m` or `fixed:30s`.
    #[schema(value_type = Option<String>)]
    backoff: Option<Pause>,
    /// It is not tried again after so long.
    #[serde(default, with = "duration::optional")]
    #[schema(value_type = Option<String>)]
    max_age: Option<Duration>,
    /// An attempt takes no longer.
    #[serde(default, with = "duration::optional")]
    #[schema(value_type = Option<String>)]
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

/// Enqueue one job, or many: all are checked before any is stored
///
/// Up to 500 of one queue are stored in one step. When Redis fails between two steps, some are stored: give each job an
/// `id`, and send the request again. `cleanup_old_performance_data`, and a report that names recipients, need the scope
/// `admin`.
#[utoipa::path(post, path = "/jobs", tag = "jobs", request_body = OneOrManyOf<JobRequest>,
    responses((status = 202, body = OneOrManyOf<Enqueued>)))]
async fn enqueue(
    State(state): State<ApiState>,
    caller: Caller,
    Extension(trace): Extension<TraceContext>,
    body: OneOrMany<JobRequest>,
) -> Result<Response, Problem> {
    let many = body.many;
    let (mut jobs, mut noted) = (Vec::new(), Vec::new());
    for (_, request) in body.into_items() {
        let job = NewJob { trace: Some(trace), ..request.into() };
        let scope = scope_of_job(&job.job, &job.args);
        caller.require(scope)?;
        if scope == Scope::Admin {
            noted.push((job.job.clone(), job.args.clone()));
        }
        jobs.push(job);
    }
    let enqueued = state.producer.enqueue_all(jobs).await;
    let mut enqueued = enqueued.map_err(|(index, error)| Problem::of_queue(&pointer(many, index), &error))?;
    for (job, args) in noted {
        caller.actor().did_with(&state.store, AuditAction::JobEnqueued, job, Some(args)).await;
    }
    let response = match enqueued.pop() {
        Some(Enqueued { id, is_new }) if !many => Json(Enqueued { id, is_new }).into_response(),
        last => {
            enqueued.extend(last);
            Json(enqueued).into_response()
        }
    };
    Ok((StatusCode::ACCEPTED, response).into_response())
}

/// In which queue the job is.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct QueueQuery {
    /// The queue of the job. Needed when several queues have a job with this id: then 409 names them.
    pub(super) queue: Option<String>,
}

/// Show a job
#[utoipa::path(get, path = "/jobs/{id}", tag = "jobs", params(("id" = String, Path), QueueQuery),
    responses((status = 200, body = JobRecord)))]
async fn show(
    State(state): State<ApiState>,
    Path(id): Path<String>,
    Query(QueueQuery { queue }): Query<QueueQuery>,
) -> Result<Json<JobRecord>, Problem> {
    Ok(Json(find(&state, JobRef::new(&id, queue.as_deref())).await?))
}

/// The job that is meant.
pub(super) async fn find(state: &ApiState, which: JobRef<'_>) -> Result<JobRecord, Problem> {
    state.inspector.job(which).await?.ok_or_else(|| absent(which))
}

/// Which jobs.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Only in this state.
    #[param(value_type = Option<JobState>)]
    state: Option<String>,
    /// Only of this queue.
    queue: Option<String>,
    /// Only of this name.
    job: Option<String>,
    /// At most so many.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// The newest first; pages reach back to the newest 10,000 of each queue and state
#[utoipa::path(get, path = "/jobs", tag = "jobs", params(ListQuery), responses((status = 200, body = Page<JobRecord>)))]
async fn list(
    State(state): State<ApiState>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<JobRecord>>, Problem> {
    let limit = query.limit.unwrap_or(50);
    if !(1..=MAX_LIMIT).contains(&limit) {
        let reason = format!("limit: `{limit}` is not between 1 and {MAX_LIMIT}");
        return Err(Problem::new(StatusCode::BAD_REQUEST, reason));
    }
    let job_state = query.state.map(|word| word.parse()).transpose();
    let filter = JobFilter {
        state: job_state
            .map_err(|reason: String| Problem::new(StatusCode::BAD_REQUEST, format!("state: {reason}")))?,
        queue: query.queue,
        job: query.job,
        limit,
        behind: query.cursor.as_deref().map(behind).transpose()?,
    };
    let items = state.inspector.jobs(&filter).await?;
    let next_cursor = items.last().filter(|_| items.len() == limit).map(cursor);
    Ok(Json(Page { items, next_cursor }))
}

/// Jobs that other producers push may not tell when.
fn cursor(job: &JobRecord) -> String {
    let millis = job.enqueued_at.map(|time| time.timestamp_millis().to_string());
    // No name of a queue has a colon; an id may have any character.
    format!("{}:{}:{}", millis.unwrap_or_default(), job.queue, job.id)
}

fn behind(cursor: &str) -> Result<ListPosition, Problem> {
    let wrong = || {
        let reason = format!("cursor: `{cursor}` is none; write the next_cursor of the page before");
        Problem::new(StatusCode::BAD_REQUEST, reason)
    };
    let (millis, rest) = cursor.split_once(':').ok_or_else(wrong)?;
    let (queue, id) = rest.split_once(':').ok_or_else(wrong)?;
    let time = || millis.parse().ok().and_then(DateTime::from_timestamp_millis).ok_or_else(wrong);
    let enqueued_at = if millis.is_empty() { None } else { Some(time()?) };
    Ok(ListPosition { enqueued_at, id: id.to_owned(), queue: queue.to_owned() })
}

/// How to run it again; nothing is enough.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct RetryRequest {
    /// With other arguments.
    #[schema(value_type = Option<Object>)]
    args: Option<Map<String, Value>>,
}

/// Run a job again, or at once
#[utoipa::path(post, path = "/jobs/{id}/retry", tag = "jobs", params(("id" = String, Path), QueueQuery),
    request_body = Option<RetryRequest>, responses((status = 200, body = JobRecord)))]
async fn retry(
    State(state): State<ApiState>,
    Path(id): Path<String>,
    Query(QueueQuery { queue }): Query<QueueQuery>,
    caller: Caller,
    request: Optional<RetryRequest>,
) -> Result<Json<JobRecord>, Problem> {
    // Found once: a job that another queue gets meanwhile changes nothing.
    let job = find(&state, JobRef::new(&id, queue.as_deref())).await?;
    let which = JobRef::new(&id, Some(&job.queue));
    let args = request.0.args.map(Value::Object);
    if let Some(args) = &args {
        caller.require(scope_of_job(&job.job, args))?;
    }
    match state.control.retry(which, args).await? {
        None => Err(absent(which)),
        Some(false) => Err(Problem::new(
            StatusCode::CONFLICT,
            format!(
                "job `{id}` cannot run again now: it runs, waits for a worker, has succeeded, or another holds its unique key"
            ),
        )),
        Some(true) => {
            caller.actor().did(&state.store, AuditAction::JobRetried, which.to_string()).await;
            Ok(Json(find(&state, which).await?))
        }
    }
}

/// Cancel a job: 202 when its worker was told
#[utoipa::path(post, path = "/jobs/{id}/cancel", tag = "jobs", params(("id" = String, Path), QueueQuery),
    responses((status = 200, body = JobRecord), (status = 202, body = JobRecord)))]
async fn cancel(
    State(state): State<ApiState>,
    Path(id): Path<String>,
    Query(QueueQuery { queue }): Query<QueueQuery>,
    caller: Caller,
) -> Result<(StatusCode, Json<JobRecord>), Problem> {
    let queue = find(&state, JobRef::new(&id, queue.as_deref())).await?.queue;
    let which = JobRef::new(&id, Some(&queue));
    let code = match state.control.cancel(which).await? {
        None => return Err(absent(which)),
        Some(Cancelled::Ended) => {
            return Err(Problem::new(StatusCode::CONFLICT, format!("job `{id}` has ended already")));
        }
        Some(Cancelled::Told) => StatusCode::ACCEPTED,
        Some(Cancelled::Cancelled) => StatusCode::OK,
    };
    caller.actor().did(&state.store, AuditAction::JobCancelled, which.to_string()).await;
    Ok((code, Json(find(&state, which).await?)))
}

pub(super) fn absent(which: JobRef<'_>) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, which.not_found())
}

/// Of which time.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct HistoryQuery {
    /// The last hours; default 1.
    #[param(minimum = 1, maximum = 24)]
    hours: Option<u64>,
}

/// What ran in the last hours, how long it took and what failed
#[utoipa::path(get, path = "/jobs/history", tag = "jobs", params(HistoryQuery), responses((status = 200, body = Page<JobHistory>)))]
async fn history(
    State(state): State<ApiState>,
    Query(query): Query<HistoryQuery>,
) -> Result<Json<Page<JobHistory>>, Problem> {
    let hours = query.hours.unwrap_or(1);
    let last = Duration::from_hours(hours.min(1000));
    if last.is_zero() || last > HISTORY {
        return Err(Problem::new(StatusCode::BAD_REQUEST, "hours: write a number from 1 to 24"));
    }
    Ok(Json(Page { items: state.inspector.history(last).await?, next_cursor: None }))
}
