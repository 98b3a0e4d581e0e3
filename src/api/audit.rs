//! `/api/v1/audit`: who did what, when and from where.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use dogwatch_store::{AuditAction, AuditEvent, AuditFilter};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::error::Problem;
use super::parts::Query;
use crate::metrics::Page;

const MAX_LIMIT: u32 = 500;
const DEFAULT_LIMIT: u32 = 50;

pub(super) fn reading() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list))
}

/// Which lines.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Asked {
    /// Only what was done in this way.
    #[param(inline)]
    action: Option<AuditAction>,
    /// Only what this key or user did.
    actor: Option<String>,
    /// At most so many.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
    /// Where the page before ended.
    cursor: Option<String>,
}

/// The audit log, the newest first
#[utoipa::path(get, path = "/audit", tag = "keys", params(Asked), responses((status = 200, body = Page<AuditEvent>)))]
async fn list(
    State(state): State<ApiState>,
    Query(asked): Query<Asked>,
) -> Result<Json<Page<AuditEvent>>, Problem> {
    let wrong = |detail: String| Problem::new(StatusCode::BAD_REQUEST, detail);
    let limit = asked.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(wrong(format!("limit: `{limit}` is not between 1 and {MAX_LIMIT}")));
    }
    let behind = asked.cursor.map(|cursor| {
        cursor.parse().map_err(|_| {
            wrong(format!("cursor: `{cursor}` is none; write the next_cursor of the page before"))
        })
    });
    let behind = behind.transpose()?;
    let filter = AuditFilter { action: asked.action, actor: asked.actor, behind, limit: limit + 1 };
    let mut items = state.store.audit_events(&filter).await?;
    let has_more = items.len() > limit as usize;
    items.truncate(limit as usize);
    let next_cursor = items.last().filter(|_| has_more).map(|event| event.id.to_string());
    Ok(Json(Page { items, next_cursor }))
}
