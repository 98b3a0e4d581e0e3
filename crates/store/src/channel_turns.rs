//! What waits on a channel, in the hands of one caller ([`ChannelTurn`]) who makes messages of it, lets it wait, or decides that
//! it is not told.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{PgConnection, Postgres, Transaction};
use uuid::Uuid;

use crate::Store;
use crate::alerts::Alert;
use crate::deliveries::{THREAD, group_of_digest};
use crate::error::StoreError;
use crate::words::AlertEvent;

/// Notifications of a channel that are put together in one turn.
const MAX_WAITING: i64 = 10_000;
/// Channels that are looked at.
const MAX_CHANNELS: i64 = 1000;
/// When what cannot be read is looked at again.
const UNREADABLE: TimeDelta = TimeDelta::minutes(1);

/// Something that waits to be told on a channel.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// Its identity.
    pub id: Uuid,
    /// What happened.
    pub event: AlertEvent,
    /// Which time.
    pub sequence: i32,
    /// What is told together.
    pub group: String,
    /// The alert was told there already, since it was raised last.
    pub was_told: bool,
    /// When it may be told.
    pub due_at: DateTime<Utc>,
    /// Nothing more of the group is told before so long after its last message.
    pub group_interval: TimeDelta,
    /// The alert as it was then.
    pub alert: Alert,
    /// That what it tells of is over by now.
    pub is_over: bool,
}

/// A channel in the hands of one caller, who puts together what waits there.
#[derive(Debug)]
pub struct ChannelTurn {
    transaction: Transaction<'static, Postgres>,
    channel: String,
    on_channel: OnChannel,
}

/// What waits on a channel, and what was told there lately.
#[derive(Clone, Debug, Default)]
pub struct OnChannel {
    /// What waits, the oldest first.
    pub waiting: Vec<Waiting>,
    /// When the last message of each group was made.
    pub last_of_group: HashMap<String, DateTime<Utc>>,
    /// When the last digest of each origin was made; without one, of several together.
    pub last_digest: HashMap<Option<String>, DateTime<Utc>>,
    /// Messages of each origin that were made within the time that was asked for; without one, of several together.
    pub recent: HashMap<Option<String>, i64>,
}

impl Store {
    /// Channels on which something waits that may be told.
    pub async fn channels_to_tell(&self, now: DateTime<Utc>) -> Result<Vec<String>, StoreError> {
        let channels = sqlx::query_scalar!(
            "SELECT DISTINCT waiting.channel FROM notifications AS waiting
             WHERE delivery_id IS NULL AND delivered_at IS NULL AND abandoned_at IS NULL AND suppressed_at IS NULL
               AND not_before <= $1
               AND NOT EXISTS (SELECT FROM channel_states AS state
                               WHERE state.channel = waiting.channel AND state.not_before > $1)
             LIMIT $2",
            now,
            MAX_CHANNELS
        );
        channels.fetch_all(&self.pool).await.map_err(StoreError::query("look what is to be told"))
    }

    /// Takes a channel in hand, with everything that waits there; `recent` is how far back its messages are counted. `None`
    /// while another process has it, or a message is on its way: what waits is told with what comes until then.
    pub async fn channel_turn(
        &self,
        channel: &str,
        recent: TimeDelta,
        now: DateTime<Utc>,
    ) -> Result<Option<ChannelTurn>, StoreError> {
        let failed = || StoreError::query("take a channel in hand");
        let mut transaction = self.pool.begin().await.map_err(failed())?;
        let alone = sqlx::query_scalar!(
            r#"SELECT pg_try_advisory_xact_lock(hashtextextended($1, 8)) AS "alone!""#,
            channel
        );
        if !alone.fetch_one(&mut *transaction).await.map_err(failed())? {
            return Ok(None);
        }
        // A statement of its own: it sees what whoever had the lock before has committed.
        let is_busy = sqlx::query_scalar!(
            r#"SELECT EXISTS (
                   SELECT FROM deliveries WHERE channel = $1 AND recipients IS NULL
                   AND delivered_at IS NULL AND failed_at IS NULL AND taken_apart_at IS NULL
               ) AS "is_busy!""#,
            channel
        );
        if is_busy.fetch_one(&mut *transaction).await.map_err(failed())? {
            return Ok(None);
        }
        let waiting = waiting(&mut transaction, channel, now).await?;
        let groups = sqlx::query!(
            r#"SELECT group_key AS "group_key!", max(created_at) AS "made_at!" FROM deliveries
               WHERE channel = $1 AND created_at > $2 AND taken_apart_at IS NULL AND group_key IS NOT NULL
               GROUP BY group_key"#,
            channel,
            now - THREAD
        );
        let groups = groups.fetch_all(&mut *transaction).await.map_err(failed())?;
        let digests = sqlx::query!(
            r#"SELECT origin, max(created_at) AS "made_at!" FROM deliveries
               WHERE channel = $1 AND created_at > $2 AND taken_apart_at IS NULL AND group_key IS NULL
               GROUP BY origin"#,
            channel,
            now - THREAD
        );
        let digests = digests.fetch_all(&mut *transaction).await.map_err(failed())?;
        let recent = sqlx::query!(
            r#"SELECT origin, count(*) AS "count!" FROM deliveries
               WHERE channel = $1 AND created_at > $2 AND taken_apart_at IS NULL GROUP BY origin"#,
            channel,
            now - recent
        );
        let recent = recent.fetch_all(&mut *transaction).await.map_err(failed())?;
        let on_channel = OnChannel {
            waiting,
            last_of_group: groups.into_iter().map(|row| (row.group_key, row.made_at)).collect(),
            last_digest: digests.into_iter().map(|row| (row.origin, row.made_at)).collect(),
            recent: recent.into_iter().map(|row| (row.origin, row.count)).collect(),
        };
        Ok(Some(ChannelTurn { transaction, channel: channel.to_owned(), on_channel }))
    }
}

impl ChannelTurn {
    /// What waits there.
    pub fn on_channel(&self) -> &OnChannel {
        &self.on_channel
    }

    /// Lets these wait until then, and says why.
    pub async fn hold(
        &mut self,
        ids: &[Uuid],
        until: DateTime<Utc>,
        why: Option<&str>,
    ) -> Result<(), StoreError> {
        let hold = sqlx::query!(
            "UPDATE notifications SET not_before = $2, held_by = $3 WHERE id = ANY($1)",
            ids,
            until,
            why
        );
        hold.execute(&mut *self.transaction)
            .await
            .map(drop)
            .map_err(StoreError::query("let notifications wait"))
    }

    /// These are not told: what they tell of was over before the mute was.
    pub async fn suppress(&mut self, ids: &[Uuid], why: &str, now: DateTime<Utc>) -> Result<(), StoreError> {
        let suppress = sqlx::query!(
            "UPDATE notifications SET suppressed_at = $2, held_by = $3 WHERE id = ANY($1)",
            ids,
            now,
            why
        );
        suppress
            .execute(&mut *self.transaction)
            .await
            .map(drop)
            .map_err(StoreError::query("suppress notifications"))
    }

    /// Makes one message of these: of a group, or else a digest. What a digest told belongs to it from then on, so that the
    /// end of it is told there too. `origin` caused it; absent where several did.
    pub async fn put_together(
        &mut self,
        group: Option<&str>,
        origin: Option<&str>,
        ids: &[Uuid],
        now: DateTime<Utc>,
    ) -> Result<Uuid, StoreError> {
        let failed = || StoreError::query("put a message together");
        let id = Uuid::now_v7();
        let insert = sqlx::query!(
            "INSERT INTO deliveries (id, channel, group_key, created_at, not_before, origin) VALUES ($1, $2, $3, $4, $4, $5)",
            id,
            self.channel,
            group,
            now,
            origin
        );
        insert.execute(&mut *self.transaction).await.map_err(failed())?;
        let take = sqlx::query!(
            "UPDATE notifications SET delivery_id = $2, held_by = NULL, group_key = $3 WHERE id = ANY($1)",
            ids,
            id,
            group.map_or_else(|| group_of_digest(id), str::to_owned)
        );
        take.execute(&mut *self.transaction).await.map_err(failed())?;
        Ok(id)
    }

    /// Makes it so.
    pub async fn commit(self) -> Result<(), StoreError> {
        self.transaction.commit().await.map_err(StoreError::query("put messages together"))
    }
}

async fn waiting(
    connection: &mut PgConnection,
    channel: &str,
    now: DateTime<Utc>,
) -> Result<Vec<Waiting>, StoreError> {
    let failed = || StoreError::query("read what is to be told");
    let rows = sqlx::query!(
        r#"
        SELECT waiting.id, event, sequence, not_before, group_interval_ms, snapshot,
               -- By now, what its alert was told in first on this channel may be a digest.
               coalesce(first.group_key, waiting.group_key) AS "group_key!",
               coalesce(first.was_told, false) AS "was_told!",
               (alert.status IN ('resolved', 'pending') OR alert.reopened > waiting.life) AS "is_over!"
        FROM (
            SELECT * FROM notifications
            WHERE channel = $1
              AND delivery_id IS NULL AND delivered_at IS NULL AND abandoned_at IS NULL AND suppressed_at IS NULL
            -- What is muted for long is not to hide what came since.
            ORDER BY held_by IS NOT NULL, id
            LIMIT $2
        ) AS waiting
        JOIN performance_alerts AS alert ON alert.id = alert_id
        LEFT JOIN LATERAL (
            SELECT (array_agg(told.group_key ORDER BY told.id))[1] AS group_key,
                   bool_or(told.delivered_at IS NOT NULL) AS was_told
            FROM notifications AS told
            WHERE told.alert_id = waiting.alert_id AND told.channel = $1 AND told.event <> 'resolved'
              AND told.life = waiting.life
        ) AS first ON true
        "#,
        channel,
        MAX_WAITING
    );
    let mut waiting = Vec::new();
    for row in rows.fetch_all(&mut *connection).await.map_err(failed())? {
        let event = AlertEvent::try_from(row.event).map_err(|error| error.to_string());
        let alert = serde_json::from_value::<Alert>(row.snapshot).map_err(|error| error.to_string());
        let (event, alert) = match event.and_then(|event| Ok((event, alert?))) {
            Ok(read) => read,
            // Written by a later version, which may tell it; the others are not to wait for that.
            Err(error) => {
                tracing::error!(notification.id = %row.id, %error, "notification `{}` cannot be read", row.id);
                let later = sqlx::query!(
                    "UPDATE notifications SET not_before = $2, last_error = $3 WHERE id = $1",
                    row.id,
                    now + UNREADABLE,
                    format!("cannot be read: {error}")
                );
                later.execute(&mut *connection).await.map_err(failed())?;
                continue;
            }
        };
        waiting.push(Waiting {
            id: row.id,
            event,
            sequence: row.sequence,
            group: row.group_key,
            was_told: row.was_told,
            due_at: row.not_before,
            group_interval: TimeDelta::milliseconds(row.group_interval_ms),
            alert,
            is_over: row.is_over,
        });
    }
    // Of each alert in the order in which it happened, whatever the clocks of those who wrote it said.
    waiting.sort_by_key(|one: &Waiting| (one.alert.reopened, one.event == AlertEvent::Resolved, one.id));
    Ok(waiting)
}
