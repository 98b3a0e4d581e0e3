//! `/api/v1/performance/alerts` and `/silences`: what is and was wrong, who has seen it, who was told.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, TimeDelta, Utc};
use dogwatch_alerting::Severity;
use dogwatch_jobs::{Alerting, Finding, OrderError, ReportError};
use dogwatch_store::{Alert, AlertFilter, AuditAction, NotificationFilter, NotificationRecord, PastEvent};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::ApiState;
use super::body::{OneOrMany, OneOrManyOf, Optional, wrong_text};
use super::error::Problem;
use super::parts::{Path, Query};
use crate::access::Caller;
use crate::alerts::Shown;
use crate::metrics::Page;

const MAX_TEXT: usize = 4000;
/// A leap year.
const MAX_HOURS: u32 = 24 * 366;
/// The label that says whose an alert is.
pub(super) const TENANT: &str = "tenant";
const MAX_LABELS: usize = 50;
/// Bytes of all labels of an alert together.
const MAX_LABEL_BYTES: usize = 8192;
/// The label by which alerts of rules are known.
const SOURCE: &str = "source";
/// Alerts that one request may report.
const MAX_REPORTED: usize = 500;
const MAX_LIMIT: u32 = 500;
const DEFAULT_LIMIT: u32 = 50;
/// Notifications that are shown with an alert.
const MAX_TOLD: u32 = 200;

pub(super) fn reading() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(show))
}

pub(super) fn writing() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(acknowledge)).routes(routes!(resolve))
}

pub(super) fn reporting() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(create_or_update))
}

/// Which alerts.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Asked {
    /// Only with this status, `open` being active or acknowledged; without it all but those that are pending.
    #[param(inline)]
    status: Option<Shown>,
    /// Only as bad as this.
    severity: Option<Severity>,
    /// Only of this tenant.
    tenant: Option<String>,
    /// Only of this service.
    service: Option<String>,
    /// Only of this route.
    endpoint: Option<String>,
    /// Only what was open in the last hours.
    #[param(minimum = 1, maximum = 8784)]
    hours: Option<u32>,
    /// At most so many.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
    /// Where the page before ended.
    cursor: Option<String>,
}

/// An alert with everything that is known of it.
#[derive(Serialize, ToSchema)]
struct Whole {
    #[serde(flatten)]
    alert: Alert,
    /// What happened to it.
    events: Vec<PastEvent>,
    /// Who was told what, or is to be.
    notifications: Vec<NotificationRecord>,
}

/// Something that another service has found wrong, or well again.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FindingRequest {
    /// What kind of condition; together with its scope it says which one.
    alert_type: String,
    /// One line; default: the type and the scope.
    title: Option<String>,
    /// What was seen.
    #[serde(default)]
    description: String,
    /// How bad it is.
    #[serde(default = "medium")]
    severity: Severity,
    service: Option<String>,
    endpoint: Option<String>,
    tenant: Option<String>,
    host: Option<String>,
    /// For routes, silences and people.
    #[serde(default)]
    labels: BTreeMap<String, String>,
    value: Option<f64>,
    threshold: Option<f64>,
    unit: Option<String>,
    /// Whether it is wrong, or over.
    #[serde(default = "active")]
    status: Wanted,
}

/// Whether it is wrong.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Wanted {
    Active,
    Resolved,
}

fn medium() -> Severity {
    Severity::Medium
}
fn active() -> Wanted {
    Wanted::Active
}

/// What a person says of an alert.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct Said {
    /// Who acts, beside the name of the key.
    by: Option<String>,
    /// What others should know.
    note: Option<String>,
}

/// Alerts, those seen last first
#[utoipa::path(get, path = "/performance/alerts", tag = "alerts", params(Asked), responses((status = 200, body = Page<Alert>)))]
async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    Query(asked): Query<Asked>,
) -> Result<Json<Page<Alert>>, Problem> {
    let wrong = |detail: String| Problem::new(StatusCode::BAD_REQUEST, detail);
    let limit = asked.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(wrong(format!("limit: `{limit}` is not between 1 and {MAX_LIMIT}")));
    }
    if asked.hours.is_some_and(|hours| !(1..=MAX_HOURS).contains(&hours)) {
        return Err(wrong(format!("hours: write a number from 1 to {MAX_HOURS}")));
    }
    let behind = asked.cursor.as_deref().map(|cursor| {
        place(cursor).ok_or_else(|| {
            wrong(format!("cursor: `{cursor}` is none; write the next_cursor of the page before"))
        })
    });
    let filter = AlertFilter {
        statuses: asked.status.map_or(Vec::new(), Shown::statuses),
        severity: asked.severity,
        tenant: caller.tenant(asked.tenant)?,
        service: asked.service,
        endpoint: asked.endpoint,
        since: asked.hours.map(|hours| state.clock.now() - TimeDelta::hours(hours.into())),
        behind: behind.transpose()?,
        limit: limit + 1,
    };
    let mut items = state.store.alerts(&filter).await?;
    let has_more = items.len() > limit as usize;
    items.truncate(limit as usize);
    let next_cursor = items.last().filter(|_| has_more).map(cursor);
    Ok(Json(Page { items, next_cursor }))
}

fn cursor(alert: &Alert) -> String {
    format!("{:x}.{}", alert.last_seen_at.timestamp_micros(), alert.id.simple())
}

fn place(cursor: &str) -> Option<(DateTime<Utc>, Uuid)> {
    let (micros, id) = cursor.split_once('.')?;
    let at = DateTime::from_timestamp_micros(i64::from_str_radix(micros, 16).ok()?)?;
    Some((at, Uuid::try_parse(id).ok()?))
}

/// An alert with its history, and who was told
#[utoipa::path(get, path = "/performance/alerts/{id}", tag = "alerts", params(("id" = Uuid, Path)),
    responses((status = 200, body = Whole)))]
async fn show(
    State(state): State<ApiState>,
    caller: Caller,
    Path(id): Path<Uuid>,
) -> Result<Json<Whole>, Problem> {
    let alert = alert(&state, &caller, id).await?;
    let told = NotificationFilter { alert_id: Some(id), limit: MAX_TOLD, ..NotificationFilter::default() };
    let mut notifications = state.store.notifications(&told).await?;
    if caller.tenant.is_some() {
        // Why one waits, and with what it was sent, may tell of others.
        for told in &mut notifications {
            (told.reason, told.delivery_id, told.attempts) = (None, None, None);
        }
    }
    Ok(Json(Whole { alert, events: state.store.alert_events(id).await?, notifications }))
}

/// Create alerts, or update those that are open, by type and scope
#[utoipa::path(post, path = "/performance/alerts", tag = "alerts", request_body = OneOrManyOf<FindingRequest>,
    responses((status = 200, body = OneOrManyOf<Alert>)))]
async fn create_or_update(
    State(state): State<ApiState>,
    caller: Caller,
    body: OneOrMany<FindingRequest>,
) -> Result<(StatusCode, Json<serde_json::Value>), Problem> {
    let many = body.many;
    let mut found: Vec<(Finding, bool)> = Vec::new();
    for (pointer, mut request) in body.into_items() {
        request.tenant = caller.tenant(request.tenant.take())?;
        found.push(request.check(&pointer, &state.alerting)?);
    }
    if found.len() > MAX_REPORTED {
        return Err(Problem::at("", format!("{} alerts; send up to {MAX_REPORTED} at a time", found.len())));
    }
    // So that reports that wait for each other do not take the connections that others need.
    let _turn = state.reports.acquire().await;
    let alerts = state.alerting.report(&state.store, found, &caller.name, state.clock.now()).await?;
    let body =
        if many { serde_json::json!(alerts) } else { serde_json::json!(alerts.into_iter().next().flatten()) };
    Ok((StatusCode::OK, Json(body)))
}

impl FindingRequest {
    pub(super) fn check(self, pointer: &str, alerting: &Alerting) -> Result<(Finding, bool), Problem> {
        let wrong = |field: &str, reason: String| Err(Problem::at(format!("{pointer}/{field}"), reason));
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        if self.alert_type.is_empty() || self.alert_type.len() > 100 || !self.alert_type.bytes().all(is_word)
        {
            return wrong(
                "alert_type",
                format!("`{}` is no word; write letters, digits, `_`, `-` and `.`", self.alert_type),
            );
        }
        if alerting.is_reserved(&self.alert_type) {
            let reason = format!(
                "`{0}` is the name of a rule or of an alert that Dogwatch raises itself; write another, such as \
                 `{0}_reported`",
                self.alert_type
            );
            return wrong("alert_type", reason);
        }
        let scope = [
            ("tenant", &self.tenant),
            ("service", &self.service),
            ("endpoint", &self.endpoint),
            ("host", &self.host),
        ];
        if self.title.as_ref().is_some_and(|title| title.trim().is_empty()) {
            return wrong("title", "is empty; write one, or leave it out".to_owned());
        }
        let lines = [("title", self.title.as_ref()), ("unit", self.unit.as_ref())];
        let lines = lines.into_iter().chain(scope.iter().map(|(field, text)| (*field, text.as_ref())));
        for (field, text) in lines.filter_map(|(field, text)| Some((field, text?))) {
            if let Some(reason) = wrong_text(text, MAX_TEXT, char::is_control) {
                return wrong(field, reason);
            }
        }
        let is_wrong = |char: char| char.is_control() && !matches!(char, '\n' | '\r' | '\t');
        if let Some(reason) = wrong_text(&self.description, MAX_TEXT, is_wrong) {
            return wrong("description", reason);
        }
        let numbers = [("value", self.value), ("threshold", self.threshold)];
        if let Some((field, _)) =
            numbers.iter().find(|(_, number)| number.is_some_and(|number| !number.is_finite()))
        {
            return wrong(field, "is no finite number".to_owned());
        }
        let bytes: usize = self.labels.iter().map(|(label, value)| label.len() + value.len()).sum();
        if self.labels.len() > MAX_LABELS || bytes > MAX_LABEL_BYTES {
            let reason = format!(
                "{} labels of {bytes} bytes; write up to {MAX_LABELS}, of up to {MAX_LABEL_BYTES} bytes together",
                self.labels.len()
            );
            return wrong("labels", reason);
        }
        for (label, value) in &self.labels {
            if label == SOURCE || [label, value].iter().any(|text| text.contains(char::is_control)) {
                let reason = format!(
                    "`{}` is Dogwatch's own, or has control characters; leave it out",
                    label.escape_debug()
                );
                return wrong("labels", reason);
            }
        }
        let mut labels = self.labels;
        labels.extend(
            scope.iter().filter_map(|(label, value)| Some(((*label).to_owned(), value.as_ref()?.clone()))),
        );
        // Parts that are absent count: of different scopes none is taken for another.
        let parts = scope.map(|(_, value)| value.as_deref());
        let finding = Finding {
            // Never that of a rule.
            fingerprint: format!("api:{}:{}", self.alert_type, serde_json::json!(parts)),
            title: self.title.unwrap_or_else(|| title(&self.alert_type, &scope)),
            alert_type: self.alert_type,
            severity: Some(self.severity),
            description: self.description,
            labels,
            value: self.value,
            threshold: self.threshold,
            unit: self.unit,
            reported_by: None,
        };
        Ok((finding, self.status == Wanted::Resolved))
    }
}

/// Of an alert that has none: `shop POST /pay: payment provider`.
fn title(alert_type: &str, scope: &[(&str, &Option<String>)]) -> String {
    let subject = scope.iter().filter_map(|(_, value)| value.as_deref()).collect::<Vec<_>>().join(" ");
    let kind = alert_type.replace('_', " ");
    if subject.is_empty() { kind } else { format!("{subject}: {kind}") }
}

/// The alert, when it is one that the caller may see.
pub(super) async fn alert(state: &ApiState, caller: &Caller, id: Uuid) -> Result<Alert, Problem> {
    let alert = state.store.alert(id).await?.filter(|alert| caller.sees(alert.tenant.as_deref()));
    alert.ok_or_else(|| absent(id))
}

/// Say that somebody has seen it
#[utoipa::path(post, path = "/performance/alerts/{id}/acknowledge", tag = "alerts", params(("id" = Uuid, Path)),
    request_body = Option<Said>, responses((status = 200, body = Alert)))]
async fn acknowledge(
    State(state): State<ApiState>,
    caller: Caller,
    Path(id): Path<Uuid>,
    Optional(said): Optional<Said>,
) -> Result<Json<Alert>, Problem> {
    alert(&state, &caller, id).await?;
    let (by, note, now) = (caller.by(said.by.as_deref())?, said.note.as_deref(), state.clock.now());
    let alert = state.alerting.acknowledge(&state.store, id, &by, note, now).await?;
    caller.actor().did(&state.store, AuditAction::AlertAcknowledged, alert.title.clone()).await;
    Ok(Json(alert))
}

/// Say that it is over; should it still hold, it is raised again
#[utoipa::path(post, path = "/performance/alerts/{id}/resolve", tag = "alerts", params(("id" = Uuid, Path)),
    request_body = Option<Said>, responses((status = 200, body = Alert)))]
async fn resolve(
    State(state): State<ApiState>,
    caller: Caller,
    Path(id): Path<Uuid>,
    Optional(said): Optional<Said>,
) -> Result<Json<Alert>, Problem> {
    alert(&state, &caller, id).await?;
    let (by, note, now) = (caller.by(said.by.as_deref())?, said.note.as_deref(), state.clock.now());
    let alert = state.alerting.resolve(&state.store, id, &by, note, now).await?;
    caller.actor().did(&state.store, AuditAction::AlertResolved, alert.title.clone()).await;
    Ok(Json(alert))
}

fn absent(id: Uuid) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, format!("there is no alert `{id}`"))
}

impl From<ReportError> for Problem {
    fn from(error: ReportError) -> Self {
        match error {
            ReportError::Store(error) => error.into(),
            full @ ReportError::TooMany { .. } => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, full.to_string()).retry_after(Duration::from_mins(1))
            }
        }
    }
}

impl From<OrderError> for Problem {
    fn from(error: OrderError) -> Self {
        match error {
            OrderError::Store(error) => error.into(),
            OrderError::Unknown(id) => absent(id),
            resolved @ OrderError::Resolved(_) => Self::new(StatusCode::CONFLICT, resolved.to_string()),
        }
    }
}
