//! `trend_findings`: what trend analysis has found, and what became of it.

use chrono::{DateTime, Utc};
use dogwatch_alerting::{Metric, Scope};
use serde::{Deserialize, Serialize};
use sqlx::types::Json;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::Store;
use crate::error::StoreError;
use crate::trend_series::metric;
use crate::words::{FindingKind, FindingState, TrendDirection};

/// Findings that one look returns.
const MAX_FINDINGS: i64 = 20_000;

/// Something that trend analysis has found.
#[derive(Clone, Debug, PartialEq)]
pub struct TrendFinding {
    /// Its id.
    pub id: Uuid,
    /// Its series.
    pub series_id: i32,
    /// What it is.
    pub kind: FindingKind,
    /// What became of it.
    pub state: FindingState,
    /// Which figure.
    pub metric: Metric,
    /// Of what.
    pub scope: Scope,
    /// Which way it went.
    pub direction: TrendDirection,
    /// When it began.
    pub since: DateTime<Utc>,
    /// No earlier than this.
    pub earliest: DateTime<Utc>,
    /// No later than this.
    pub latest: DateTime<Utc>,
    /// What the figure was before, in the unit of the metric.
    pub before: f64,
    /// What it is since; of a forecast, what it comes to in a day.
    pub after: f64,
    /// How much it changed; absent where there was next to nothing before.
    pub change_percent: Option<f64>,
    /// How sure it is, 0 to 1.
    pub confidence: f64,
    /// Seconds that users lose, or win, in an hour.
    pub effect_s_per_hour: f64,
    /// When a limit is met.
    pub limit: Option<LimitAt>,
    /// What it comes from.
    pub cause: Cause,
    /// The one that stands for all with the same cause; itself, where it is that.
    pub group_id: Uuid,
    /// When it was found.
    pub found_at: DateTime<Utc>,
    /// When something of it changed last.
    pub updated_at: DateTime<Utc>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
}

/// When a limit will be met, if it goes on like this.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LimitAt {
    /// Most likely.
    pub at: DateTime<Utc>,
    /// No earlier, with a probability of 95 %.
    pub earliest: DateTime<Utc>,
    /// No later.
    pub latest: DateTime<Utc>,
}

/// What a change comes from, as far as is known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Cause {
    /// What all of the group share, such as `service shop`.
    pub shared: Option<String>,
    /// The query that takes most of the added time.
    pub query: Option<CausingQuery>,
    /// A version of the service that was first seen about then.
    pub version: Option<SeenVersion>,
}

/// A query that takes a part of the added time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CausingQuery {
    /// Its fingerprint.
    pub fingerprint: String,
    /// What it does, such as `SELECT carts`.
    pub summary: Option<String>,
    /// Part of the added time, 0 to 1.
    pub share: f64,
}

/// A version of a service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SeenVersion {
    /// As the service tells it.
    pub version: String,
    /// When it was seen first.
    pub first_seen_at: DateTime<Utc>,
}

struct Row {
    id: Uuid,
    series_id: i32,
    kind: String,
    state: String,
    metric: String,
    scope: Json<Scope>,
    direction: String,
    since: DateTime<Utc>,
    earliest: DateTime<Utc>,
    latest: DateTime<Utc>,
    before: f64,
    after: f64,
    change_percent: Option<f64>,
    confidence: f64,
    effect_s_per_hour: f64,
    limit_at: Option<DateTime<Utc>>,
    limit_earliest: Option<DateTime<Utc>>,
    limit_latest: Option<DateTime<Utc>>,
    cause: Json<Cause>,
    group_id: Uuid,
    found_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    ended_at: Option<DateTime<Utc>>,
}

impl TryFrom<Row> for TrendFinding {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let limit = match (row.limit_at, row.limit_earliest, row.limit_latest) {
            (Some(at), Some(earliest), Some(latest)) => Some(LimitAt { at, earliest, latest }),
            _ => None,
        };
        Ok(Self {
            id: row.id,
            series_id: row.series_id,
            kind: row.kind.try_into()?,
            state: row.state.try_into()?,
            metric: metric(row.metric)?,
            scope: row.scope.0,
            direction: row.direction.try_into()?,
            since: row.since,
            earliest: row.earliest,
            latest: row.latest,
            before: row.before,
            after: row.after,
            change_percent: row.change_percent,
            confidence: row.confidence,
            effect_s_per_hour: row.effect_s_per_hour,
            limit,
            cause: row.cause.0,
            group_id: row.group_id,
            found_at: row.found_at,
            updated_at: row.updated_at,
            ended_at: row.ended_at,
        })
    }
}

impl Store {
    /// Findings that are open, and those that ended since then: what is open and what users feel most first.
    pub async fn trend_findings(&self, since: DateTime<Utc>) -> Result<Vec<TrendFinding>, StoreError> {
        let rows = sqlx::query_as!(
            Row,
            r#"
            SELECT id, series_id, kind, state, metric, scope AS "scope: Json<Scope>", direction, since, earliest, latest,
                   before, after, change_percent, confidence, effect_s_per_hour, limit_at, limit_earliest, limit_latest,
                   cause AS "cause: Json<Cause>", group_id, found_at, updated_at, ended_at
            FROM trend_findings
            WHERE ended_at IS NULL OR ended_at >= $1
            ORDER BY state = 'open' DESC, abs(effect_s_per_hour) DESC, since DESC, id
            LIMIT $2
            "#,
            since,
            MAX_FINDINGS
        );
        let rows = rows.fetch_all(&self.pool).await.map_err(StoreError::query("read findings"))?;
        rows.into_iter().map(TrendFinding::try_from).collect()
    }

    /// Writes findings, new ones and changed ones, all or none.
    pub async fn store_trend_findings(&self, findings: &[TrendFinding]) -> Result<(), StoreError> {
        let failed = || StoreError::query("store findings");
        let mut transaction = self.pool.begin().await.map_err(failed())?;
        // What ends first: of a series one is open.
        let (ended, open): (Vec<_>, Vec<_>) =
            findings.iter().partition(|finding| finding.state != FindingState::Open);
        for finding in ended.into_iter().chain(open) {
            let write = sqlx::query!(
                r#"
                INSERT INTO trend_findings (
                    id, series_id, kind, state, metric, scope, direction, since, earliest, latest, before, after,
                    change_percent, confidence, effect_s_per_hour, limit_at, limit_earliest, limit_latest, cause,
                    group_id, found_at, updated_at, ended_at
                )
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21,
                        $22, $23)
                ON CONFLICT (id) DO UPDATE
                SET state = excluded.state, direction = excluded.direction, since = excluded.since,
                    earliest = excluded.earliest, latest = excluded.latest, before = excluded.before,
                    after = excluded.after, change_percent = excluded.change_percent,
                    confidence = excluded.confidence, effect_s_per_hour = excluded.effect_s_per_hour,
                    limit_at = excluded.limit_at, limit_earliest = excluded.limit_earliest,
                    limit_latest = excluded.limit_latest, cause = excluded.cause, group_id = excluded.group_id,
                    updated_at = excluded.updated_at, ended_at = excluded.ended_at
                "#,
                finding.id,
                finding.series_id,
                finding.kind.as_str(),
                finding.state.as_str(),
                finding.metric.as_str(),
                Json(&finding.scope) as Json<&Scope>,
                finding.direction.as_str(),
                finding.since,
                finding.earliest,
                finding.latest,
                finding.before,
                finding.after,
                finding.change_percent,
                finding.confidence,
                finding.effect_s_per_hour,
                finding.limit.map(|limit| limit.at),
                finding.limit.map(|limit| limit.earliest),
                finding.limit.map(|limit| limit.latest),
                Json(&finding.cause) as Json<&Cause>,
                finding.group_id,
                finding.found_at,
                finding.updated_at,
                finding.ended_at
            );
            write.execute(&mut *transaction).await.map_err(failed())?;
        }
        transaction.commit().await.map_err(failed())
    }
}
