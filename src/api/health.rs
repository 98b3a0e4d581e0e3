//! Whether this process lives, and whether it can do its work.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use dogwatch_alerting::CANARY;
use dogwatch_queue::scheduler::{RefusedFile, Schedules};
use dogwatch_queue::{Inspector, Pulse, QueueCounts, QueueError};
use serde::Serialize;

use super::ApiState;
use crate::watchdog::{self, Watched};

/// What a process that can work says.
#[derive(Serialize)]
struct Ready {
    postgres: &'static str,
    /// `ok`; `away`: it does not answer; `refuses`: it answers and takes no writes.
    redis: &'static str,
    /// What it answers when it refuses.
    #[serde(skip_serializing_if = "Option::is_none")]
    redis_error: Option<String>,
    /// Schedules whose job should have succeeded by now and has not. An API can work all the same.
    overdue: Vec<Watched>,
    /// The version of schedules.toml that the leading scheduler refuses; an earlier version is in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused_schedules: Option<RefusedFile>,
}

/// A worker that has free slots and asks for no job for so long is stuck.
const STUCK: Duration = Duration::from_secs(30);

/// `GET /livez`: 200 as long as the process answers and its worker, where it has one, makes progress; else 503: start
/// it again. While Redis is away, no worker is to blame.
pub(super) async fn live(State(state): State<ApiState>) -> (StatusCode, &'static str) {
    liveness(state.pulse.as_ref(), &state.inspector).await
}

/// The same in a process that has a worker and no API.
pub(super) async fn live_worker(
    State((pulse, inspector)): State<(Pulse, Inspector)>,
) -> (StatusCode, &'static str) {
    liveness(Some(&pulse), &inspector).await
}

async fn liveness(pulse: Option<&Pulse>, inspector: &Inspector) -> (StatusCode, &'static str) {
    if pulse.is_none_or(|pulse| pulse.silent_for() < STUCK) {
        return (StatusCode::OK, "ok\n");
    }
    let waits = |queues: Vec<QueueCounts>| queues.iter().any(|queue| queue.ready > 0 && !queue.paused);
    if inspector.counts().await.is_ok_and(waits) {
        return (StatusCode::SERVICE_UNAVAILABLE, "the worker takes no jobs though some wait\n");
    }
    (StatusCode::OK, "ok\n")
}

/// How the schedules fare; empty when there is no file of them here, or nobody can say.
pub(super) async fn watched(state: &ApiState) -> Vec<Watched> {
    let path = state.schedules.clone();
    let catalog = dogwatch_jobs::registry().catalog();
    let read = tokio::task::spawn_blocking(move || Schedules::read(&path, &catalog)).await;
    let (Ok(Ok(schedules)), Ok(successes)) = (read, state.inspector.last_successes().await) else {
        return Vec::new();
    };
    let now = state.clock.now();
    let mut watched = watchdog::watched(&schedules, &successes, state.since, now);
    if let Ok(last) = state.store.last_delivered_at(CANARY).await {
        watched.extend(watchdog::canary(&state.alerting.rules, &schedules, last, state.since, now));
    }
    watched
}

/// `GET /readyz`, `/healthz`: 200 when Postgres and Redis answer and Redis takes writes, else 503 that says
/// which does not, and why. Names the schedules that stand still, and a refused schedules.toml.
pub(super) async fn ready(State(state): State<ApiState>) -> Response {
    let (postgres, redis, mut overdue, scheduler) = tokio::join!(
        state.store.ping(),
        state.control.check_writes(),
        watched(&state),
        state.inspector.scheduler_status(&state.book)
    );
    overdue.retain(|watched| watched.is_overdue);
    let code =
        if postgres.is_ok() && redis.is_ok() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let redis_error = redis.as_ref().err().and_then(QueueError::refusal);
    let ready = Ready {
        postgres: if postgres.is_ok() { "ok" } else { "away" },
        redis: match (&redis, &redis_error) {
            (Ok(()), _) => "ok",
            (Err(_), Some(_)) => "refuses",
            (Err(_), None) => "away",
        },
        redis_error,
        overdue,
        refused_schedules: scheduler.ok().and_then(|scheduler| scheduler.refused_file),
    };
    (code, Json(ready)).into_response()
}
