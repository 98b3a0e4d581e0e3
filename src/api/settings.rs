//! `/api/v1/performance/config`: the settings that may be changed while Dogwatch runs.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use dogwatch_store::AuditAction;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::body::Object;
use super::error::Problem;
use crate::access::Caller;
use crate::tuning::{ChangeError, Setting};

pub(super) fn reading() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(show))
}

pub(super) fn changing() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(change))
}

/// What may be changed, and what it is.
#[derive(Serialize, ToSchema)]
struct Settings {
    settings: Vec<Setting>,
}

/// The settings that may be changed at run time
#[utoipa::path(get, path = "/performance/config", tag = "settings", responses((status = 200, body = Settings)))]
async fn show(State(state): State<ApiState>) -> Result<Json<Settings>, Problem> {
    Ok(Json(Settings { settings: state.tuning.settings().await? }))
}

/// Change settings, all of them or none: each name with its new value, or null for what the file says
#[utoipa::path(patch, path = "/performance/config", tag = "settings", request_body = BTreeMap<String, Value>,
    responses((status = 200, body = Settings)))]
async fn change(
    State(state): State<ApiState>,
    caller: Caller,
    Object(values): Object<BTreeMap<String, Value>>,
) -> Result<Json<Settings>, Problem> {
    let details = serde_json::json!(values);
    state.tuning.change(values, &caller.name).await?;
    caller.actor().did_with(&state.store, AuditAction::SettingsChanged, None, Some(details)).await;
    show(State(state)).await
}

impl From<ChangeError> for Problem {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Store(error) => error.into(),
            wrong @ ChangeError::Wrong { .. } => Self::new(StatusCode::BAD_REQUEST, wrong.to_string()),
        }
    }
}
