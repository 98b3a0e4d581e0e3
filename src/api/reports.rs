//! `/api/v1/performance/reports`: what was reported.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use dogwatch_store::ReportHead;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::ApiState;
use super::error::Problem;
use super::parts::{Path, Query};
use crate::access::Caller;
use crate::metrics::Page;

/// Reports of a list.
const LIMIT: u32 = 200;
/// The page has its own styles, and nothing that runs.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

pub(super) fn reading() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(show))
}

/// In which form.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Form {
    /// `json` is for programs, `html` a page that stands alone.
    #[serde(default)]
    #[param(required = false, inline)]
    format: Format,
}

#[derive(Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Format {
    #[default]
    Json,
    Html,
    Text,
}

/// The newest first
#[utoipa::path(get, path = "/performance/reports", tag = "reports", responses((status = 200, body = Page<ReportHead>)))]
async fn list(State(state): State<ApiState>, caller: Caller) -> Result<Json<Page<ReportHead>>, Problem> {
    let items = state.store.reports(caller.tenant.as_deref(), LIMIT).await?;
    Ok(Json(Page { items, next_cursor: None }))
}

/// Read a report
#[utoipa::path(get, path = "/performance/reports/{id}", tag = "reports", params(("id" = Uuid, Path), Form),
    responses((status = 200, content((Object = "application/json"), (String = "text/html"), (String = "text/plain")))))]
async fn show(
    State(state): State<ApiState>,
    caller: Caller,
    headers: HeaderMap,
    Path(id): Path<Uuid>,
    Query(Form { format }): Query<Form>,
) -> Result<Response, Problem> {
    let report = state.store.report(id).await?.filter(|report| caller.sees(report.tenant.as_deref()));
    let report =
        report.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, format!("there is no report `{id}`")))?;
    // It never changes: who has it needs it once.
    let tag = [
        (header::ETAG, format!("W/\"{}\"", id.simple())),
        (header::CACHE_CONTROL, "private, no-cache".to_owned()),
    ];
    if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag[0].1.as_bytes()) {
        return Ok((StatusCode::NOT_MODIFIED, tag).into_response());
    }
    let report = match format {
        Format::Json => Json(report.body).into_response(),
        Format::Text => report.text.into_response(),
        Format::Html => ([(header::CONTENT_SECURITY_POLICY, POLICY)], Html(report.html)).into_response(),
    };
    Ok((tag, report).into_response())
}
