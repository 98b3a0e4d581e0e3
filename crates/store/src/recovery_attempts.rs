//! `recovery_attempts`: what was tried to bring a service back, and whether it helped.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::Store;
use crate::error::StoreError;

/// Attempts that one look returns.
const MAX_ROWS: i64 = 100;

/// An attempt.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct RecoveryAttempt {
    /// Its identity.
    pub id: Uuid,
    /// The service.
    pub service: String,
    /// When it began.
    pub began_at: DateTime<Utc>,
    /// When it ended; absent: it has not, or nobody knows.
    pub ended_at: Option<DateTime<Utc>>,
    /// `command` or `webhook`.
    pub kind: String,
    /// Whether the action came to its end.
    pub done: Option<bool>,
    /// Why not.
    pub error: Option<String>,
    /// When the check found the service well again.
    pub recovered_at: Option<DateTime<Utc>>,
}

impl Store {
    /// Takes the right to try: `None` when there were `budget` attempts since `budget_since`, or one since `cool_since`.
    /// Two that ask at once do not both get it.
    pub async fn begin_recovery(
        &self,
        service: &str,
        kind: &str,
        budget: i64,
        budget_since: DateTime<Utc>,
        cool_since: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Option<Uuid>, StoreError> {
        let failed = || StoreError::query("begin to bring a service back");
        let mut transaction = self.pool.begin().await.map_err(failed())?;
        let lock =
            sqlx::query!("SELECT pg_advisory_xact_lock(hashtextextended($1, 9))::text AS locked", service);
        lock.fetch_one(&mut *transaction).await.map_err(failed())?;
        let begun = sqlx::query_scalar!(
            "INSERT INTO recovery_attempts (id, service, began_at, kind)
             SELECT $1, $2, $3, $4
             WHERE (SELECT count(*) FROM recovery_attempts WHERE service = $2 AND began_at > $6) < $5
               AND NOT EXISTS (SELECT FROM recovery_attempts WHERE service = $2 AND began_at > $7)
             RETURNING id",
            Uuid::now_v7(),
            service,
            now,
            kind,
            budget,
            budget_since,
            cool_since
        );
        let begun = begun.fetch_optional(&mut *transaction).await.map_err(failed())?;
        transaction.commit().await.map_err(failed())?;
        Ok(begun)
    }

    /// Notes what became of an attempt.
    pub async fn end_recovery(
        &self,
        id: Uuid,
        error: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let end = sqlx::query!(
            "UPDATE recovery_attempts SET ended_at = $2, done = $3, error = $4 WHERE id = $1",
            id,
            now,
            error.is_none(),
            error
        );
        end.execute(&self.pool).await.map(drop).map_err(StoreError::query("note an attempt"))
    }

    /// Notes that a service is well again; the attempts since it was not, the first first.
    pub async fn recovered(
        &self,
        service: &str,
        since: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Vec<RecoveryAttempt>, StoreError> {
        let rows = sqlx::query_as!(
            RecoveryAttempt,
            r#"
            WITH back AS (
                UPDATE recovery_attempts SET recovered_at = $3
                WHERE service = $1 AND began_at >= $2 AND recovered_at IS NULL
                RETURNING id, service, began_at, ended_at, kind, done, error, recovered_at
            )
            SELECT id AS "id!", service AS "service!", began_at AS "began_at!", ended_at, kind AS "kind!", done, error,
                   recovered_at
            FROM back ORDER BY began_at
            "#,
            service,
            since,
            now
        );
        rows.fetch_all(&self.pool).await.map_err(StoreError::query("note that a service is back"))
    }

    /// The last attempt since then, of each service that has had one.
    pub async fn last_recoveries(
        &self,
        since: DateTime<Utc>,
    ) -> Result<HashMap<String, RecoveryAttempt>, StoreError> {
        let rows = sqlx::query_as!(
            RecoveryAttempt,
            "SELECT DISTINCT ON (service) id, service, began_at, ended_at, kind, done, error, recovered_at
             FROM recovery_attempts WHERE began_at >= $1 ORDER BY service, began_at DESC",
            since
        );
        let rows = rows
            .fetch_all(&self.pool)
            .await
            .map_err(StoreError::query("read attempts to bring services back"))?;
        Ok(rows.into_iter().map(|attempt| (attempt.service.clone(), attempt)).collect())
    }

    /// The last attempts of a service, the newest first.
    pub async fn recovery_attempts(&self, service: &str) -> Result<Vec<RecoveryAttempt>, StoreError> {
        let rows = sqlx::query_as!(
            RecoveryAttempt,
            "SELECT id, service, began_at, ended_at, kind, done, error, recovered_at
             FROM recovery_attempts WHERE service = $1 ORDER BY began_at DESC LIMIT $2",
            service,
            MAX_ROWS
        );
        rows.fetch_all(&self.pool).await.map_err(StoreError::query("read attempts to bring a service back"))
    }
}
