//! Retention: what is older than it is to be kept goes. Days of partitioned tables are dropped, which costs the same
//! whatever they hold; of small tables rows are deleted, in small transactions. The only SQL with computed names.

use std::sync::PoisonError;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde::Serialize;
use sqlx::{AssertSqlSafe, PgConnection};

use crate::Store;
use crate::error::StoreError;
use crate::partitions::{
    DATABASE_SPANS, DISKS, EVALUATIONS, HEALTH, HOSTS, HOURS, MINUTES, REPEATED_QUERIES, REQUESTS,
    SLOW_QUERIES, STATISTICS, TABLES, TREND_HOURS,
};

/// Tables from which retention removes what is old.
pub const KEPT_TABLES: [&str; 25] = [
    REQUESTS,
    DATABASE_SPANS,
    SLOW_QUERIES,
    REPEATED_QUERIES,
    STATISTICS,
    MINUTES,
    HOURS,
    "rollups_day",
    "query_texts",
    HOSTS,
    DISKS,
    HEALTH,
    EVALUATIONS,
    "performance_alerts",
    "deliveries",
    "silences",
    "service_uptime",
    "recovery_attempts",
    "performance_reports",
    TREND_HOURS,
    "trend_series",
    "trend_findings",
    "service_versions",
    "audit_events",
    "export_refusals",
];

/// What tells the age of a row, of tables that are not partitioned by day. The index of rollups begins with the subject.
fn age_column(table: &str) -> &'static str {
    match table {
        HOURS => "resolution = 60 AND subject IN ('request', 'query') AND bucket",
        "rollups_day" => "resolution = 1440 AND subject IN ('request', 'query') AND bucket",
        "query_texts" => "last_seen_at",
        // One that is resolved and pending again is not old.
        "performance_alerts" => "status = 'resolved' AND resolved_at",
        "deliveries" => "coalesce(delivered_at, failed_at, taken_apart_at)",
        "silences" => "ends_at",
        "service_uptime" => "hour",
        "recovery_attempts" => "began_at",
        "performance_reports" => "created_at",
        "trend_series" => "coalesce(detector_at, created_at)",
        "trend_findings" => "ended_at",
        "audit_events" => "occurred_at",
        "export_refusals" => "last_at",
        _ => "first_seen_at",
    }
}

/// The comment on a table that retention has begun to remove.
const TO_BE_DROPPED: &str = "to be dropped";

/// Rows removed in one transaction.
const BATCH: i64 = 5_000;

/// What was removed from a table, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Expired {
    /// Days that were dropped.
    pub partitions: Vec<String>,
    /// Rows; of partitions about so many, as far as Postgres has counted them.
    pub rows: i64,
    /// What the partitions took on the disk, with their indexes.
    pub bytes: i64,
}

impl Store {
    /// Removes what is older than `since` from one of [`KEPT_TABLES`]; of partitioned tables whole days. Readers and
    /// writers are not blocked. While another process is at it, nothing is left to do here. What an earlier run could not
    /// finish is finished; a partition that cannot go keeps no other, and is the error in the end.
    ///
    /// With `dry_run` nothing is removed. Whatever `since` is, yesterday and today by the clock of Postgres stay.
    pub async fn expire(
        &self,
        table: &'static str,
        since: DateTime<Utc>,
        dry_run: bool,
    ) -> Result<Expired, StoreError> {
        let yesterday = sqlx::query_scalar!(
            r#"SELECT date_trunc('day', clock_timestamp(), 'UTC') - interval '1 day' AS "yesterday!""#
        );
        let yesterday =
            yesterday.fetch_one(&self.pool).await.map_err(StoreError::query("read the clock of Postgres"))?;
        if TABLES.contains(&table) {
            self.drop_partitions(table, since.min(yesterday).date_naive(), dry_run).await
        } else {
            let since = since.min(yesterday + TimeDelta::days(1));
            let age = age_column(table);
            let rows = if dry_run {
                self.count_rows(table, age, since).await
            } else {
                self.delete_rows(table, age, since).await
            };
            let rows = rows.map_err(StoreError::query("remove old rows"))?;
            Ok(Expired { rows, ..Expired::default() })
        }
    }

    async fn drop_partitions(
        &self,
        table: &'static str,
        day: NaiveDate,
        dry_run: bool,
    ) -> Result<Expired, StoreError> {
        let session = self.pool.acquire().await.map_err(StoreError::query("connect to Postgres"))?;
        // Closed afterwards, and its lock and settings with it, also when the caller is cancelled.
        let mut session = session.detach();
        let alone = sqlx::query_scalar!(
            r#"SELECT pg_try_advisory_lock(hashtext('dogwatch retention'), hashtext($1)) AS "alone!""#,
            table
        );
        if !alone.fetch_one(&mut session).await.map_err(StoreError::query("lock the partitions"))? {
            return Ok(Expired::default());
        }
        let mut expired = Expired::default();
        let mut failure = None;
        if !dry_run {
            prepare_to_drop(&mut session, table, day).await?;
        }
        for partition in old_partitions(&mut session, table, day).await? {
            let removed = if dry_run { Ok(()) } else { partition.remove(&mut session).await };
            match removed {
                Ok(()) if partition.is_to_stay => {}
                Ok(()) => {
                    expired.rows += partition.rows;
                    expired.bytes += partition.bytes;
                    expired.partitions.push(partition.child);
                }
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        // At once; a session that is closed ends some moments later.
        let unlock = sqlx::query_scalar!(r#"SELECT pg_advisory_unlock_all()::text AS "unlocked!""#);
        unlock.fetch_one(&mut session).await.map_err(StoreError::query("unlock the partitions"))?;
        let mut known = self.known_days.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|(of, known), _| *of != table || *known >= day);
        drop(known);
        failure.map_or(Ok(expired), |error| Err(StoreError::query("drop a partition")(error)))
    }

    async fn count_rows(&self, table: &str, age: &str, since: DateTime<Utc>) -> sqlx::Result<i64> {
        let count = format!("SELECT count(*) FROM {table} WHERE {age} < $1");
        sqlx::query_scalar(AssertSqlSafe(count)).bind(since).fetch_one(&self.pool).await
    }

    async fn delete_rows(&self, table: &'static str, age: &str, since: DateTime<Utc>) -> sqlx::Result<i64> {
        if table == HOURS {
            // Before the first row is gone: what is left of a bucket must not be taken for all of it.
            note_kept_since(&mut *self.pool.acquire().await?, table, since).await?;
        }
        let some = format!(
            "DELETE FROM {table} WHERE ctid = ANY (ARRAY(SELECT ctid FROM {table} WHERE {age} < $1 LIMIT {BATCH}))"
        );
        let mut deleted = 0;
        loop {
            let round = sqlx::query(AssertSqlSafe(some.clone())).bind(since).execute(&self.pool).await?;
            if round.rows_affected() == 0 {
                return Ok(deleted);
            }
            deleted += i64::try_from(round.rows_affected()).unwrap_or(i64::MAX);
        }
    }
}

async fn prepare_to_drop(session: &mut PgConnection, table: &str, day: NaiveDate) -> Result<(), StoreError> {
    // Whoever needs the table queues behind a lock that does not come.
    let timeout = sqlx::query!("SET lock_timeout = '5s'").execute(&mut *session).await;
    timeout.map_err(StoreError::query("lock the partitions"))?;
    // Before the first row is gone: what is left of a bucket must not be taken for all of it.
    let midnight = day.and_time(chrono::NaiveTime::MIN).and_utc();
    note_kept_since(session, table, midnight).await.map_err(StoreError::query("note what is kept"))
}

async fn note_kept_since(session: &mut PgConnection, table: &str, since: DateTime<Utc>) -> sqlx::Result<()> {
    let note = sqlx::query!(
        "INSERT INTO kept_since (table_name, since) VALUES ($1, $2)
         -- One that lies ahead was set by a wrong clock.
         ON CONFLICT (table_name) DO UPDATE
         SET since = CASE WHEN kept_since.since > now() THEN excluded.since
                          ELSE greatest(kept_since.since, excluded.since) END",
        table,
        since
    );
    note.execute(session).await.map(drop)
}

/// A partition that is to go, or one that a detach has left behind. Names are quoted, but `child`.
struct OldPartition {
    parent: String,
    child: String,
    child_quoted: String,
    /// About.
    rows: i64,
    bytes: i64,
    is_attached: bool,
    is_half_detached: bool,
    is_to_stay: bool,
}

/// Half detached ones first: while there is one, Postgres detaches no other of its table.
async fn old_partitions(
    session: &mut PgConnection,
    table: &str,
    day: NaiveDate,
) -> Result<Vec<OldPartition>, StoreError> {
    let old = sqlx::query_as!(
        OldPartition,
        r#"
        SELECT format('%I', parent.relname) AS "parent!",
               child.relname::text AS "child!",
               format('%I', child.relname) AS "child_quoted!",
               greatest(child.reltuples, 0)::bigint AS "rows!",
               pg_total_relation_size(child.oid) AS "bytes!",
               inhrelid IS NOT NULL AS "is_attached!",
               coalesce(inhdetachpending, false) AS "is_half_detached!",
               child.relname >= parent.relname || '_' || to_char($2::date, 'YYYYMMDD') AS "is_to_stay!"
        FROM pg_class parent
        JOIN pg_class child
          ON child.relnamespace = parent.relnamespace
         AND child.relkind = 'r'
         AND child.relname ~ ('^' || parent.relname || '_[0-9]{8}$')
        LEFT JOIN pg_inherits ON inhrelid = child.oid AND inhparent = parent.oid
        WHERE parent.relname = $1
          -- not a namesake in someone else's schema
          AND parent.oid = to_regclass(format('%I', parent.relname))
          AND (
              inhdetachpending
              OR (
                  child.relname < parent.relname || '_' || to_char($2::date, 'YYYYMMDD')
                  -- A table that someone has detached to keep it has no such mark.
                  AND (inhrelid IS NOT NULL OR obj_description(child.oid, 'pg_class') = $3)
              )
          )
        ORDER BY coalesce(inhdetachpending, false) DESC, child.relname
        "#,
        table,
        day,
        TO_BE_DROPPED
    );
    old.fetch_all(session).await.map_err(StoreError::query("list partitions"))
}

impl OldPartition {
    /// Each step commits by itself, and the next run goes on from there.
    async fn remove(&self, session: &mut PgConnection) -> sqlx::Result<()> {
        let Self { parent, child, child_quoted, .. } = self;
        if self.is_half_detached {
            execute(session, format!("ALTER TABLE {parent} DETACH PARTITION {child_quoted} FINALIZE"))
                .await?;
        } else if self.is_attached {
            execute(session, format!("COMMENT ON TABLE {child_quoted} IS '{TO_BE_DROPPED}'")).await?;
            execute(session, format!("ALTER TABLE {parent} DETACH PARTITION {child_quoted} CONCURRENTLY"))
                .await?;
        }
        if self.is_to_stay {
            // Older days are to be kept than when it was detached.
            sqlx::query_scalar!(
                "SELECT create_day_partition($1, to_date(right($2, 8), 'YYYYMMDD'))",
                parent,
                child
            )
            .fetch_one(session)
            .await?;
            return Ok(());
        }
        execute(session, format!("DROP TABLE IF EXISTS {child_quoted}")).await
    }
}

/// DDL takes no parameters; names come quoted from Postgres.
async fn execute(session: &mut PgConnection, statement: String) -> sqlx::Result<()> {
    sqlx::query(AssertSqlSafe(statement)).execute(session).await.map(drop)
}
