//! Whether this process lives, and whether it can do its work.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::ApiState;

/// What a process that can work says.
#[derive(Serialize)]
struct Ready {
    postgres: &'static str,
    redis: &'static str,
}

/// `GET /livez`: 200 as long as the process answers.
pub(super) async fn live() -> &'static str {
    "ok\n"
}

/// `GET /readyz`, `/healthz`: 200 when Postgres and Redis answer, else 503 that says which does not.
pub(super) async fn ready(State(state): State<ApiState>) -> Response {
    let (postgres, redis) = tokio::join!(state.store.ping(), state.inspector.queues());
    let word = |ok: bool| if ok { "ok" } else { "away" };
    let code =
        if postgres.is_ok() && redis.is_ok() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(Ready { postgres: word(postgres.is_ok()), redis: word(redis.is_ok()) })).into_response()
}
