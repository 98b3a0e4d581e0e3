//! `/api/v1/schedules`: what runs when, and how it fared; run one now.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use dogwatch_queue::scheduler::Schedules;
use dogwatch_queue::{Enqueued, NewJob, TraceContext};
use dogwatch_store::AuditAction;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::error::Problem;
use super::parts::{Path, Query};
use crate::access::Caller;
use crate::metrics::Page;
use crate::schedules::{ScheduleInfo, read};

/// Times that are told of each, where nobody says how many, and at the most.
const USUAL_NEXT: u32 = 3;
const MAX_NEXT: u32 = 100;

pub(super) fn reading() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list))
}

pub(super) fn writing() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(run))
}

/// How much of them.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Asked {
    /// Times that are told of each.
    #[param(minimum = 1, maximum = 100, default = 3)]
    next: Option<u32>,
}

/// What runs when, and how it fared
#[utoipa::path(get, path = "/schedules", tag = "schedules", params(Asked), responses((status = 200, body = Page<ScheduleInfo>)))]
async fn list(
    State(state): State<ApiState>,
    Query(Asked { next }): Query<Asked>,
) -> Result<Json<Page<ScheduleInfo>>, Problem> {
    let count = next.unwrap_or(USUAL_NEXT);
    if !(1..=MAX_NEXT).contains(&count) {
        let reason = format!("next: `{count}` is not between 1 and {MAX_NEXT}");
        return Err(Problem::new(StatusCode::BAD_REQUEST, reason));
    }
    let schedules = file(&state).await?;
    let successes: BTreeMap<_, _> = state.inspector.last_successes().await?;
    let mut ticks = state.inspector.last_ticks(&state.book).await?;
    let now = state.clock.now();
    let info = |schedule| {
        let info = ScheduleInfo::of(schedule, count as usize, now);
        let (last_success_at, last_run) = (successes.get(&info.job).copied(), ticks.remove(&info.name));
        ScheduleInfo { last_success_at, last_run, ..info }
    };
    Ok(Json(Page { items: schedules.all().map(info).collect(), next_cursor: None }))
}

/// Enqueue the job of a schedule now, beside its times
#[utoipa::path(post, path = "/schedules/{name}/run", tag = "schedules", params(("name" = String, Path)),
    responses((status = 202, body = Enqueued)))]
async fn run(
    State(state): State<ApiState>,
    caller: Caller,
    Extension(trace): Extension<TraceContext>,
    Path(name): Path<String>,
) -> Result<(StatusCode, Json<Enqueued>), Problem> {
    let schedules = file(&state).await?;
    let schedule = schedules.all().find(|schedule| schedule.name == name);
    let schedule = schedule
        .ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, format!("no schedule is named `{name}`")))?;
    let job = NewJob { trace: Some(trace), ..schedule.job_now() };
    let enqueued = state.producer.enqueue(job).await?;
    caller.actor().did(&state.store, AuditAction::ScheduleRun, name).await;
    Ok((StatusCode::ACCEPTED, Json(enqueued)))
}

/// What stands here; nothing, where the scheduler runs on another machine and there is no file.
async fn file(state: &ApiState) -> Result<Schedules, Problem> {
    let path = state.schedules.clone();
    let read =
        tokio::task::spawn_blocking(
            move || if path.exists() { read(&path) } else { Ok(Schedules::default()) },
        );
    let read = read.await.map_err(|_| super::error::bug())?;
    read.map_err(|error| Problem::new(StatusCode::CONFLICT, error.to_string()))
}
