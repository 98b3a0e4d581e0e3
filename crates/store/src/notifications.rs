//! `notifications`: the outbox. What has to be told of an alert, on which channel: a row is written in the transaction that
//! changes the alert, once for each event and channel. `deliveries.rs` makes messages of them.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::Store;
use crate::alerts::Alert;
use crate::error::StoreError;
use crate::words::AlertEvent;

/// Something to tell on one channel.
#[derive(Clone, Debug)]
pub struct NewNotification {
    /// Where.
    pub channel: String,
    /// What.
    pub event: AlertEvent,
    /// Which time it happened: the same event, number and channel of an alert is told once.
    pub sequence: i32,
    /// What has the same word here is told together.
    pub group: String,
    /// How long it waits for others.
    pub wait: TimeDelta,
    /// Nothing more of the group is told before so long after its last message.
    pub group_interval: TimeDelta,
}

/// A line of the ledger: who was told what, or is to be.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct NotificationRecord {
    /// Its identity.
    pub id: Uuid,
    /// The alert.
    pub alert_id: Uuid,
    /// Its title at that time.
    pub title: String,
    /// What happened.
    pub event: AlertEvent,
    /// Where it is told.
    pub channel: String,
    /// When it happened.
    pub created_at: DateTime<Utc>,
    /// `waiting`, `held`, `sending`, `delivered`, `failed` or `suppressed`.
    pub state: String,
    /// The message that it was or is part of: `webhook-id`, `Message-ID`.
    pub delivery_id: Option<Uuid>,
    /// Attempts to send that message.
    pub attempts: Option<i32>,
    /// When it was delivered.
    pub delivered_at: Option<DateTime<Utc>>,
    /// Why it waits, or what went wrong.
    pub reason: Option<String>,
}

/// How often people were told that an alert is still there.
#[derive(Clone, Copy, Debug)]
pub struct LastReminder {
    /// The last one's number.
    pub sequence: i32,
    /// One waits to be told.
    pub is_waiting: bool,
}

/// Which lines of the ledger to list.
#[derive(Clone, Debug, Default)]
pub struct NotificationFilter {
    /// Only in this state.
    pub state: Option<String>,
    /// Only on this channel.
    pub channel: Option<String>,
    /// Only of this alert.
    pub alert_id: Option<Uuid>,
    /// Before this one, in the order of the list.
    pub behind: Option<Uuid>,
    /// At most so many.
    pub limit: u32,
}

impl Store {
    /// The ledger, the newest first.
    pub async fn notifications(
        &self,
        filter: &NotificationFilter,
    ) -> Result<Vec<NotificationRecord>, StoreError> {
        let rows = sqlx::query!(
            r#"
            SELECT * FROM (
                SELECT notification.id, alert_id, snapshot ->> 'title' AS "title!", event, notification.channel,
                       notification.created_at,
                       CASE
                           WHEN notification.delivered_at IS NOT NULL THEN 'delivered'
                           WHEN abandoned_at IS NOT NULL THEN 'failed'
                           WHEN suppressed_at IS NOT NULL THEN 'suppressed'
                           WHEN delivery_id IS NOT NULL THEN 'sending'
                           WHEN held_by IS NOT NULL THEN 'held'
                           ELSE 'waiting'
                       END AS "state!",
                       delivery_id, delivery.attempts AS "attempts?", notification.delivered_at,
                       coalesce(held_by, notification.last_error, delivery.last_error) AS reason
                FROM notifications AS notification LEFT JOIN deliveries AS delivery ON delivery.id = delivery_id
                WHERE ($2::text IS NULL OR notification.channel = $2)
                  AND ($3::uuid IS NULL OR alert_id = $3)
                  AND ($4::uuid IS NULL OR notification.id < $4)
            ) AS ledger
            WHERE $1::text IS NULL OR "state!" = $1
            ORDER BY id DESC
            LIMIT $5
            "#,
            filter.state,
            filter.channel,
            filter.alert_id,
            filter.behind,
            i64::from(filter.limit)
        );
        let rows = rows.fetch_all(&self.pool).await.map_err(StoreError::query("read the ledger"))?;
        rows.into_iter()
            .map(|row| {
                Ok(NotificationRecord {
                    id: row.id,
                    alert_id: row.alert_id,
                    title: row.title,
                    event: row.event.try_into()?,
                    channel: row.channel,
                    created_at: row.created_at,
                    state: row.state,
                    delivery_id: row.delivery_id,
                    attempts: row.attempts,
                    delivered_at: row.delivered_at,
                    reason: row.reason,
                })
            })
            .collect()
    }

    /// How many wait to be delivered.
    pub async fn undelivered_notifications(&self) -> Result<i64, StoreError> {
        let count = sqlx::query_scalar!(
            r#"SELECT count(*) AS "count!" FROM notifications
               WHERE delivered_at IS NULL AND abandoned_at IS NULL AND suppressed_at IS NULL"#
        );
        count.fetch_one(&self.pool).await.map_err(StoreError::query("count notifications"))
    }

    /// What these alerts were last reminded of, for each event and channel.
    pub async fn last_reminders(
        &self,
        alerts: &[Uuid],
    ) -> Result<HashMap<(Uuid, AlertEvent, String), LastReminder>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT alert_id, event, channel, max(sequence) AS "sequence!",
                      bool_or(delivered_at IS NULL AND abandoned_at IS NULL AND suppressed_at IS NULL) AS "is_waiting!"
               FROM notifications WHERE alert_id = ANY($1) AND event IN ('reminded', 'escalated')
               GROUP BY alert_id, event, channel"#,
            alerts
        );
        let rows = rows.fetch_all(&self.pool).await.map_err(StoreError::query("read the last reminders"))?;
        rows.into_iter()
            .map(|row| {
                let last = LastReminder { sequence: row.sequence, is_waiting: row.is_waiting };
                Ok(((row.alert_id, row.event.try_into()?, row.channel), last))
            })
            .collect()
    }
}

/// Writes into the outbox what is to be told; says how much of it is new.
pub(crate) async fn note(
    connection: &mut PgConnection,
    alert: &Alert,
    notifications: &[NewNotification],
    now: DateTime<Utc>,
) -> Result<u64, StoreError> {
    if notifications.is_empty() {
        return Ok(0);
    }
    let snapshot =
        serde_json::to_value(alert).map_err(|source| StoreError::Document { what: "an alert", source })?;
    let each = |column: fn(&NewNotification) -> String| notifications.iter().map(column).collect::<Vec<_>>();
    let milliseconds = |column: fn(&NewNotification) -> TimeDelta| -> Vec<i64> {
        notifications.iter().map(|one| column(one).num_milliseconds()).collect()
    };
    let insert = sqlx::query!(
        r#"
        INSERT INTO notifications (
            id, alert_id, event, sequence, channel, group_key, group_interval_ms, snapshot, created_at, not_before
        )
        SELECT id, $2, event, sequence, channel, group_key, interval_ms, $3, $4::timestamptz,
               $4::timestamptz + wait_ms * interval '1 millisecond'
        FROM unnest($1::uuid[], $5::text[], $6::integer[], $7::text[], $8::text[], $9::bigint[], $10::bigint[])
             AS new (id, event, sequence, channel, group_key, interval_ms, wait_ms)
        ON CONFLICT (alert_id, event, sequence, channel) DO NOTHING
        "#,
        &notifications.iter().map(|_| Uuid::now_v7()).collect::<Vec<_>>(),
        alert.id,
        snapshot,
        now,
        &each(|one| one.event.as_str().to_owned()),
        &notifications.iter().map(|one| one.sequence).collect::<Vec<_>>(),
        &each(|one| one.channel.clone()),
        &each(|one| one.group.clone()),
        &milliseconds(|one| one.group_interval),
        &milliseconds(|one| one.wait)
    );
    let new = insert.execute(connection).await.map_err(StoreError::query("note a notification"))?;
    Ok(new.rows_affected())
}
