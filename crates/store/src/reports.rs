//! `performance_reports`: what was reported, as a document and as text.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::Store;
use crate::error::StoreError;

/// A report.
#[derive(Clone, Debug, Serialize)]
pub struct StoredReport {
    /// Its identity.
    pub id: Uuid,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Where its window begins.
    pub window_start: DateTime<Utc>,
    /// Where its window ends.
    pub window_end: DateTime<Utc>,
    /// Whose; absent: of everybody.
    pub tenant: Option<String>,
    /// For programs.
    pub body: Value,
    /// One line.
    pub title: String,
    /// For terminals.
    pub text: String,
    /// A page that stands alone.
    pub html: String,
}

/// A report in a list.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ReportHead {
    /// Its identity.
    pub id: Uuid,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Where its window begins.
    pub window_start: DateTime<Utc>,
    /// Where its window ends.
    pub window_end: DateTime<Utc>,
    /// Whose; absent: of everybody.
    pub tenant: Option<String>,
    /// One line.
    pub title: String,
}

impl Store {
    /// Stores a report, in the place of the one with the same id.
    pub async fn insert_report(&self, report: &StoredReport) -> Result<(), StoreError> {
        sqlx::query!(
            r#"
            INSERT INTO performance_reports (id, created_at, window_start, window_end, body, title, text, html, tenant)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
            ON CONFLICT (id) DO UPDATE SET
                created_at = excluded.created_at, window_start = excluded.window_start, window_end = excluded.window_end,
                body = excluded.body, title = excluded.title, text = excluded.text, html = excluded.html,
                tenant = excluded.tenant
            "#,
            report.id,
            report.created_at,
            report.window_start,
            report.window_end,
            report.body,
            report.title,
            report.text,
            report.html,
            report.tenant
        )
        .execute(&self.pool)
        .await
        .map_err(StoreError::query("store a report"))?;
        Ok(())
    }

    /// The report with this id.
    pub async fn report(&self, id: Uuid) -> Result<Option<StoredReport>, StoreError> {
        sqlx::query_as!(
            StoredReport,
            r#"
            SELECT id, created_at, window_start, window_end, tenant, body, title, text, html
            FROM performance_reports
            WHERE id = $1
            "#,
            id
        )
        .fetch_optional(&self.pool)
        .await
        .map_err(StoreError::query("read a report"))
    }

    /// The newest reports first, of a tenant or of all.
    pub async fn reports(&self, tenant: Option<&str>, limit: u32) -> Result<Vec<ReportHead>, StoreError> {
        sqlx::query_as!(
            ReportHead,
            r#"
            SELECT id, created_at, window_start, window_end, tenant, title
            FROM performance_reports
            WHERE $2::text IS NULL OR tenant = $2
            ORDER BY created_at DESC
            LIMIT $1
            "#,
            i64::from(limit),
            tenant
        )
        .fetch_all(&self.pool)
        .await
        .map_err(StoreError::query("read reports"))
    }
}
