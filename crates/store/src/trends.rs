//! `performance_trends`: what has shifted from one window to the next.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::Store;
use crate::error::StoreError;
use crate::words::{TrendDirection, TrendMetric};

/// A shift of one figure of an endpoint or a host.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Trend {
    /// When it was found.
    pub found_at: DateTime<Utc>,
    /// Where the later window begins.
    pub window_start: DateTime<Utc>,
    /// Where it ends.
    pub window_end: DateTime<Utc>,
    /// The service.
    pub service: Option<String>,
    /// The HTTP method.
    pub method: Option<String>,
    /// The route.
    pub endpoint: Option<String>,
    /// The host.
    pub host: Option<String>,
    /// Which figure.
    pub metric: TrendMetric,
    /// Its mean in the window before.
    pub before_mean: f64,
    /// Its mean in the later window.
    pub after_mean: f64,
    /// Values in the window before.
    pub before_count: i64,
    /// Values in the later window.
    pub after_count: i64,
    /// How much it changed.
    pub change_percent: f64,
    /// Which way.
    pub direction: TrendDirection,
    /// How sure, in standard errors.
    pub score: f64,
}

impl Store {
    /// Stores findings; says how many were new. The same window, figure and subject is stored once.
    pub async fn insert_trends(&self, trends: &[Trend]) -> Result<u64, StoreError> {
        let failed = || StoreError::query("store trends");
        let mut transaction = self.pool.begin().await.map_err(failed())?;
        let mut stored = 0;
        for trend in trends {
            let inserted = sqlx::query!(
                r#"
                INSERT INTO performance_trends (
                    found_at, window_start, window_end, service, method, endpoint, host, metric,
                    before_mean, after_mean, before_count, after_count, change_percent, direction, score
                )
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
                ON CONFLICT DO NOTHING
                "#,
                trend.found_at,
                trend.window_start,
                trend.window_end,
                trend.service,
                trend.method,
                trend.endpoint,
                trend.host,
                trend.metric.as_str(),
                trend.before_mean,
                trend.after_mean,
                trend.before_count,
                trend.after_count,
                trend.change_percent,
                trend.direction.as_str(),
                trend.score
            );
            stored += inserted.execute(&mut *transaction).await.map_err(failed())?.rows_affected();
        }
        transaction.commit().await.map_err(failed())?;
        Ok(stored)
    }

    /// Findings since a time, the newest first.
    pub async fn trends(&self, since: DateTime<Utc>, limit: u32) -> Result<Vec<Trend>, StoreError> {
        let rows = sqlx::query!(
            r#"
            SELECT
                found_at, window_start, window_end, service, method, endpoint, host, metric,
                before_mean, after_mean, before_count, after_count, change_percent, direction, score
            FROM performance_trends
            WHERE found_at >= $1
            ORDER BY found_at DESC, id
            LIMIT $2
            "#,
            since,
            i64::from(limit)
        )
        .fetch_all(&self.pool)
        .await
        .map_err(StoreError::query("read trends"))?;
        rows.into_iter()
            .map(|row| {
                Ok(Trend {
                    found_at: row.found_at,
                    window_start: row.window_start,
                    window_end: row.window_end,
                    service: row.service,
                    method: row.method,
                    endpoint: row.endpoint,
                    host: row.host,
                    metric: row.metric.try_into()?,
                    before_mean: row.before_mean,
                    after_mean: row.after_mean,
                    before_count: row.before_count,
                    after_count: row.after_count,
                    change_percent: row.change_percent,
                    direction: row.direction.try_into()?,
                    score: row.score,
                })
            })
            .collect()
    }
}
