//! `/api/v1/performance/reports`: what was reported.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use dogwatch_store::ReportHead;
use serde::Deserialize;
use uuid::Uuid;

use super::ApiState;
use super::error::Problem;
use crate::metrics::Page;

/// Reports of a list.
const LIMIT: u32 = 200;
/// The page has its own styles, and nothing that runs.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// In which form.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Form {
    #[serde(default)]
    format: Format,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Format {
    #[default]
    Json,
    Html,
    Text,
}

/// `GET /performance/reports`: the newest first.
pub(super) async fn list(State(state): State<ApiState>) -> Result<Json<Page<ReportHead>>, Problem> {
    Ok(Json(Page { items: state.store.reports(LIMIT).await?, next_cursor: None }))
}

/// `GET /performance/reports/{id}?format=json|html|text`.
pub(super) async fn show(
    State(state): State<ApiState>,
    Path(id): Path<Uuid>,
    Query(Form { format }): Query<Form>,
) -> Result<Response, Problem> {
    let report = state.store.report(id).await?;
    let report =
        report.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, format!("there is no report `{id}`")))?;
    Ok(match format {
        Format::Json => Json(report.body).into_response(),
        Format::Text => report.text.into_response(),
        Format::Html => ([(header::CONTENT_SECURITY_POLICY, POLICY)], Html(report.html)).into_response(),
    })
}
