//! Days as partitions: made before they are needed, dropped when they are old. The only SQL with computed names.

use std::collections::BTreeSet;
use std::sync::PoisonError;

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use sqlx::{AssertSqlSafe, PgConnection};

use crate::Store;
use crate::error::StoreError;

/// Tables that are partitioned by day.
pub(crate) const REQUESTS: &str = "performance_metrics";
pub(crate) const MINUTES: &str = "rollups_minute";
pub(crate) const HOSTS: &str = "host_metrics";
pub(crate) const DISKS: &str = "host_disks";
pub(crate) const HEALTH: &str = "service_health_checks";
const TABLES: [&str; 5] = [REQUESTS, MINUTES, HOSTS, DISKS, HEALTH];
/// Not partitioned.
pub(crate) const HOURS: &str = "rollups_hour";

/// The comment on a table that retention has begun to remove.
const TO_BE_DROPPED: &str = "to be dropped";

/// Rows removed in one transaction.
const BATCH: i64 = 5_000;

/// Rows of unpartitioned tables that were removed.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Deleted {
    /// Resolved alerts, with their notifications.
    pub alerts: u64,
    /// Reports.
    pub reports: u64,
    /// Trends.
    pub trends: u64,
}

impl Deleted {
    /// All together.
    pub fn total(&self) -> u64 {
        self.alerts + self.reports + self.trends
    }
}

impl Store {
    /// Makes the partitions from one day to another, both included; says how many were new.
    pub async fn ensure_partitions(&self, from: NaiveDate, to: NaiveDate) -> Result<u32, StoreError> {
        let mut made = 0;
        for table in TABLES {
            for day in from.iter_days().take_while(|day| *day <= to) {
                made += u32::from(self.ensure_day(table, day).await?);
            }
        }
        Ok(made)
    }

    /// Makes sure that rows of these times find their partition.
    pub(crate) async fn ensure_days(
        &self,
        table: &'static str,
        times: impl Iterator<Item = DateTime<Utc>>,
    ) -> Result<(), StoreError> {
        let days: BTreeSet<NaiveDate> = times.map(|time| time.date_naive()).collect();
        for day in days {
            self.ensure_known_day(table, day).await?;
        }
        Ok(())
    }

    /// The same for one day.
    pub(crate) async fn ensure_known_day(
        &self,
        table: &'static str,
        day: NaiveDate,
    ) -> Result<(), StoreError> {
        if !self.known_days.lock().unwrap_or_else(PoisonError::into_inner).contains(&(table, day)) {
            self.ensure_day(table, day).await?;
        }
        Ok(())
    }

    async fn ensure_day(&self, table: &'static str, day: NaiveDate) -> Result<bool, StoreError> {
        let made = sqlx::query_scalar!(r#"SELECT create_day_partition($1, $2) AS "made!""#, table, day);
        let made = made.fetch_one(&self.pool).await.map_err(StoreError::query("make a partition"))?;
        self.known_days.lock().unwrap_or_else(PoisonError::into_inner).insert((table, day));
        Ok(made)
    }

    /// Days that are known are asked for again.
    pub(crate) fn forget_days(&self, table: &'static str) {
        self.known_days.lock().unwrap_or_else(PoisonError::into_inner).retain(|(known, _)| *known != table);
    }

    /// Drops the partitions of all days before `day`; says their names. Readers and writers are not blocked.
    /// While another process is at it, nothing is left to do here. What an earlier run could not finish is finished;
    /// a partition that cannot go keeps no other, and is the error in the end.
    pub async fn drop_partitions_before(&self, day: NaiveDate) -> Result<Vec<String>, StoreError> {
        let session = self.pool.acquire().await.map_err(StoreError::query("connect to Postgres"))?;
        // Closed afterwards, and its lock and settings with it, also when the caller is cancelled.
        let mut session = session.detach();
        let alone =
            sqlx::query_scalar!(r#"SELECT pg_try_advisory_lock(hashtext('dogwatch retention')) AS "alone!""#);
        if !alone.fetch_one(&mut session).await.map_err(StoreError::query("lock the partitions"))? {
            return Ok(Vec::new());
        }
        // Whoever needs the table queues behind a lock that does not come.
        let timeout = sqlx::query!("SET lock_timeout = '5s'").execute(&mut session).await;
        timeout.map_err(StoreError::query("lock the partitions"))?;
        // Before the first row is gone: what is left of a bucket must not be taken for all of it.
        let since = sqlx::query!(
            "INSERT INTO kept_since (table_name, since)
             SELECT table_name, ($2::date)::timestamp AT TIME ZONE 'UTC' FROM unnest($1::text[]) AS partitioned (table_name)
             ON CONFLICT (table_name) DO UPDATE SET since = greatest(kept_since.since, excluded.since)",
            &TABLES.map(str::to_owned)[..],
            day
        );
        since.execute(&mut session).await.map_err(StoreError::query("note what is kept"))?;
        let mut dropped = Vec::new();
        let mut failure = None;
        for partition in old_partitions(&mut session, day).await? {
            match partition.remove(&mut session).await {
                Ok(()) if partition.is_to_stay => {}
                Ok(()) => dropped.push(partition.child),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        self.known_days.lock().unwrap_or_else(PoisonError::into_inner).retain(|(_, known)| *known >= day);
        failure.map_or(Ok(dropped), |error| Err(StoreError::query("drop a partition")(error)))
    }

    /// Removes what ended before `horizon` from the tables that are not partitioned, in small transactions.
    pub async fn delete_expired(&self, horizon: DateTime<Utc>) -> Result<Deleted, StoreError> {
        let mut deleted = Deleted::default();
        loop {
            let alerts = sqlx::query!(
                "DELETE FROM performance_alerts WHERE id IN
                     (SELECT id FROM performance_alerts WHERE resolved_at < $1 LIMIT $2)",
                horizon,
                BATCH
            );
            let reports = sqlx::query!(
                "DELETE FROM performance_reports WHERE id IN
                     (SELECT id FROM performance_reports WHERE created_at < $1 LIMIT $2)",
                horizon,
                BATCH
            );
            let trends = sqlx::query!(
                "DELETE FROM performance_trends WHERE id IN
                     (SELECT id FROM performance_trends WHERE found_at < $1 LIMIT $2)",
                horizon,
                BATCH
            );
            let failed = || StoreError::query("delete old rows");
            let round = Deleted {
                alerts: alerts.execute(&self.pool).await.map_err(failed())?.rows_affected(),
                reports: reports.execute(&self.pool).await.map_err(failed())?.rows_affected(),
                trends: trends.execute(&self.pool).await.map_err(failed())?.rows_affected(),
            };
            deleted.alerts += round.alerts;
            deleted.reports += round.reports;
            deleted.trends += round.trends;
            if round.total() == 0 {
                return Ok(deleted);
            }
        }
    }
}

/// True when a row has found no partition for its time.
pub(crate) fn is_without_partition(error: &sqlx::Error) -> bool {
    // Postgres calls it a check violation, of no constraint.
    error
        .as_database_error()
        .is_some_and(|error| error.code().as_deref() == Some("23514") && error.constraint().is_none())
}

/// A partition that is to go, or one that a detach has left behind. Names are quoted, but `child`.
struct OldPartition {
    parent: String,
    child: String,
    child_quoted: String,
    is_attached: bool,
    is_half_detached: bool,
    is_to_stay: bool,
}

/// Half detached ones first: while there is one, Postgres detaches no other of its table.
async fn old_partitions(session: &mut PgConnection, day: NaiveDate) -> Result<Vec<OldPartition>, StoreError> {
    let old = sqlx::query_as!(
        OldPartition,
        r#"
        SELECT format('%I', parent.relname) AS "parent!",
               child.relname::text AS "child!",
               format('%I', child.relname) AS "child_quoted!",
               inhrelid IS NOT NULL AS "is_attached!",
               coalesce(inhdetachpending, false) AS "is_half_detached!",
               child.relname >= parent.relname || '_' || to_char($2::date, 'YYYYMMDD') AS "is_to_stay!"
        FROM pg_class parent
        JOIN pg_class child
          ON child.relnamespace = parent.relnamespace
         AND child.relkind = 'r'
         AND child.relname ~ ('^' || parent.relname || '_[0-9]{8}$')
        LEFT JOIN pg_inherits ON inhrelid = child.oid AND inhparent = parent.oid
        WHERE parent.relname = ANY($1)
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
        &TABLES.map(str::to_owned)[..],
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
