//! `silences`: what people do not want to hear of for a while.

use chrono::{DateTime, Utc};
use dogwatch_alerting::{Matcher, Silence};
use serde::{Deserialize, Serialize};
use sqlx::types::Json;
use sqlx::{Postgres, Transaction};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::Store;
use crate::error::StoreError;

/// Silences that one look returns: more than all tenants together may have.
const MAX_ROWS: i64 = 10_000;

/// A silence.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct StoredSilence {
    /// Its identity.
    pub id: Uuid,
    /// Which alerts.
    #[serde(rename = "match")]
    pub matcher: Matcher,
    /// From when.
    pub starts_at: DateTime<Utc>,
    /// To when.
    pub ends_at: DateTime<Utc>,
    /// Who has made it.
    pub created_by: String,
    /// Why.
    pub comment: String,
}

impl From<StoredSilence> for Silence {
    fn from(stored: StoredSilence) -> Self {
        let StoredSilence { matcher, starts_at, ends_at, created_by, comment, .. } = stored;
        Self { matcher, starts_at, ends_at, comment: format!("{created_by}: {comment}") }
    }
}

impl Store {
    /// Keeps a silence.
    pub async fn insert_silence(&self, silence: &StoredSilence) -> Result<(), StoreError> {
        self.insert_silences(std::slice::from_ref(silence)).await
    }

    /// Keeps silences: all of them or none.
    pub async fn insert_silences(&self, silences: &[StoredSilence]) -> Result<(), StoreError> {
        let failed = || StoreError::query("store a silence");
        let mut transaction = self.pool.begin().await.map_err(failed())?;
        for silence in silences {
            insert(&mut transaction, silence).await.map_err(failed())?;
        }
        transaction.commit().await.map_err(failed())
    }

    /// Silences of a tenant that are not over.
    pub async fn count_silences(&self, tenant: &str, now: DateTime<Utc>) -> Result<i64, StoreError> {
        let count = sqlx::query_scalar!(
            r#"SELECT count(*) AS "count!" FROM silences WHERE ends_at > $1 AND matcher ->> 'tenant' = $2"#,
            now,
            tenant
        );
        count.fetch_one(&self.pool).await.map_err(StoreError::query("count silences"))
    }

    /// Silences that are not over, the one that ends first first.
    pub async fn silences(&self, now: DateTime<Utc>) -> Result<Vec<StoredSilence>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT id, matcher AS "matcher: Json<Matcher>", starts_at, ends_at, created_by, comment
               FROM silences WHERE ends_at > $1 ORDER BY ends_at LIMIT $2"#,
            now,
            MAX_ROWS
        );
        let rows = rows.fetch_all(&self.pool).await.map_err(StoreError::query("read silences"))?;
        Ok(rows
            .into_iter()
            .map(|row| StoredSilence {
                id: row.id,
                matcher: row.matcher.0,
                starts_at: row.starts_at,
                ends_at: row.ends_at,
                created_by: row.created_by,
                comment: row.comment,
            })
            .collect())
    }

    /// Ends a silence now: what was held is looked at again at once. False when there is none, or it is over.
    pub async fn end_silence(&self, id: Uuid, now: DateTime<Utc>) -> Result<bool, StoreError> {
        let failed = || StoreError::query("end a silence");
        let mut transaction = self.pool.begin().await.map_err(failed())?;
        let end = sqlx::query!("UPDATE silences SET ends_at = $2 WHERE id = $1 AND ends_at > $2", id, now);
        if end.execute(&mut *transaction).await.map_err(failed())?.rows_affected() == 0 {
            return Ok(false);
        }
        let look_again = sqlx::query!(
            "UPDATE notifications SET not_before = $1
             WHERE held_by IS NOT NULL AND not_before > $1
               AND delivery_id IS NULL AND delivered_at IS NULL AND abandoned_at IS NULL AND suppressed_at IS NULL",
            now
        );
        look_again.execute(&mut *transaction).await.map_err(failed())?;
        transaction.commit().await.map_err(failed())?;
        Ok(true)
    }
}

async fn insert(transaction: &mut Transaction<'_, Postgres>, silence: &StoredSilence) -> sqlx::Result<()> {
    let insert = sqlx::query!(
        "INSERT INTO silences (id, matcher, starts_at, ends_at, created_by, comment) VALUES ($1, $2, $3, $4, $5, $6)",
        silence.id,
        Json(&silence.matcher) as Json<&Matcher>,
        silence.starts_at,
        silence.ends_at,
        silence.created_by,
        silence.comment
    );
    insert.execute(&mut **transaction).await.map(drop)
}
