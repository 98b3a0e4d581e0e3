//! `audit_events`: who did what, when and from where. Rows are only added, and removed when they are old.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::Store;
use crate::error::StoreError;
use crate::words::AuditAction;

/// Something that somebody did.
#[derive(Clone, Debug)]
pub struct NewAuditEvent {
    /// What.
    pub action: AuditAction,
    /// Who: the name of a key, or the user of the command line.
    pub actor: String,
    /// From where: the address of a client, or the host of the command line.
    pub address: Option<String>,
    /// To what.
    pub target: Option<String>,
    /// More of it, such as the values that were set. No secrets.
    pub details: Option<Value>,
}

/// A line of the audit log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AuditEvent {
    /// Its place in the log.
    pub id: i64,
    /// When, by the clock of Postgres.
    pub occurred_at: DateTime<Utc>,
    /// What was done.
    pub action: AuditAction,
    /// Who did it: the name of a key, or the user of the command line.
    pub actor: String,
    /// From where: the address of a client, or the host of the command line.
    pub address: Option<String>,
    /// To what it was done.
    pub target: Option<String>,
    /// More of it, such as the values that were set.
    #[schema(value_type = Option<Object>)]
    pub details: Option<Value>,
}

/// Which lines of the audit log to list.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// Only what was done in this way.
    pub action: Option<AuditAction>,
    /// Only what this key or user did.
    pub actor: Option<String>,
    /// Before this one.
    pub behind: Option<i64>,
    /// At most so many.
    pub limit: u32,
}

impl Store {
    /// Adds a line to the audit log.
    pub async fn record_audit_event(&self, event: &NewAuditEvent) -> Result<(), StoreError> {
        let insert = sqlx::query!(
            "INSERT INTO audit_events (action, actor, address, target, details) VALUES ($1, $2, $3, $4, $5)",
            event.action.as_str(),
            event.actor,
            event.address,
            event.target,
            event.details
        );
        insert.execute(&self.pool).await.map(drop).map_err(StoreError::query("add to the audit log"))
    }

    /// The audit log, the newest first.
    pub async fn audit_events(&self, filter: &AuditFilter) -> Result<Vec<AuditEvent>, StoreError> {
        let rows = sqlx::query!(
            "SELECT id, occurred_at, action, actor, address, target, details FROM audit_events
             WHERE ($1::text IS NULL OR action = $1) AND ($2::text IS NULL OR actor = $2)
               AND ($3::bigint IS NULL OR id < $3)
             ORDER BY id DESC LIMIT $4",
            filter.action.map(AuditAction::as_str),
            filter.actor,
            filter.behind,
            i64::from(filter.limit)
        );
        let rows = rows.fetch_all(&self.pool).await.map_err(StoreError::query("read the audit log"))?;
        rows.into_iter()
            .map(|row| {
                Ok(AuditEvent {
                    id: row.id,
                    occurred_at: row.occurred_at,
                    action: row.action.try_into()?,
                    actor: row.actor,
                    address: row.address,
                    target: row.target,
                    details: row.details,
                })
            })
            .collect()
    }
}
