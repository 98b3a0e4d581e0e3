//! Days as partitions: made before they are needed, dropped when they are old. The only SQL with computed names.

use std::collections::BTreeSet;
use std::sync::PoisonError;

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use sqlx::{AssertSqlSafe, Connection};

use crate::Store;
use crate::error::StoreError;

/// Tables that are partitioned by day.
pub(crate) const REQUESTS: &str = "performance_metrics";
pub(crate) const HOSTS: &str = "host_metrics";
pub(crate) const DISKS: &str = "host_disks";
pub(crate) const HEALTH: &str = "service_health_checks";
const TABLES: [&str; 4] = [REQUESTS, HOSTS, DISKS, HEALTH];

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
            if !self.known_days.lock().unwrap_or_else(PoisonError::into_inner).contains(&(table, day)) {
                self.ensure_day(table, day).await?;
            }
        }
        Ok(())
    }

    async fn ensure_day(&self, table: &'static str, day: NaiveDate) -> Result<bool, StoreError> {
        let made = sqlx::query_scalar!(r#"SELECT create_day_partition($1, $2) AS "made!""#, table, day);
        let made = made.fetch_one(&self.pool).await.map_err(StoreError::query("make a partition"))?;
        self.known_days.lock().unwrap_or_else(PoisonError::into_inner).insert((table, day));
        Ok(made)
    }

    /// Drops the partitions of all days before `day`; says their names. Readers and writers are not blocked.
    pub async fn drop_partitions_before(&self, day: NaiveDate) -> Result<Vec<String>, StoreError> {
        let old = sqlx::query!(
            r#"
            SELECT parent.relname AS "parent!", child.relname AS "child!",
                   format('%I', parent.relname) AS "parent_quoted!", format('%I', child.relname) AS "child_quoted!",
                   inhdetachpending AS "half_detached!"
            FROM pg_inherits
            JOIN pg_class parent ON parent.oid = inhparent
            JOIN pg_class child ON child.oid = inhrelid
            WHERE parent.relname = ANY($1)
              -- not a namesake in someone else's schema
              AND parent.oid = to_regclass(format('%I', parent.relname))
              AND child.relname < parent.relname || '_' || to_char($2::date, 'YYYYMMDD')
              AND child.relkind = 'r'
            ORDER BY child.relname
            "#,
            &TABLES.map(str::to_owned)[..],
            day
        );
        let old = old.fetch_all(&self.pool).await.map_err(StoreError::query("list partitions"))?;
        let mut dropped = Vec::new();
        for partition in old {
            let (parent, child) = (&partition.parent_quoted, &partition.child_quoted);
            // A session of its own: DETACH CONCURRENTLY cannot run in a transaction, and a lock that does not come
            // must not hold up those who queue behind it.
            let mut connection =
                self.pool.acquire().await.map_err(StoreError::query("connect to Postgres"))?;
            let how = if partition.half_detached { "FINALIZE" } else { "CONCURRENTLY" };
            let detach = format!("ALTER TABLE {parent} DETACH PARTITION {child} {how}");
            sqlx::query(AssertSqlSafe(detach))
                .execute(&mut *connection)
                .await
                .map_err(StoreError::query("detach a partition"))?;
            let mut transaction = connection.begin().await.map_err(StoreError::query("drop a partition"))?;
            sqlx::query!("SET LOCAL lock_timeout = '5s'")
                .execute(&mut *transaction)
                .await
                .map_err(StoreError::query("drop a partition"))?;
            sqlx::query(AssertSqlSafe(format!("DROP TABLE IF EXISTS {child}")))
                .execute(&mut *transaction)
                .await
                .map_err(StoreError::query("drop a partition"))?;
            transaction.commit().await.map_err(StoreError::query("drop a partition"))?;
            dropped.push(partition.child);
        }
        self.known_days.lock().unwrap_or_else(PoisonError::into_inner).retain(|(_, known)| *known >= day);
        Ok(dropped)
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
