//! `/api/v1/performance/silences` and `/alerts/{id}/silence`: what people do not want to hear of for a while.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, TimeDelta, Utc};
use dogwatch_alerting::Matcher;
use dogwatch_jobs::its_like;
use dogwatch_runtime::{duration, time};
use dogwatch_store::{AuditAction, StoredSilence};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::ApiState;
use super::alerts::{TENANT, alert};
use super::body::{OneOrMany, OneOrManyOf, Optional};
use super::error::Problem;
use super::parts::Path;
use crate::access::Caller;
use crate::alerts::CreatedSilence;
use crate::metrics::Page;

/// Silences of one tenant that are not over.
const MAX_OF_TENANT: i64 = 100;
/// Silences that one request makes.
const MAX_AT_ONCE: usize = 100;
/// What a silence lasts where nothing is said, and at the most.
const USUAL_SILENCE: TimeDelta = TimeDelta::hours(1);
const MAX_SILENCE: TimeDelta = TimeDelta::days(366);

pub(super) fn reading() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(silences))
}

pub(super) fn writing() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(silence)).routes(routes!(new_silence)).routes(routes!(end_silence))
}

/// How long not to hear of an alert.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct SilenceAlert {
    /// Who acts, beside the name of the key.
    by: Option<String>,
    /// Why.
    comment: Option<String>,
    /// How long, such as `2h`; default an hour.
    #[serde(with = "duration::optional")]
    #[schema(value_type = Option<String>)]
    duration: Option<std::time::Duration>,
}

/// A silence by labels.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewSilence {
    /// Which alerts: labels and their values or patterns; all have to hold.
    #[serde(rename = "match")]
    matcher: Matcher,
    /// Who acts, beside the name of the key.
    by: Option<String>,
    /// Why.
    #[serde(default)]
    comment: String,
    #[serde(default, deserialize_with = "time::optional")]
    starts_at: Option<DateTime<Utc>>,
    #[serde(default, deserialize_with = "time::optional")]
    ends_at: Option<DateTime<Utc>>,
}

/// Do not hear of it, and of others of its type and scope, for a while
#[utoipa::path(post, path = "/performance/alerts/{id}/silence", tag = "alerts", params(("id" = Uuid, Path)),
    request_body = Option<SilenceAlert>, responses((status = 201, body = CreatedSilence)))]
async fn silence(
    State(state): State<ApiState>,
    caller: Caller,
    Path(id): Path<Uuid>,
    Optional(asked): Optional<SilenceAlert>,
) -> Result<(StatusCode, Json<CreatedSilence>), Problem> {
    let alert = alert(&state, &caller, id).await?;
    let now = state.clock.now();
    let length = asked.duration.map_or(Ok(USUAL_SILENCE), TimeDelta::from_std);
    let length = length.ok().filter(|length| *length <= MAX_SILENCE);
    let length = length.ok_or_else(|| Problem::at("/duration", "is longer than 366 days"))?;
    let silence = StoredSilence {
        id: Uuid::now_v7(),
        matcher: its_like(&alert),
        starts_at: now,
        ends_at: now + length,
        created_by: caller.by(asked.by.as_deref())?,
        comment: asked.comment.unwrap_or(alert.title),
    };
    let mut made = keep(&state, &caller, vec![silence]).await?;
    Ok((StatusCode::CREATED, Json(made.remove(0))))
}

/// Keeps silences. A tenant has so many at most: each delivery looks at all of them.
async fn keep(
    state: &ApiState,
    caller: &Caller,
    silences: Vec<StoredSilence>,
) -> Result<Vec<CreatedSilence>, Problem> {
    if let Some(tenant) = &caller.tenant {
        let there = state.store.count_silences(tenant, state.clock.now()).await?;
        if there + i64::try_from(silences.len()).unwrap_or(i64::MAX) > MAX_OF_TENANT {
            let reason =
                format!("there are {there} silences, and {MAX_OF_TENANT} may be; end some of them first");
            return Err(Problem::new(StatusCode::CONFLICT, reason));
        }
    }
    state.store.insert_silences(&silences).await?;
    for silence in &silences {
        let details = serde_json::json!({ "ends_at": silence.ends_at, "comment": silence.comment });
        let target = silence.matcher.to_string();
        caller.actor().did_with(&state.store, AuditAction::SilenceCreated, target, Some(details)).await;
    }
    Ok(CreatedSilence::of(&state.store, silences).await?)
}

/// Silences that are not over
#[utoipa::path(get, path = "/performance/silences", tag = "alerts", responses((status = 200, body = Page<StoredSilence>)))]
async fn silences(
    State(state): State<ApiState>,
    caller: Caller,
) -> Result<Json<Page<StoredSilence>>, Problem> {
    let mut items = state.store.silences(state.clock.now()).await?;
    items.retain(|silence| caller.sees(silence.matcher.exactly(TENANT)));
    Ok(Json(Page { items, next_cursor: None }))
}

/// Do not hear of some alerts for a while
#[utoipa::path(post, path = "/performance/silences", tag = "alerts", request_body = OneOrManyOf<NewSilence>,
    responses((status = 201, body = OneOrManyOf<CreatedSilence>)))]
async fn new_silence(
    State(state): State<ApiState>,
    caller: Caller,
    body: OneOrMany<NewSilence>,
) -> Result<(StatusCode, Json<serde_json::Value>), Problem> {
    let many = body.many;
    let now = state.clock.now();
    let mut made = Vec::new();
    if body.len() > MAX_AT_ONCE {
        return Err(Problem::at("", format!("{} silences; make up to {MAX_AT_ONCE} at a time", body.len())));
    }
    for (pointer, asked) in body.into_items() {
        let starts_at = asked.starts_at.unwrap_or(now);
        let ends_at = asked.ends_at.unwrap_or(starts_at + USUAL_SILENCE);
        if ends_at <= starts_at.max(now) || ends_at - now > MAX_SILENCE {
            return Err(Problem::at(
                format!("{pointer}/ends_at"),
                "is not after `starts_at` and now, within 366 days",
            ));
        }
        if asked.matcher.is_empty() {
            let right = "is empty; write labels, or { \"alert_type\": \"*\" } for everything";
            return Err(Problem::at(format!("{pointer}/match"), right));
        }
        asked.matcher.check().map_err(|reason| Problem::at(format!("{pointer}/match"), reason))?;
        // Of a tenant it silences nothing of another.
        let matcher = match &caller.tenant {
            Some(tenant) => asked.matcher.and(TENANT, tenant),
            None => asked.matcher,
        };
        made.push(StoredSilence {
            id: Uuid::now_v7(),
            matcher,
            starts_at,
            ends_at,
            created_by: caller.by(asked.by.as_deref())?,
            comment: asked.comment,
        });
    }
    let mut made = keep(&state, &caller, made).await?;
    let body = if many { serde_json::json!(made) } else { serde_json::json!(made.pop()) };
    Ok((StatusCode::CREATED, Json(body)))
}

/// End a silence now
#[utoipa::path(delete, path = "/performance/silences/{id}", tag = "alerts", params(("id" = Uuid, Path)), responses((status = 204)))]
async fn end_silence(
    State(state): State<ApiState>,
    caller: Caller,
    Path(id): Path<Uuid>,
) -> Result<StatusCode, Problem> {
    let now = state.clock.now();
    let is_its = |silence: StoredSilence| silence.id == id && caller.sees(silence.matcher.exactly(TENANT));
    let may = caller.tenant.is_none() || state.store.silences(now).await?.into_iter().any(is_its);
    if may && state.store.end_silence(id, now).await? {
        caller.actor().did(&state.store, AuditAction::SilenceEnded, id.to_string()).await;
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::new(StatusCode::NOT_FOUND, format!("no silence `{id}` lasts")))
    }
}
