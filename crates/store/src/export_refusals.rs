//! `export_refusals`: what exporters send and Dogwatch refuses, by reason and service.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Store;
use crate::error::StoreError;

/// Reasons and services that are kept.
const MAX_KEPT: i64 = 1000;

/// Exports that were refused for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExportRefusal {
    /// Why, such as `ahead` or `unauthorised`.
    pub reason: String,
    /// Which service sent them; empty where nobody could read that.
    pub service: String,
    /// How many exports had something that was refused.
    pub exports: i64,
    /// When first.
    pub first_at: DateTime<Utc>,
    /// When last.
    pub last_at: DateTime<Utc>,
    /// What was said to the last of them.
    pub message: String,
}

impl Store {
    /// Notes exports that were refused; of one that ended an hour ago the count begins anew.
    pub async fn note_export_refusal(
        &self,
        reason: &str,
        service: &str,
        exports: i64,
        message: &str,
    ) -> Result<(), StoreError> {
        let note = sqlx::query!(
            "INSERT INTO export_refusals AS known (reason, service, exports, first_at, last_at, message)
             SELECT $1, $2, $3, clock_timestamp(), clock_timestamp(), $4
             WHERE (SELECT count(*) FROM export_refusals) < $5
                OR EXISTS (SELECT FROM export_refusals WHERE reason = $1 AND service = $2)
             ON CONFLICT (reason, service) DO UPDATE SET
                 exports = CASE WHEN known.last_at < excluded.last_at - interval '1 hour' THEN 0 ELSE known.exports END
                           + excluded.exports,
                 first_at = CASE WHEN known.last_at < excluded.last_at - interval '1 hour' THEN excluded.first_at
                            ELSE known.first_at END,
                 last_at = excluded.last_at, message = excluded.message",
            reason,
            service,
            exports,
            message,
            MAX_KEPT
        );
        note.execute(&self.pool).await.map(drop).map_err(StoreError::query("note what was refused"))
    }

    /// What was refused in the last minutes, by the clock of Postgres, the latest first.
    pub async fn export_refusals(&self, minutes: i32) -> Result<Vec<ExportRefusal>, StoreError> {
        let refused = sqlx::query_as!(
            ExportRefusal,
            "SELECT reason, service, exports, first_at, last_at, message FROM export_refusals
             WHERE last_at >= now() - $1 * interval '1 minute' ORDER BY last_at DESC LIMIT 100",
            f64::from(minutes)
        );
        refused.fetch_all(&self.pool).await.map_err(StoreError::query("read what was refused"))
    }
}
