//! Removes what is older than it is to be kept: of raw data whole days, which are dropped as partitions; of what is little,
//! rows.
//!
//! Also makes the partitions of the coming days, so that the first request after midnight does not wait for one.
//! Safe to run twice or at the same time: a partition that is gone stays gone.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Days, TimeDelta, Utc};
use dogwatch_queue::{Job, JobError, Retry, Run, mins, secs};
use dogwatch_store::{Expired, KEPT_TABLES, Store, StoreError};
use serde::{Deserialize, Serialize};

use crate::services::Services;
use crate::settings::{Settings, check_days, check_days_of};

/// Days for which partitions are made ahead.
const DAYS_AHEAD: u64 = 3;

/// A series that was not seen for so long takes no place from others.
const SERIES_SEEN: TimeDelta = TimeDelta::days(7);

/// Arguments. Absent: the settings `jobs.retention_days` and `jobs.retention_days_of`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CleanupOldPerformanceData {
    /// Days of data to keep, of tables for which nothing else is said.
    pub days: Option<u32>,
    /// Days to keep of single tables.
    pub days_of: BTreeMap<String, u32>,
    /// Tell what would be removed, and remove nothing.
    pub dry_run: bool,
}

/// What was removed, table by table.
#[derive(Debug, Serialize)]
pub struct Cleaned {
    /// Nothing was removed.
    pub dry_run: bool,
    /// Partitions that were made for the coming days.
    pub partitions_made: u32,
    /// Partitions that were dropped.
    pub partitions_dropped: usize,
    /// Rows that were deleted, or were in these partitions.
    pub rows_removed: i64,
    /// Tables of which something was removed.
    pub tables: Vec<CleanedTable>,
}

/// What was removed from a table.
#[derive(Debug, Serialize)]
pub struct CleanedTable {
    /// Its name.
    pub table: &'static str,
    /// Days that were to be kept.
    pub kept_days: u32,
    /// What went.
    #[serde(flatten)]
    pub expired: Expired,
}

impl Job for CleanupOldPerformanceData {
    const NAME: &'static str = "cleanup_old_performance_data";
    const RETRY: Retry = Retry::exponential(5, secs(10), mins(10));
    const TIMEOUT: Duration = mins(10);
    type Context = Services;
    type Outcome = Cleaned;

    async fn run(self, cx: &Run<Services>) -> Result<Cleaned, JobError> {
        self.check().map_err(JobError::discard)?;
        Ok(self.clean(&cx.store, &cx.settings_now().await?, cx.clock.now()).await?)
    }
}

impl CleanupOldPerformanceData {
    /// Says which argument makes no sense.
    pub fn check(&self) -> Result<(), String> {
        if let Some(days) = self.days {
            check_days(days).map_err(|reason| format!("argument /days: {reason}"))?;
        }
        check_days_of(&self.days_of).map_err(|reason| format!("argument /days_of: {reason}"))
    }

    /// Cleans up by the clock of Postgres; refuses when `now`, by ours, is another time. A table that cannot be cleaned keeps
    /// no other, and is the error in the end.
    pub async fn clean(
        &self,
        store: &Store,
        settings: &Settings,
        now: DateTime<Utc>,
    ) -> Result<Cleaned, StoreError> {
        self.clean_by(store, settings, store.agreed_time(now).await?).await
    }

    async fn clean_by(
        &self,
        store: &Store,
        settings: &Settings,
        now: DateTime<Utc>,
    ) -> Result<Cleaned, StoreError> {
        let today = now.date_naive();
        let partitions_made = if self.dry_run {
            0
        } else {
            store.ensure_partitions(today, today + Days::new(DAYS_AHEAD)).await?
        };
        let (mut tables, mut failure) = (Vec::new(), None);
        for table in KEPT_TABLES {
            let kept_days = self.days_to_keep(table, settings);
            let since = now - TimeDelta::days(kept_days.into());
            match store.expire(table, since, self.dry_run).await {
                Ok(expired) if expired == Expired::default() => {}
                Ok(expired) => tables.push(CleanedTable { table, kept_days, expired }),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        if !self.dry_run
            && let Err(error) = store.count_series(now - SERIES_SEEN).await
        {
            failure = failure.or(Some(error));
        }
        let cleaned = Cleaned {
            dry_run: self.dry_run,
            partitions_made,
            partitions_dropped: tables.iter().map(|table| table.expired.partitions.len()).sum(),
            rows_removed: tables.iter().map(|table| table.expired.rows).sum(),
            tables,
        };
        failure.map_or(Ok(cleaned), Err)
    }

    fn days_to_keep(&self, table: &str, settings: &Settings) -> u32 {
        let own = self.days_of.get(table).or_else(|| settings.retention_days_of.get(table));
        own.copied().or(self.days).unwrap_or(settings.retention_days)
    }
}

#[cfg(test)]
mod tests {
    use dogwatch_queue::Clock;

    use super::*;
    use crate::tests_support::Bench;

    #[tokio::test]
    async fn old_days_go_recent_ones_stay_and_a_second_run_finds_nothing() {
        let bench = Bench::new("").await;
        let today = bench.cx.clock.now().date_naive();
        bench.cx.store.ensure_partitions(today - Days::new(5), today).await.unwrap();
        let clean = async |days, dry_run| {
            let job = CleanupOldPerformanceData { days: Some(days), dry_run, ..Default::default() };
            job.clean_by(&bench.cx.store, &bench.cx.settings, bench.cx.clock.now()).await.unwrap()
        };
        let would = clean(4, true).await;
        let first = clean(4, false).await;
        // One day of each table, and three of the one with a time of its own.
        assert_eq!((would.partitions_dropped, first.partitions_dropped), (13, 13), "{first:?}");
        assert_eq!((would.partitions_made, first.partitions_made), (0, 33));
        let spans = first.tables.iter().find(|table| table.table == "database_spans").unwrap();
        assert_eq!((spans.kept_days, spans.expired.partitions.len()), (2, 3));
        let second = clean(4, false).await;
        assert_eq!((second.partitions_dropped, second.rows_removed, second.tables.len()), (0, 0, 0));
    }

    #[tokio::test]
    async fn a_clock_that_is_ahead_removes_nothing() {
        let bench = Bench::new("").await;
        let job = CleanupOldPerformanceData::default;
        // The clock of the bench stands in the past.
        let error = job().run(&bench.cx).await.unwrap_err().to_string();
        assert!(error.contains("behind that of Postgres, so nothing is removed"), "{error}");

        let now = bench.cx.store.agreed_time(Clock::system().now()).await.unwrap();
        bench.cx.store.ensure_partitions(now.date_naive() - Days::new(3), now.date_naive()).await.unwrap();
        let ahead = now + TimeDelta::days(400);
        let error = job().clean(&bench.cx.store, &bench.cx.settings, ahead).await.unwrap_err();
        assert!(error.to_string().contains("ahead of that of Postgres, so nothing is removed"), "{error}");
        // Even without that check, yesterday and today stay, and so does what comes.
        let cleaned = job().clean_by(&bench.cx.store, &bench.cx.settings, ahead).await.unwrap();
        assert!(cleaned.partitions_dropped > 0, "{cleaned:?}");
        let days = "SELECT count(*) FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
                    WHERE inhparent = 'performance_metrics'::regclass
                      AND to_date(right(relname, 8), 'YYYYMMDD') BETWEEN current_date - 1 AND current_date";
        assert_eq!(bench.database.number(days).await, 2);
        assert_eq!(bench.database.number("SELECT count(*) FROM kept_since WHERE since > now()").await, 0);
    }

    #[tokio::test]
    async fn what_makes_no_sense_is_refused_for_good() {
        let bench = Bench::new("").await;
        let of = |table: &str, days| CleanupOldPerformanceData {
            days_of: [(table.to_owned(), days)].into(),
            ..Default::default()
        };
        let zero = CleanupOldPerformanceData { days: Some(0), ..Default::default() };
        for (wrong, told) in [
            (zero, "argument /days: `0` is not between 1 and 3650"),
            (of("slow_queries", 0), "argument /days_of: slow_queries: `0` is not between 1 and 3650"),
            (of("users", 1), "argument /days_of: `users` is no table; write one of performance_metrics"),
        ] {
            let error = wrong.run(&bench.cx).await.unwrap_err();
            assert!(format!("{error:?}").contains(told), "{error:?}");
        }
    }

    #[test]
    fn arguments_of_yesterday_are_understood() {
        for args in [
            "{}",
            r#"{"days": 30}"#,
            r#"{"days": null}"#,
            r#"{"days_of": {"slow_queries": 7}, "dry_run": true}"#,
        ] {
            assert!(serde_json::from_str::<CleanupOldPerformanceData>(args).is_ok(), "{args}");
        }
    }
}
