//! `deliveries`: messages, made of what waits on a channel (`channel_turns.rs`). A delivery is claimed by one sender, and keeps
//! its id at each attempt, so that a receiver can tell a repetition.
//!
//! Of a channel one delivery at a time is on its way, the oldest first: the end of an alert never overtakes its beginning,
//! and a channel that is down is asked once, not once for each message. One that some of its recipients have and others do
//! not yet is out of that order: a mailbox that is full does not keep the news from the others.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::Store;
use crate::alerts::Alert;
use crate::error::StoreError;
use crate::words::AlertEvent;

/// How far back messages of the same group belong together.
pub(crate) const THREAD: TimeDelta = TimeDelta::days(1);
/// Begins the group of what was told in a digest. Others hold a `=`, or are empty.
const DIGEST: &str = "digest:";

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

/// A message to be sent, claimed for its sender alone.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Its identity, the same at each attempt.
    pub id: Uuid,
    /// Where.
    pub channel: String,
    /// What is told together.
    pub group: String,
    /// It tells of what belongs to no group, or to a digest before it.
    pub is_digest: bool,
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
    /// Alerts that are open now and were, or are with this message, told in this group.
    pub open_in_group: i64,
    /// Who of its recipients does not have it yet; absent: nobody has it.
    pub recipients: Option<Vec<String>>,
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It has not arrived: what it tells may be told anew, together with what has come since.
    NotReceived,
    /// It may have arrived: it is sent again as it is, under the same id.
    Unknown,
    /// All have it but these: it is sent to them again, and other messages do not wait for that.
    Partly(Vec<String>),
    /// It will never be taken.
    Permanent,
}

impl Store {
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
                  AND (due.recipients IS NOT NULL OR NOT EXISTS (
                      SELECT FROM deliveries AS earlier
                      WHERE earlier.channel = due.channel AND earlier.recipients IS NULL
                        AND earlier.delivered_at IS NULL AND earlier.failed_at IS NULL AND earlier.taken_apart_at IS NULL
                        AND (earlier.created_at, earlier.id) < (due.created_at, due.id)
                  ))
                ORDER BY recipients IS NOT NULL, created_at
                LIMIT $3
                FOR UPDATE SKIP LOCKED
            )
            UPDATE deliveries SET attempts = attempts + 1, not_before = $2, claim = $4
            FROM due
            WHERE deliveries.id = due.id
            RETURNING deliveries.id, channel, group_key, created_at, attempts, recipients
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
            let told = match told(&mut connection, row.id).await {
                Ok(told) => told,
                // Put together by a later version, which may send it; the others are not to wait for that.
                Err(error @ (StoreError::Word { .. } | StoreError::Document { .. })) => {
                    let error = error.to_string();
                    tracing::error!(delivery.id = %row.id, error, "a message cannot be read");
                    continue;
                }
                Err(error) => return Err(error),
            };
            let group = row.group_key.clone().unwrap_or_else(|| group_of_digest(row.id));
            deliveries.push(Delivery {
                told,
                thread: thread(&mut connection, &row.channel, &group, row.created_at).await?,
                open_in_group: open_in_group(&mut connection, &row.channel, &group, row.id).await?,
                state: state(&mut connection, &row.channel).await?,
                id: row.id,
                channel: row.channel,
                is_digest: group.starts_with(DIGEST),
                group,
                created_at: row.created_at,
                attempts: u32::try_from(row.attempts).unwrap_or(u32::MAX),
                claim,
                recipients: row.recipients,
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
        note_working(&mut transaction, &delivery.channel, now).await?;
        transaction.commit().await.map_err(failed())?;
        Ok(before)
    }

    /// Notes that an attempt failed: when it, or its channel, is tried next, and what becomes of the message. What is older
    /// than `give_up_before` is given up, when the channel has taken nothing since then either; says how much was. Nothing,
    /// when it is no longer this caller's.
    pub async fn not_delivered(
        &self,
        delivery: &Delivery,
        failure: &Failure,
        error: &str,
        next_at: DateTime<Utc>,
        give_up_before: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<u64, StoreError> {
        let failed = || StoreError::query("note a failed delivery");
        let recipients = match failure {
            Failure::Partly(recipients) => Some(recipients.as_slice()),
            _ => None,
        };
        // A mailbox that is full is no channel that is down: there the message's own age counts.
        let is_long_down = recipients.is_some()
            || delivery.state.failing_since.is_some_and(|failing_since| failing_since < give_up_before);
        let keeps_its_id = matches!(failure, Failure::Unknown | Failure::Partly(_));
        let fails = *failure == Failure::Permanent
            || (keeps_its_id && is_long_down && delivery.created_at < give_up_before);
        let is_taken_apart = *failure == Failure::NotReceived;
        let mut transaction = self.pool.begin().await.map_err(failed())?;
        let noted = sqlx::query!(
            "UPDATE deliveries SET not_before = $3, last_error = $4, recipients = coalesce($8, recipients),
                 failed_at = CASE WHEN $5 THEN $7::timestamptz END,
                 taken_apart_at = CASE WHEN $6 THEN $7::timestamptz END
             WHERE id = $1 AND claim = $2 AND delivered_at IS NULL AND failed_at IS NULL AND taken_apart_at IS NULL",
            delivery.id,
            delivery.claim,
            next_at,
            error,
            fails,
            is_taken_apart,
            now,
            recipients
        );
        if noted.execute(&mut *transaction).await.map_err(failed())?.rows_affected() == 0 {
            return Ok(0);
        }
        let given_up = sqlx::query!(
            "UPDATE notifications SET abandoned_at = $3, last_error = $4
             WHERE delivery_id = $1 AND delivered_at IS NULL AND ($5 OR ($6 AND created_at < $2))",
            delivery.id,
            give_up_before,
            now,
            error,
            fails,
            is_taken_apart && is_long_down
        );
        let given_up = given_up.execute(&mut *transaction).await.map_err(failed())?.rows_affected();
        if is_taken_apart {
            let free = sqlx::query!(
                "UPDATE notifications SET delivery_id = NULL, last_error = $2
                 WHERE delivery_id = $1 AND delivered_at IS NULL AND abandoned_at IS NULL",
                delivery.id,
                error
            );
            free.execute(&mut *transaction).await.map_err(failed())?;
        }
        match failure {
            Failure::Partly(_) if delivery.recipients.is_none() => {
                note_working(&mut transaction, &delivery.channel, now).await?;
            }
            // Of the channel it says nothing.
            Failure::Partly(_) => {}
            Failure::Permanent if delivery.recipients.is_some() => {}
            // A message that is refused for good says nothing about others.
            Failure::Permanent => note_failing(&mut transaction, &delivery.channel, error, None, now).await?,
            Failure::NotReceived | Failure::Unknown => {
                note_failing(&mut transaction, &delivery.channel, error, Some(next_at), now).await?;
            }
        }
        transaction.commit().await.map_err(failed())?;
        Ok(given_up)
    }

    /// When a message last arrived on a channel.
    pub async fn last_delivered_at(&self, channel: &str) -> Result<Option<DateTime<Utc>>, StoreError> {
        let last =
            sqlx::query_scalar!("SELECT last_delivered_at FROM channel_states WHERE channel = $1", channel);
        let last = last.fetch_optional(&self.pool).await;
        last.map(Option::flatten).map_err(StoreError::query("look when a channel last took something"))
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

/// What is told of what a digest told belongs to that digest.
pub(crate) fn group_of_digest(id: Uuid) -> String {
    format!("{DIGEST}{id}")
}

fn digest_of_group(group: &str) -> Option<Uuid> {
    group.strip_prefix(DIGEST)?.parse().ok()
}

async fn note_working(
    connection: &mut PgConnection,
    channel: &str,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let working = sqlx::query!(
        "INSERT INTO channel_states (channel, last_delivered_at) VALUES ($1, $2)
         ON CONFLICT (channel) DO UPDATE SET
             failures = 0, failing_since = NULL, not_before = NULL, last_error = NULL, last_delivered_at = $2",
        channel,
        now
    );
    working.execute(connection).await.map(drop).map_err(StoreError::query("note that a channel works"))
}

async fn note_failing(
    connection: &mut PgConnection,
    channel: &str,
    error: &str,
    not_before: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let failing = sqlx::query!(
        "INSERT INTO channel_states (channel, failures, failing_since, not_before, last_error)
         VALUES ($1, 1, $2, $3, $4)
         ON CONFLICT (channel) DO UPDATE SET
             failures = channel_states.failures + 1,
             failing_since = coalesce(channel_states.failing_since, $2), not_before = $3, last_error = $4",
        channel,
        now,
        not_before,
        error
    );
    failing.execute(connection).await.map(drop).map_err(StoreError::query("note that a channel fails"))
}

async fn told(connection: &mut PgConnection, delivery: Uuid) -> Result<Vec<Told>, StoreError> {
    let rows = sqlx::query!(
        "SELECT event, created_at, snapshot FROM notifications WHERE delivery_id = $1 ORDER BY created_at, id",
        delivery
    );
    let rows = rows.fetch_all(connection).await.map_err(StoreError::query("read what a message tells"))?;
    rows.into_iter()
        .map(|row| {
            let alert = serde_json::from_value(row.snapshot);
            let alert = alert.map_err(|source| StoreError::Document { what: "an alert", source })?;
            Ok(Told { event: row.event.try_into()?, at: row.created_at, alert })
        })
        .collect()
}

async fn thread(
    connection: &mut PgConnection,
    channel: &str,
    group: &str,
    before: DateTime<Utc>,
) -> Result<Option<(Uuid, Option<String>)>, StoreError> {
    let first = sqlx::query!(
        "SELECT id, receipt FROM deliveries
         WHERE channel = $1 AND (group_key = $2 OR id = $5)
           AND delivered_at IS NOT NULL AND created_at < $3 AND created_at > $4
         ORDER BY created_at LIMIT 1",
        channel,
        group,
        before,
        before - THREAD,
        digest_of_group(group)
    );
    let first = first
        .fetch_optional(connection)
        .await
        .map_err(StoreError::query("look for the thread of a message"))?;
    Ok(first.map(|row| (row.id, row.receipt)))
}

/// What still waits to be told does not count.
async fn open_in_group(
    connection: &mut PgConnection,
    channel: &str,
    group: &str,
    delivery: Uuid,
) -> Result<i64, StoreError> {
    let open = sqlx::query_scalar!(
        r#"SELECT count(DISTINCT alert.id) AS "open!"
           FROM performance_alerts AS alert JOIN notifications AS told ON told.alert_id = alert.id
           WHERE alert.status IN ('active', 'acknowledged') AND told.channel = $1 AND told.group_key = $2
             AND told.event <> 'resolved' AND told.life = alert.reopened
             AND (told.delivered_at IS NOT NULL OR told.delivery_id = $3)"#,
        channel,
        group,
        delivery
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
