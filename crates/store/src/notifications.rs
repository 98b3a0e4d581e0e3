//! `notifications`: the outbox of what has to be told. Rows are written with the change of the alert (`alerts.rs`).

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::Store;
use crate::alerts::Alert;
use crate::error::StoreError;
use crate::words::NotificationEvent;

/// One thing to tell on one channel.
#[derive(Clone, Debug)]
pub struct Notification {
    /// Its identity, the same at each attempt.
    pub id: Uuid,
    /// The alert.
    pub alert_id: Uuid,
    /// What happened to it.
    pub event: NotificationEvent,
    /// Where to tell it.
    pub channel: String,
    /// When it happened.
    pub created_at: DateTime<Utc>,
    /// Attempts, this one included.
    pub attempts: u32,
    /// The alert as it was then.
    pub alert: Alert,
}

impl Store {
    /// Takes what is to be told now, the oldest first, for this caller alone until `lease` is over.
    /// The end of an alert is not told on a channel before its beginning.
    pub async fn claim_notifications(
        &self,
        limit: u32,
        lease: Duration,
        now: DateTime<Utc>,
    ) -> Result<Vec<Notification>, StoreError> {
        let until = now + TimeDelta::from_std(lease).unwrap_or(TimeDelta::minutes(1));
        let rows = sqlx::query!(
            r#"
            -- Materialised: in a join, the planner may run it again, and then it would take more than the limit.
            WITH due AS MATERIALIZED (
                SELECT id FROM notifications AS waiting
                WHERE delivered_at IS NULL AND abandoned_at IS NULL AND not_before <= $1
                  -- Not by time or id: clocks of two machines may disagree about which event came first.
                  AND NOT EXISTS (
                      SELECT FROM notifications AS raised
                      WHERE waiting.event = 'resolved'
                        AND raised.alert_id = waiting.alert_id AND raised.event = 'raised'
                        AND raised.channel = waiting.channel
                        AND raised.delivered_at IS NULL AND raised.abandoned_at IS NULL
                  )
                ORDER BY id
                LIMIT $3
                FOR UPDATE SKIP LOCKED
            )
            UPDATE notifications SET attempts = attempts + 1, not_before = $2
            FROM due
            WHERE notifications.id = due.id
            RETURNING notifications.id, alert_id, event, channel, created_at, attempts, snapshot
            "#,
            now,
            until,
            i64::from(limit)
        )
        .fetch_all(&self.pool)
        .await
        .map_err(StoreError::query("claim notifications"))?;
        let mut claimed = Vec::with_capacity(rows.len());
        for row in rows {
            let alert = match serde_json::from_value(row.snapshot) {
                Ok(alert) => alert,
                // Written by a later version, which may deliver it; the others are not to wait for that.
                Err(error) => {
                    tracing::error!(notification.id = %row.id, %error, "notification `{}` cannot be read", row.id);
                    self.notification_failed(row.id, &format!("cannot be read: {error}"), until).await?;
                    continue;
                }
            };
            claimed.push(Notification {
                id: row.id,
                alert_id: row.alert_id,
                event: row.event.try_into()?,
                channel: row.channel,
                created_at: row.created_at,
                attempts: u32::try_from(row.attempts).unwrap_or(u32::MAX),
                alert,
            });
        }
        claimed.sort_by_key(|notification| notification.id);
        Ok(claimed)
    }

    /// Notes that the receiver has it. False when that was noted before.
    pub async fn notification_delivered(&self, id: Uuid, now: DateTime<Utc>) -> Result<bool, StoreError> {
        let updated = sqlx::query!(
            "UPDATE notifications SET delivered_at = $2, last_error = NULL WHERE id = $1 AND delivered_at IS NULL",
            id,
            now
        );
        let updated = updated.execute(&self.pool).await.map_err(StoreError::query("note a delivery"))?;
        Ok(updated.rows_affected() == 1)
    }

    /// Notes that an attempt failed; the next is not made before `not_before`.
    pub async fn notification_failed(
        &self,
        id: Uuid,
        error: &str,
        not_before: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let updated = sqlx::query!(
            "UPDATE notifications SET not_before = $2, last_error = $3 WHERE id = $1 AND delivered_at IS NULL",
            id,
            not_before,
            error
        );
        let updated =
            updated.execute(&self.pool).await.map_err(StoreError::query("note a failed delivery"))?;
        Ok(updated.rows_affected() == 1)
    }

    /// Gives a notification up for good.
    pub async fn notification_abandoned(
        &self,
        id: Uuid,
        error: &str,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let updated = sqlx::query!(
            "UPDATE notifications SET abandoned_at = $2, last_error = $3 WHERE id = $1 AND delivered_at IS NULL",
            id,
            now,
            error
        );
        let updated =
            updated.execute(&self.pool).await.map_err(StoreError::query("give a notification up"))?;
        Ok(updated.rows_affected() == 1)
    }

    /// How many wait to be delivered.
    pub async fn undelivered_notifications(&self) -> Result<i64, StoreError> {
        let count = sqlx::query_scalar!(
            r#"SELECT count(*) AS "count!" FROM notifications WHERE delivered_at IS NULL AND abandoned_at IS NULL"#
        );
        count.fetch_one(&self.pool).await.map_err(StoreError::query("count notifications"))
    }
}
