//! `performance_alerts`: one open row per condition. What has to be told of a change is written with it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::Store;
use crate::error::StoreError;
use crate::words::{AlertStatus, NotificationEvent, Severity};

/// Open alerts that one look returns; more than a person could read.
const MAX_OPEN: i64 = 10_000;

/// An alert.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Alert {
    /// Its identity.
    pub id: Uuid,
    /// Which condition.
    pub fingerprint: String,
    /// Kind of condition.
    pub alert_type: String,
    /// How bad it is.
    pub severity: Severity,
    /// One line.
    pub title: String,
    /// What was seen, with figures.
    pub description: String,
    /// The service it is about.
    pub service: Option<String>,
    /// The endpoint it is about.
    pub endpoint: Option<String>,
    /// The host it is about.
    pub host: Option<String>,
    /// What was measured last.
    pub value: Option<f64>,
    /// What it was compared with.
    pub threshold: Option<f64>,
    /// The unit of both.
    pub unit: Option<String>,
    /// Where it stands.
    pub status: AlertStatus,
    /// How often the condition was seen.
    pub occurrences: i64,
    /// When first.
    pub first_seen_at: DateTime<Utc>,
    /// When last.
    pub last_seen_at: DateTime<Utc>,
    /// When someone said that they have seen it.
    pub acknowledged_at: Option<DateTime<Utc>>,
    /// When the condition had cleared.
    pub resolved_at: Option<DateTime<Utc>>,
}

/// A condition that holds.
#[derive(Clone, Debug)]
pub struct NewAlert {
    /// Which condition.
    pub fingerprint: String,
    /// Kind of condition.
    pub alert_type: String,
    /// How bad it is.
    pub severity: Severity,
    /// One line.
    pub title: String,
    /// What was seen, with figures.
    pub description: String,
    /// The service it is about.
    pub service: Option<String>,
    /// The endpoint it is about.
    pub endpoint: Option<String>,
    /// The host it is about.
    pub host: Option<String>,
    /// What was measured.
    pub value: Option<f64>,
    /// What it was compared with.
    pub threshold: Option<f64>,
    /// The unit of both.
    pub unit: Option<String>,
}

/// What raising has done.
#[derive(Clone, Debug)]
pub struct Raised {
    /// The open alert.
    pub alert: Alert,
    /// False when it was open before: one more occurrence was counted.
    pub is_new: bool,
}

/// Which alerts to list.
#[derive(Clone, Copy, Debug)]
pub struct AlertFilter {
    /// Only with this status.
    pub status: Option<AlertStatus>,
    /// At most so many.
    pub limit: u32,
}

struct Row {
    id: Uuid,
    fingerprint: String,
    alert_type: String,
    severity: String,
    title: String,
    description: String,
    service: Option<String>,
    endpoint: Option<String>,
    host: Option<String>,
    value: Option<f64>,
    threshold: Option<f64>,
    unit: Option<String>,
    status: String,
    occurrences: i64,
    first_seen_at: DateTime<Utc>,
    last_seen_at: DateTime<Utc>,
    acknowledged_at: Option<DateTime<Utc>>,
    resolved_at: Option<DateTime<Utc>>,
}

impl Row {
    fn read(self) -> Result<Alert, StoreError> {
        Ok(Alert {
            id: self.id,
            fingerprint: self.fingerprint,
            alert_type: self.alert_type,
            severity: self.severity.try_into()?,
            title: self.title,
            description: self.description,
            service: self.service,
            endpoint: self.endpoint,
            host: self.host,
            value: self.value,
            threshold: self.threshold,
            unit: self.unit,
            status: self.status.try_into()?,
            occurrences: self.occurrences,
            first_seen_at: self.first_seen_at,
            last_seen_at: self.last_seen_at,
            acknowledged_at: self.acknowledged_at,
            resolved_at: self.resolved_at,
        })
    }
}

impl Store {
    /// Raises an alert, or counts one more occurrence of the one that is open. It is to be told on `channels`, on each once.
    /// However many raise the same condition at once, one row comes of it, and one notification per channel.
    pub async fn raise_alert(
        &self,
        alert: &NewAlert,
        channels: &[String],
        now: DateTime<Utc>,
    ) -> Result<Raised, StoreError> {
        let failed = || StoreError::query("raise an alert");
        let mut transaction = self.pool.begin().await.map_err(failed())?;
        let row = sqlx::query_as!(
            Row,
            r#"
            INSERT INTO performance_alerts (
                id, fingerprint, alert_type, severity, title, description, service, endpoint, host, value, threshold,
                unit, status, occurrences, first_seen_at, last_seen_at
            )
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 'active', 1, $13, $13)
            ON CONFLICT (fingerprint) WHERE status <> 'resolved' DO UPDATE SET
                occurrences = performance_alerts.occurrences + 1,
                severity = excluded.severity,
                title = excluded.title,
                description = excluded.description,
                value = excluded.value,
                threshold = excluded.threshold,
                last_seen_at = greatest(performance_alerts.last_seen_at, excluded.last_seen_at)
            RETURNING
                id, fingerprint, alert_type, severity, title, description, service, endpoint, host, value, threshold, unit,
                status, occurrences, first_seen_at, last_seen_at, acknowledged_at, resolved_at
            "#,
            Uuid::now_v7(),
            alert.fingerprint,
            alert.alert_type,
            alert.severity.as_str(),
            alert.title,
            alert.description,
            alert.service,
            alert.endpoint,
            alert.host,
            alert.value,
            alert.threshold,
            alert.unit,
            now
        )
        .fetch_one(&mut *transaction)
        .await
        .map_err(failed())?;
        let alert = row.read()?;
        let is_new = alert.occurrences == 1;
        // Also when it was open: a channel that hears of worse alerts only may want to know now. None is told twice.
        note(&mut transaction, &alert, NotificationEvent::Raised, channels, now).await?;
        transaction.commit().await.map_err(failed())?;
        Ok(Raised { alert, is_new })
    }

    /// Resolves the open alerts of these conditions; says which there were. It is told on the channels on which the
    /// alert was told.
    pub async fn resolve_alerts(
        &self,
        fingerprints: &[String],
        now: DateTime<Utc>,
    ) -> Result<Vec<Alert>, StoreError> {
        let failed = || StoreError::query("resolve alerts");
        let mut transaction = self.pool.begin().await.map_err(failed())?;
        let rows = sqlx::query_as!(
            Row,
            r#"
            UPDATE performance_alerts SET status = 'resolved', resolved_at = $2
            WHERE fingerprint = ANY($1) AND status <> 'resolved'
            RETURNING
                id, fingerprint, alert_type, severity, title, description, service, endpoint, host, value, threshold, unit,
                status, occurrences, first_seen_at, last_seen_at, acknowledged_at, resolved_at
            "#,
            fingerprints,
            now
        )
        .fetch_all(&mut *transaction)
        .await
        .map_err(failed())?;
        let alerts: Vec<Alert> = rows.into_iter().map(Row::read).collect::<Result<_, _>>()?;
        for alert in &alerts {
            let told = sqlx::query_scalar!(
                "SELECT channel FROM notifications WHERE alert_id = $1 AND event = 'raised'",
                alert.id
            );
            let told = told.fetch_all(&mut *transaction).await.map_err(failed())?;
            note(&mut transaction, alert, NotificationEvent::Resolved, &told, now).await?;
        }
        transaction.commit().await.map_err(failed())?;
        Ok(alerts)
    }

    /// All alerts that are not resolved.
    pub async fn open_alerts(&self) -> Result<Vec<Alert>, StoreError> {
        let rows = sqlx::query_as!(
            Row,
            r#"
            SELECT
                id, fingerprint, alert_type, severity, title, description, service, endpoint, host, value, threshold, unit,
                status, occurrences, first_seen_at, last_seen_at, acknowledged_at, resolved_at
            FROM performance_alerts
            WHERE status <> 'resolved'
            ORDER BY first_seen_at
            LIMIT $1
            "#,
            MAX_OPEN
        )
        .fetch_all(&self.pool)
        .await
        .map_err(StoreError::query("read open alerts"))?;
        rows.into_iter().map(Row::read).collect()
    }

    /// Alerts, those seen last first.
    pub async fn alerts(&self, filter: AlertFilter) -> Result<Vec<Alert>, StoreError> {
        let rows = sqlx::query_as!(
            Row,
            r#"
            SELECT
                id, fingerprint, alert_type, severity, title, description, service, endpoint, host, value, threshold, unit,
                status, occurrences, first_seen_at, last_seen_at, acknowledged_at, resolved_at
            FROM performance_alerts
            WHERE $1::text IS NULL OR status = $1
            ORDER BY last_seen_at DESC
            LIMIT $2
            "#,
            filter.status.map(AlertStatus::as_str),
            i64::from(filter.limit)
        )
        .fetch_all(&self.pool)
        .await
        .map_err(StoreError::query("read alerts"))?;
        rows.into_iter().map(Row::read).collect()
    }
}

/// Writes into the outbox what is to be told, in the transaction that changes the alert.
async fn note(
    connection: &mut PgConnection,
    alert: &Alert,
    event: NotificationEvent,
    channels: &[String],
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let snapshot =
        serde_json::to_value(alert).map_err(|source| StoreError::Document { what: "an alert", source })?;
    for channel in channels {
        sqlx::query!(
            r#"
            INSERT INTO notifications (id, alert_id, event, channel, snapshot, created_at, not_before)
            VALUES ($1, $2, $3, $4, $5, $6, $6)
            ON CONFLICT (alert_id, event, channel) DO NOTHING
            "#,
            Uuid::now_v7(),
            alert.id,
            event.as_str(),
            channel,
            snapshot,
            now
        )
        .execute(&mut *connection)
        .await
        .map_err(StoreError::query("note a notification"))?;
    }
    Ok(())
}
