//! Days as partitions, made before they are needed. `retention` drops them when they are old.

use std::collections::BTreeSet;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use chrono::{DateTime, NaiveDate, Utc};

use crate::Store;
use crate::error::StoreError;

/// Tables that are partitioned by day.
pub(crate) const REQUESTS: &str = "performance_metrics";
pub(crate) const DATABASE_SPANS: &str = "database_spans";
pub(crate) const SLOW_QUERIES: &str = "slow_queries";
pub(crate) const REPEATED_QUERIES: &str = "repeated_queries";
pub(crate) const STATISTICS: &str = "query_statistics";
pub(crate) const MINUTES: &str = "rollups_minute";
pub(crate) const HOSTS: &str = "host_metrics";
pub(crate) const DISKS: &str = "host_disks";
pub(crate) const HEALTH: &str = "service_health_checks";
pub(crate) const EVALUATIONS: &str = "rule_evaluations";
pub(crate) const TREND_HOURS: &str = "trend_hours";
pub(crate) const TABLES: [&str; 11] = [
    REQUESTS,
    DATABASE_SPANS,
    SLOW_QUERIES,
    REPEATED_QUERIES,
    MINUTES,
    HOSTS,
    DISKS,
    HEALTH,
    STATISTICS,
    EVALUATIONS,
    TREND_HOURS,
];
/// Not partitioned by day.
pub(crate) const HOURS: &str = "rollups_hour";

/// How long a partition that was seen is taken to be there: another process may drop it.
const KNOWN_FOR: Duration = Duration::from_secs(10);

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
        let is_fresh = |seen: &Instant| seen.elapsed() < KNOWN_FOR;
        let is_known = self
            .known_days
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&(table, day))
            .is_some_and(is_fresh);
        if !is_known {
            self.ensure_day(table, day).await?;
        }
        Ok(())
    }

    async fn ensure_day(&self, table: &'static str, day: NaiveDate) -> Result<bool, StoreError> {
        let made = sqlx::query_scalar!(r#"SELECT create_day_partition($1, $2) AS "made!""#, table, day);
        let made = made.fetch_one(&self.pool).await.map_err(StoreError::query("make a partition"))?;
        let mut known = self.known_days.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, seen| seen.elapsed() < KNOWN_FOR);
        known.insert((table, day), Instant::now());
        Ok(made)
    }

    /// Days that are known are asked for again.
    pub(crate) fn forget_days(&self, table: &'static str) {
        self.known_days
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|(known, _), _| *known != table);
    }
}

/// True when a row has found no partition for its time.
pub(crate) fn is_without_partition(error: &sqlx::Error) -> bool {
    // Postgres calls it a check violation, of no constraint.
    error
        .as_database_error()
        .is_some_and(|error| error.code().as_deref() == Some("23514") && error.constraint().is_none())
}
