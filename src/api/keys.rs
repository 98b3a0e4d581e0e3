//! `/api/v1/keys`: make, list, rotate and revoke keys.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, TimeDelta, Utc};
use dogwatch_runtime::{duration, time};
use dogwatch_store::{ApiKey, AuditAction, Scope};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::ApiState;
use super::body::{Object, Optional};
use super::error::Problem;
use super::parts::Path;
use crate::access::{Caller, NewKey, NewKeyError, RotateKeyError, USUAL_OVERLAP, create_key, rotate_key};
use crate::metrics::Page;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(revoke)).routes(routes!(rotate))
}

/// A key to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyRequest {
    /// What people call it.
    name: String,
    /// What it may: `write` also reads, enqueues and acts on alerts, `admin` does everything.
    scopes: Vec<Scope>,
    /// It sees and tells of this tenant only.
    tenant: Option<String>,
    /// When it ends by itself.
    #[serde(default, deserialize_with = "time::optional")]
    expires_at: Option<DateTime<Utc>>,
}

/// A key that was made.
#[derive(Serialize, ToSchema)]
struct CreatedKey {
    #[serde(flatten)]
    key: ApiKey,
    /// What is sent as `Authorization: Bearer …`. Shown this once.
    secret: String,
}

/// Keys, those that are not revoked first
#[utoipa::path(get, path = "/keys", tag = "keys", responses((status = 200, body = Page<ApiKey>)))]
async fn list(State(state): State<ApiState>) -> Result<Json<Page<ApiKey>>, Problem> {
    Ok(Json(Page { items: state.store.api_keys().await?, next_cursor: None }))
}

/// Make a key
#[utoipa::path(post, path = "/keys", tag = "keys", request_body = KeyRequest, responses((status = 201, body = CreatedKey)))]
async fn create(
    State(state): State<ApiState>,
    caller: Caller,
    Object(request): Object<KeyRequest>,
) -> Result<(StatusCode, Json<CreatedKey>), Problem> {
    let KeyRequest { name, scopes, tenant, expires_at } = request;
    let new = NewKey { name, scopes, tenant, expires_at };
    let (key, text) = create_key(&state.store, new, &caller.name, state.clock.now()).await?;
    let details = json!({ "scopes": key.scopes, "tenant": key.tenant, "expires_at": key.expires_at });
    let target = key.name.clone();
    caller.actor().did_with(&state.store, AuditAction::KeyCreated, target, Some(details)).await;
    Ok((StatusCode::CREATED, Json(CreatedKey { key, secret: text.expose() })))
}

/// How long the key that is replaced is still valid.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct Overlap {
    /// Such as `24h`; default an hour, at most 90 days.
    #[serde(with = "duration::optional")]
    #[schema(value_type = Option<String>)]
    overlap: Option<Duration>,
}

/// Make a key that takes the place of another, which goes on for a while
#[utoipa::path(post, path = "/keys/{id}/rotate", tag = "keys", params(("id" = Uuid, Path)),
    request_body = Option<Overlap>, responses((status = 201, body = CreatedKey)))]
async fn rotate(
    State(state): State<ApiState>,
    caller: Caller,
    Path(id): Path<Uuid>,
    Optional(Overlap { overlap }): Optional<Overlap>,
) -> Result<(StatusCode, Json<CreatedKey>), Problem> {
    let overlap = overlap.map_or(Ok(USUAL_OVERLAP), TimeDelta::from_std).unwrap_or(TimeDelta::MAX);
    let (key, text) = rotate_key(&state.store, id, overlap, &caller.name, state.clock.now()).await?;
    caller.actor().did(&state.store, AuditAction::KeyRotated, key.name.clone()).await;
    Ok((StatusCode::CREATED, Json(CreatedKey { key, secret: text.expose() })))
}

/// Revoke a key: within seconds it opens nothing
#[utoipa::path(delete, path = "/keys/{id}", tag = "keys", params(("id" = Uuid, Path)), responses((status = 204)))]
async fn revoke(
    State(state): State<ApiState>,
    caller: Caller,
    Path(id): Path<Uuid>,
) -> Result<StatusCode, Problem> {
    let name = state.store.revoke_api_key(id, state.clock.now()).await?;
    let name = name.ok_or_else(|| {
        Problem::new(StatusCode::NOT_FOUND, format!("there is no key `{id}` that is valid"))
    })?;
    caller.actor().did(&state.store, AuditAction::KeyRevoked, name).await;
    Ok(StatusCode::NO_CONTENT)
}

impl From<RotateKeyError> for Problem {
    fn from(error: RotateKeyError) -> Self {
        match error {
            RotateKeyError::Store(error) => error.into(),
            unknown @ RotateKeyError::Unknown(_) => Self::new(StatusCode::NOT_FOUND, unknown.to_string()),
            overlap @ RotateKeyError::Overlap => Self::at("/overlap", overlap.to_string()),
        }
    }
}

impl From<NewKeyError> for Problem {
    fn from(error: NewKeyError) -> Self {
        match error {
            NewKeyError::Value { field, reason } => Self::at(format!("/{field}"), reason),
            NewKeyError::Store(error) => error.into(),
        }
    }
}
