//! `dogwatch.job_outbox`: jobs that services enqueue inside their own transactions, and their way to Redis.
//!
//! A relay takes a batch, which is written down before it is sent, and says when Redis has it. Any number of relays may
//! do so: a batch that is sent twice has the same positions both times, and Redis takes a position once.
//!
//! Time is Postgres's own here: it is what relays on several machines have in common.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::postgres::{PgListener, PgPoolOptions};

use crate::Store;
use crate::error::StoreError;

/// Arguments in one batch, unless its first job has more.
const MAX_BATCH_BYTES: i64 = 4 * 1024 * 1024;
/// As the trigger of the table names it.
const CHANNEL: &str = "dogwatch_job_outbox";
/// How soon a relay that may not wait to be woken looks again; doubles from time to time.
const FIRST_PAUSE: Duration = Duration::from_millis(2);

/// A job whose transaction has committed.
#[derive(Clone, Debug)]
pub struct OutboxJob {
    /// Its place among all jobs of the outbox. Grows from batch to batch, also when the database was restored.
    pub position: u64,
    /// Its id in the queue.
    pub id: String,
    /// Where to.
    pub queue: String,
    /// Its name.
    pub job: String,
    /// Its arguments; a string where they cannot be read, for instance for a number that is too big.
    pub args: Value,
    /// When it is due. Absent: at once.
    pub run_at: Option<DateTime<Utc>>,
    /// Attempts allowed.
    pub max_attempts: Option<u32>,
    /// When an attempt is stopped.
    pub timeout: Option<Duration>,
    /// 0 (first) to 9 (last).
    pub priority: Option<u8>,
    /// What it may be there only once for.
    pub unique_key: Option<String>,
}

/// Jobs that are under way.
#[derive(Clone, Debug)]
pub struct OutboxBatch {
    /// The database that positions belong to. A copy of it that lives elsewhere has another one.
    pub source: String,
    /// In the order of their positions.
    pub jobs: Vec<OutboxJob>,
    position: i64,
    numbers: Vec<i64>,
}

/// What a relay has to do.
#[derive(Clone, Debug)]
pub enum OutboxTurn {
    /// Send these. They may have been sent before.
    Send(OutboxBatch),
    /// Wait: another relay has a batch.
    Elsewhere,
    /// Wait: there are none.
    Empty,
}

impl Store {
    /// Takes the batch that is under way, if it was this relay's or its time is over; else, the oldest jobs.
    ///
    /// `relay` is a name that no other one has; `lease` is how long the batch is left to it.
    pub async fn take_outbox_batch(
        &self,
        relay: &str,
        limit: u32,
        lease: Duration,
    ) -> Result<OutboxTurn, StoreError> {
        let failed = || StoreError::query("take jobs from the outbox");
        let taken = sqlx::query!(
            r#"
            UPDATE dogwatch.job_outbox_relay AS relay SET
                claimed_by = $1,
                claimed_until = clock_timestamp() + $2::float8 * interval '1 second',
                batch = CASE WHEN relay.batch = '{}' THEN waiting.numbers ELSE relay.batch END,
                -- By the clock: had the database lost what is written here (a restored backup, a standby that lagged),
                -- Redis would know positions that a mere count reaches again, and would pass those jobs over.
                position = CASE WHEN relay.batch = '{}'
                    THEN greatest(relay.position, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)
                        + cardinality(waiting.numbers)
                    ELSE relay.position
                END
            FROM
                dogwatch.job_outbox_relay AS seen,
                (
                    SELECT coalesce(array_agg(number ORDER BY number), '{}') AS numbers
                    FROM (
                        SELECT number, sum(octet_length(args)) OVER (ORDER BY number) - octet_length(args) AS bytes_before
                        FROM (
                            SELECT number, args FROM dogwatch.job_outbox ORDER BY number LIMIT $3
                        ) AS oldest
                    ) AS measured
                    WHERE bytes_before < $4
                ) AS waiting
            WHERE
                -- As it was when `waiting` was read; else it may contain jobs that another relay has sent meanwhile.
                relay.position = seen.position AND relay.batch = seen.batch
                AND CASE WHEN relay.batch = '{}'
                    THEN waiting.numbers <> '{}'
                    -- Not so far ahead either: a clock that was set back makes no claim last for ever.
                    ELSE relay.claimed_by = $1 OR relay.claimed_until NOT BETWEEN clock_timestamp()
                        AND clock_timestamp() + $2::float8 * interval '1 second'
                END
            RETURNING
                relay.position,
                relay.batch,
                (
                    SELECT format('%s/%s', system_identifier, pg_database.oid)
                    FROM pg_control_system(), pg_database
                    WHERE datname = current_database()
                ) AS "source!"
            "#,
            relay,
            lease.as_secs_f64(),
            i64::from(limit),
            MAX_BATCH_BYTES
        );
        let Some(taken) = taken.fetch_optional(&self.pool).await.map_err(failed())? else {
            let under_way =
                sqlx::query_scalar!(r#"SELECT batch <> '{}' AS "under_way!" FROM dogwatch.job_outbox_relay"#);
            let under_way = under_way.fetch_one(&self.pool).await.map_err(failed())?;
            return Ok(if under_way { OutboxTurn::Elsewhere } else { OutboxTurn::Empty });
        };
        let first = taken.position - i64::try_from(taken.batch.len()).unwrap_or_default();
        let rows = sqlx::query!(
            r#"
            SELECT
                place AS "place!", id, queue, job, args, run_at, max_attempts, timeout_ms, priority, unique_key
            FROM unnest($1::bigint[]) WITH ORDINALITY AS batch (number, place)
            JOIN dogwatch.job_outbox USING (number)
            ORDER BY place
            "#,
            &taken.batch
        );
        let rows = rows.fetch_all(&self.pool).await.map_err(failed())?;
        let jobs = rows.into_iter().map(|row| OutboxJob {
            position: u64::try_from(first + row.place).unwrap_or_default(),
            id: row.id,
            queue: row.queue,
            job: row.job,
            args: serde_json::from_str(&row.args).unwrap_or(Value::String(row.args)),
            run_at: row.run_at,
            max_attempts: row.max_attempts.and_then(|n| n.try_into().ok()),
            timeout: row.timeout_ms.and_then(|ms| ms.try_into().ok()).map(Duration::from_millis),
            priority: row.priority.and_then(|n| n.try_into().ok()),
            unique_key: row.unique_key,
        });
        Ok(OutboxTurn::Send(OutboxBatch {
            source: taken.source,
            jobs: jobs.collect(),
            position: taken.position,
            numbers: taken.batch,
        }))
    }

    /// Forgets a batch that Redis has. False when that was done before.
    pub async fn outbox_batch_sent(&self, batch: &OutboxBatch) -> Result<bool, StoreError> {
        let deleted = sqlx::query!(
            r#"
            WITH sent AS (
                UPDATE dogwatch.job_outbox_relay SET batch = '{}' WHERE position = $1 AND batch <> '{}'
                RETURNING position
            ), deleted AS (
                DELETE FROM dogwatch.job_outbox USING sent WHERE number = ANY($2)
            )
            SELECT position FROM sent
            "#,
            batch.position,
            &batch.numbers
        );
        let sent = deleted.fetch_optional(&self.pool).await;
        Ok(sent.map_err(StoreError::query("take sent jobs out of the outbox"))?.is_some())
    }

    /// Opens what a relay waits on. It has a connection of its own.
    pub async fn outbox_bell(&self) -> Result<OutboxBell, StoreError> {
        let failed = || StoreError::query("listen for jobs in the outbox");
        // Not one of ours that goes back to the others: it holds a lock.
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .max_lifetime(None)
            .idle_timeout(None)
            .acquire_timeout(self.pool.options().get_acquire_timeout())
            .connect_lazy_with(self.pool.connect_options().as_ref().clone());
        let mut listener = PgListener::connect_with(&pool).await.map_err(failed())?;
        // A new connection has lost the lock, so it has to be noticed.
        listener.eager_reconnect(false);
        listener.listen(CHANNEL).await.map_err(failed())?;
        Ok(OutboxBell { listener, is_set: false, pause: FIRST_PAUSE })
    }
}

/// Wakes a relay that has nothing to do. While it is set, each transaction that enqueues rings it when it commits; while
/// it is not, nobody pays for that.
pub struct OutboxBell {
    listener: PgListener,
    /// Whether it holds the lock that the trigger of the table tries.
    is_set: bool,
    pause: Duration,
}

impl OutboxBell {
    /// Waits until it is rung, at most for `limit`. When it was not set, returns soon, to look once more: what was
    /// committed before rings nothing.
    pub async fn wait(&mut self, limit: Duration) -> Result<(), StoreError> {
        let failed = || StoreError::query("wait for jobs in the outbox");
        if !self.is_set {
            let set = sqlx::query_scalar!(
                r#"SELECT pg_try_advisory_lock(hashtext('dogwatch job outbox'), 0) AS "locked!""#
            );
            self.is_set = set.fetch_one(&mut self.listener).await.map_err(failed())?;
            if !self.is_set {
                // A commit is under way, or the bell is another relay's.
                tokio::time::sleep(self.pause.min(limit)).await;
                self.pause = limit.min(self.pause * 2);
            }
            return Ok(());
        }
        match tokio::time::timeout(limit, self.listener.try_recv()).await {
            Ok(Ok(Some(_))) => while self.listener.next_buffered().is_some() {},
            Ok(Ok(None)) => {
                self.is_set = false;
            }
            Ok(Err(error)) => return Err(failed()(error)),
            Err(_) => {}
        }
        Ok(())
    }

    /// Not to be rung: there is work.
    pub async fn mute(&mut self) -> Result<(), StoreError> {
        self.pause = FIRST_PAUSE;
        if std::mem::take(&mut self.is_set) {
            let unset = sqlx::query_scalar!("SELECT pg_advisory_unlock(hashtext('dogwatch job outbox'), 0)");
            unset.fetch_one(&mut self.listener).await.map_err(StoreError::query("go on with the outbox"))?;
        }
        Ok(())
    }
}

impl std::fmt::Debug for OutboxBell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutboxBell").field("is_set", &self.is_set).finish_non_exhaustive()
    }
}
