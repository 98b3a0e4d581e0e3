//! `deliveries`: messages. What waits on a channel is put together into deliveries ([`ChannelTurn`]); a delivery is
//! claimed by one sender, and keeps its id at each attempt, so that a receiver can tell a repetition.
//!
//! Of a channel one delivery at a time is on its way, the oldest first: the end of an alert never overtakes its beginning,
//! and a channel that is down is asked once, not once for each message.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::types::Json;
use sqlx::{PgConnection, Postgres, Transaction};
use uuid::Uuid;

use crate::Store;
use crate::alerts::Alert;
use crate::error::StoreError;
use crate::words::AlertEvent;

/// Notifications of a channel that are put together in one turn.
const MAX_WAITING: i64 = 10_000;
/// Channels that are looked at.
const MAX_CHANNELS: i64 = 1000;
/// How far back messages of the same group belong together.
const THREAD: TimeDelta = TimeDelta::days(1);

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
    /// When it may be told.
    pub due_at: DateTime<Utc>,
    /// Nothing more of the group is told before so long after its last message.
    pub group_interval: TimeDelta,
    /// The alert as it was then.
    pub alert: Alert,
    /// That what it tells of is over by now.
    pub is_over: bool,
}

/// Whether a channel takes what is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelState {
    /// Attempts that failed since the last that did not.
    pub failures: u32,
    /// Since when they fail.
    pub failing_since: Option<DateTime<Utc>>,
    /// Why.
    pub last_error: Option<String>,
    /// It is not asked before.
    pub not_before: Option<DateTime<Utc>>,
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
    /// When the last message of each group, and the last digest, was made.
    pub last_of_group: HashMap<Option<String>, DateTime<Utc>>,
    /// Messages that were made within the time that was asked for.
    pub recent: i64,
}

/// A message to be sent, claimed for its sender alone.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Its identity, the same at each attempt.
    pub id: Uuid,
    /// Where.
    pub channel: String,
    /// What is told together; absent: a digest.
    pub group: Option<String>,
    /// When it was put together.
    pub created_at: DateTime<Utc>,
    /// Attempts, this one included.
    pub attempts: u32,
    /// Who has claimed it.
    pub claim: Uuid,
    /// What it tells, the oldest first.
    pub told: Vec<Told>,
    /// The first message of the group, and what its receiver calls it.
    pub thread: Option<(Uuid, Option<String>)>,
    /// Alerts of the group that are open now.
    pub open_in_group: i64,
    /// Whether the channel takes what is sent.
    pub state: ChannelState,
}

/// An event in a message.
#[derive(Clone, Debug)]
pub struct Told {
    /// What happened.
    pub event: AlertEvent,
    /// When.
    pub at: DateTime<Utc>,
    /// The alert as it was then.
    pub alert: Alert,
}

/// How a message did not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It has not arrived: what it tells may be told anew, together with what has come since.
    NotReceived,
    /// It may have arrived: it is sent again as it is, under the same id.
    Unknown,
    /// It will never be taken.
    Permanent,
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
                   SELECT FROM deliveries WHERE channel = $1
                   AND delivered_at IS NULL AND failed_at IS NULL AND taken_apart_at IS NULL
               ) AS "is_busy!""#,
            channel
        );
        if is_busy.fetch_one(&mut *transaction).await.map_err(failed())? {
            return Ok(None);
        }
        let waiting = waiting(&mut transaction, channel, now).await?;
        let last = sqlx::query!(
            r#"SELECT group_key, max(created_at) AS "made_at!" FROM deliveries
               WHERE channel = $1 AND created_at > $2 AND taken_apart_at IS NULL GROUP BY group_key"#,
            channel,
            now - THREAD
        );
        let last = last.fetch_all(&mut *transaction).await.map_err(failed())?;
        let count = sqlx::query_scalar!(
            r#"SELECT count(*) AS "count!" FROM deliveries
               WHERE channel = $1 AND created_at > $2 AND taken_apart_at IS NULL"#,
            channel,
            now - recent
        );
        let recent = count.fetch_one(&mut *transaction).await.map_err(failed())?;
        let last_of_group = last.into_iter().map(|row| (row.group_key, row.made_at)).collect();
        let on_channel = OnChannel { waiting, last_of_group, recent };
        Ok(Some(ChannelTurn { transaction, channel: channel.to_owned(), on_channel }))
    }

    /// Takes messages that are to be sent now, for this caller alone until `lease` is over: of each channel the oldest.
    pub async fn claim_deliveries(
        &self,
        limit: u32,
        lease: Duration,
        now: DateTime<Utc>,
    ) -> Result<Vec<Delivery>, StoreError> {
        let failed = || StoreError::query("claim messages");
        let until = now + TimeDelta::from_std(lease).unwrap_or(TimeDelta::minutes(1));
        let claim = Uuid::now_v7();
        let claimed = sqlx::query!(
            r#"
            -- Materialised: in a join, the planner may run it again, and then it would take more than the limit.
            WITH due AS MATERIALIZED (
                SELECT id FROM deliveries AS due
                WHERE delivered_at IS NULL AND failed_at IS NULL AND taken_apart_at IS NULL AND not_before <= $1
                  AND NOT EXISTS (SELECT FROM channel_states AS state
                                  WHERE state.channel = due.channel AND state.not_before > $1)
                  AND NOT EXISTS (
                      SELECT FROM deliveries AS earlier
                      WHERE earlier.channel = due.channel
                        AND earlier.delivered_at IS NULL AND earlier.failed_at IS NULL AND earlier.taken_apart_at IS NULL
                        AND (earlier.created_at, earlier.id) < (due.created_at, due.id)
                  )
                ORDER BY created_at
                LIMIT $3
                FOR UPDATE SKIP LOCKED
            )
            UPDATE deliveries SET attempts = attempts + 1, not_before = $2, claim = $4
            FROM due
            WHERE deliveries.id = due.id
            RETURNING deliveries.id, channel, group_key, created_at, attempts
            "#,
            now,
            until,
            i64::from(limit),
            claim
        );
        let claimed = claimed.fetch_all(&self.pool).await.map_err(failed())?;
        let mut deliveries = Vec::with_capacity(claimed.len());
        let mut connection = self.pool.acquire().await.map_err(failed())?;
        for row in claimed {
            deliveries.push(Delivery {
                told: told(&mut connection, row.id).await?,
                thread: thread(&mut connection, &row.channel, row.group_key.as_deref(), row.created_at)
                    .await?,
                open_in_group: open_in_group(&mut connection, &row.channel, row.group_key.as_deref()).await?,
                state: state(&mut connection, &row.channel).await?,
                id: row.id,
                channel: row.channel,
                group: row.group_key,
                created_at: row.created_at,
                attempts: u32::try_from(row.attempts).unwrap_or(u32::MAX),
                claim,
            });
        }
        Ok(deliveries)
    }

    /// Keeps a message for this caller until then, while it is being sent. False when it is no longer this caller's.
    pub async fn renew_claim(&self, delivery: &Delivery, until: DateTime<Utc>) -> Result<bool, StoreError> {
        let renew = sqlx::query!(
            "UPDATE deliveries SET not_before = $3 WHERE id = $1 AND claim = $2 AND delivered_at IS NULL",
            delivery.id,
            delivery.claim,
            until
        );
        let renewed = renew.execute(&self.pool).await.map_err(StoreError::query("renew a claim"))?;
        Ok(renewed.rows_affected() == 1)
    }

    /// Notes that the receiver has it, whoever finds that out; says how its channel was before.
    pub async fn delivered(
        &self,
        delivery: &Delivery,
        receipt: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<ChannelState, StoreError> {
        let failed = || StoreError::query("note a delivery");
        let mut transaction = self.pool.begin().await.map_err(failed())?;
        let done = sqlx::query!(
            "UPDATE deliveries SET delivered_at = $2, receipt = $3, last_error = NULL
             WHERE id = $1 AND delivered_at IS NULL AND taken_apart_at IS NULL",
            delivery.id,
            now,
            receipt
        );
        done.execute(&mut *transaction).await.map_err(failed())?;
        let told = sqlx::query!(
            "UPDATE notifications SET delivered_at = $2, held_by = NULL, last_error = NULL, abandoned_at = NULL
             WHERE delivery_id = $1 AND delivered_at IS NULL",
            delivery.id,
            now
        );
        told.execute(&mut *transaction).await.map_err(failed())?;
        let before = state(&mut transaction, &delivery.channel).await?;
        let well = sqlx::query!(
            "INSERT INTO channel_states (channel, last_delivered_at) VALUES ($1, $2)
             ON CONFLICT (channel) DO UPDATE SET
                 failures = 0, failing_since = NULL, not_before = NULL, last_error = NULL, last_delivered_at = $2",
            delivery.channel,
            now
        );
        well.execute(&mut *transaction).await.map_err(failed())?;
        transaction.commit().await.map_err(failed())?;
        Ok(before)
    }

    /// Notes that an attempt failed: when the channel is asked next, and what becomes of the message. What is older than
    /// `give_up_before` is given up; says how much was. Nothing, when it is no longer this caller's.
    pub async fn not_delivered(
        &self,
        delivery: &Delivery,
        failure: Failure,
        error: &str,
        next_at: DateTime<Utc>,
        give_up_before: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<u64, StoreError> {
        let failed = || StoreError::query("note a failed delivery");
        let mut transaction = self.pool.begin().await.map_err(failed())?;
        let is_permanent = failure == Failure::Permanent;
        let noted = sqlx::query!(
            "UPDATE deliveries SET not_before = $3, last_error = $4,
                 failed_at = CASE WHEN $5 THEN $7::timestamptz END,
                 taken_apart_at = CASE WHEN $6 THEN $7::timestamptz END
             WHERE id = $1 AND claim = $2 AND delivered_at IS NULL AND failed_at IS NULL AND taken_apart_at IS NULL",
            delivery.id,
            delivery.claim,
            next_at,
            error,
            is_permanent || (failure == Failure::Unknown && delivery.created_at < give_up_before),
            failure == Failure::NotReceived,
            now
        );
        if noted.execute(&mut *transaction).await.map_err(failed())?.rows_affected() == 0 {
            return Ok(0);
        }
        let given_up = sqlx::query!(
            "UPDATE notifications SET abandoned_at = $3, last_error = $4
             WHERE delivery_id = $1 AND delivered_at IS NULL AND ($5 OR created_at < $2)",
            delivery.id,
            give_up_before,
            now,
            error,
            is_permanent
        );
        let given_up = given_up.execute(&mut *transaction).await.map_err(failed())?.rows_affected();
        if failure == Failure::NotReceived {
            let free = sqlx::query!(
                "UPDATE notifications SET delivery_id = NULL, last_error = $2
                 WHERE delivery_id = $1 AND delivered_at IS NULL AND abandoned_at IS NULL",
                delivery.id,
                error
            );
            free.execute(&mut *transaction).await.map_err(failed())?;
        }
        // A message that is refused for good says nothing about others.
        let pause = (!is_permanent).then_some(next_at);
        let state = sqlx::query!(
            "INSERT INTO channel_states (channel, failures, failing_since, not_before, last_error)
             VALUES ($1, 1, $2, $3, $4)
             ON CONFLICT (channel) DO UPDATE SET
                 failures = channel_states.failures + 1,
                 failing_since = coalesce(channel_states.failing_since, $2), not_before = $3, last_error = $4",
            delivery.channel,
            now,
            pause,
            error
        );
        state.execute(&mut *transaction).await.map_err(failed())?;
        transaction.commit().await.map_err(failed())?;
        Ok(given_up)
    }

    /// When something can be told next: what waits, waits until then.
    pub async fn next_delivery_at(&self) -> Result<Option<DateTime<Utc>>, StoreError> {
        let next = sqlx::query_scalar!(
            "SELECT min(at) FROM (
                 SELECT greatest(waiting.not_before, state.not_before) AS at
                 FROM notifications AS waiting LEFT JOIN channel_states AS state USING (channel)
                 WHERE delivery_id IS NULL AND delivered_at IS NULL AND abandoned_at IS NULL AND suppressed_at IS NULL
                 UNION ALL
                 SELECT not_before FROM deliveries
                 WHERE delivered_at IS NULL AND failed_at IS NULL AND taken_apart_at IS NULL
             ) AS next"
        );
        next.fetch_one(&self.pool).await.map_err(StoreError::query("look when something is to be told"))
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

    /// Makes one message of these.
    pub async fn put_together(
        &mut self,
        group: Option<&str>,
        ids: &[Uuid],
        now: DateTime<Utc>,
    ) -> Result<Uuid, StoreError> {
        let failed = || StoreError::query("put a message together");
        let id = Uuid::now_v7();
        let insert = sqlx::query!(
            "INSERT INTO deliveries (id, channel, group_key, created_at, not_before) VALUES ($1, $2, $3, $4, $4)",
            id,
            self.channel,
            group,
            now
        );
        insert.execute(&mut *self.transaction).await.map_err(failed())?;
        let take = sqlx::query!(
            "UPDATE notifications SET delivery_id = $2, held_by = NULL WHERE id = ANY($1)",
            ids,
            id
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
        SELECT waiting.id, event, sequence, group_key, not_before, group_interval_ms, snapshot,
               (alert.status IN ('resolved', 'pending') OR alert.reopened > sequence) AS "is_over!"
        FROM notifications AS waiting JOIN performance_alerts AS alert ON alert.id = alert_id
        WHERE channel = $1
          AND delivery_id IS NULL AND delivered_at IS NULL AND abandoned_at IS NULL AND suppressed_at IS NULL
        ORDER BY waiting.id
        LIMIT $2
        "#,
        channel,
        MAX_WAITING
    );
    let mut waiting = Vec::new();
    for row in rows.fetch_all(&mut *connection).await.map_err(failed())? {
        let alert = match serde_json::from_value(row.snapshot) {
            Ok(alert) => alert,
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
            event: row.event.try_into()?,
            sequence: row.sequence,
            group: row.group_key,
            due_at: row.not_before,
            group_interval: TimeDelta::milliseconds(row.group_interval_ms),
            alert,
            is_over: row.is_over,
        });
    }
    Ok(waiting)
}

async fn told(connection: &mut PgConnection, delivery: Uuid) -> Result<Vec<Told>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT event, created_at, snapshot AS "snapshot: Json<Alert>" FROM notifications
           WHERE delivery_id = $1 ORDER BY created_at, id"#,
        delivery
    );
    let rows = rows.fetch_all(connection).await.map_err(StoreError::query("read what a message tells"))?;
    rows.into_iter()
        .map(|row| Ok(Told { event: row.event.try_into()?, at: row.created_at, alert: row.snapshot.0 }))
        .collect()
}

async fn thread(
    connection: &mut PgConnection,
    channel: &str,
    group: Option<&str>,
    before: DateTime<Utc>,
) -> Result<Option<(Uuid, Option<String>)>, StoreError> {
    let first = sqlx::query!(
        "SELECT id, receipt FROM deliveries
         WHERE channel = $1 AND group_key = $2 AND delivered_at IS NOT NULL AND created_at < $3 AND created_at > $4
         ORDER BY created_at LIMIT 1",
        channel,
        group,
        before,
        before - THREAD
    );
    let first = first
        .fetch_optional(connection)
        .await
        .map_err(StoreError::query("look for the thread of a message"))?;
    Ok(first.map(|row| (row.id, row.receipt)))
}

async fn open_in_group(
    connection: &mut PgConnection,
    channel: &str,
    group: Option<&str>,
) -> Result<i64, StoreError> {
    let open = sqlx::query_scalar!(
        r#"SELECT count(DISTINCT alert.id) AS "open!"
           FROM performance_alerts AS alert JOIN notifications AS told ON told.alert_id = alert.id
           WHERE alert.status IN ('active', 'acknowledged') AND told.channel = $1 AND told.group_key = $2"#,
        channel,
        group
    );
    open.fetch_one(connection).await.map_err(StoreError::query("count the open alerts of a group"))
}

async fn state(connection: &mut PgConnection, channel: &str) -> Result<ChannelState, StoreError> {
    let state = sqlx::query!(
        "SELECT failures, failing_since, last_error, not_before FROM channel_states WHERE channel = $1",
        channel
    );
    let state = state.fetch_optional(connection).await.map_err(StoreError::query("look how a channel is"))?;
    Ok(state.map_or_else(ChannelState::default, |row| ChannelState {
        failures: u32::try_from(row.failures).unwrap_or(u32::MAX),
        failing_since: row.failing_since,
        last_error: row.last_error,
        not_before: row.not_before,
    }))
}
