//! Drops the day partitions of raw data that are older than the retention time, and what else has ended long ago.
//!
//! Also makes the partitions of the coming days, so that the first request after midnight does not wait for one.
//! Safe to run twice or at the same time: a partition that is gone stays gone.

use std::time::Duration;

use chrono::{DateTime, Days, TimeDelta, Utc};
use dogwatch_queue::{Job, JobError, Retry, Run, mins, secs};
use dogwatch_store::{Store, StoreError};
use serde::{Deserialize, Serialize};

use crate::services::Services;

/// Days for which partitions are made ahead.
const DAYS_AHEAD: u64 = 3;

/// Arguments. Absent: the setting `jobs.retention_days`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CleanupOldPerformanceData {
    /// Days of raw data to keep.
    pub days: Option<u32>,
}

/// What was removed.
#[derive(Debug, Serialize)]
pub struct Cleaned {
    partitions_dropped: usize,
    rows_deleted: u64,
}

impl Job for CleanupOldPerformanceData {
    const NAME: &'static str = "cleanup_old_performance_data";
    const RETRY: Retry = Retry::exponential(5, secs(10), mins(10));
    const TIMEOUT: Duration = mins(10);
    type Context = Services;
    type Outcome = Cleaned;

    async fn run(self, cx: &Run<Services>) -> Result<Cleaned, JobError> {
        let days = self.days.unwrap_or(cx.settings.retention_days);
        if days == 0 {
            return Err(JobError::discard("argument /days: `0` would remove today's data; write 1 or more"));
        }
        let keep = TimeDelta::days(days.into());
        Ok(clean(&cx.store, cx.clock.now(), keep).await?)
    }
}

async fn clean(store: &Store, now: DateTime<Utc>, keep: TimeDelta) -> Result<Cleaned, StoreError> {
    let today = now.date_naive();
    store.ensure_partitions(today, today + Days::new(DAYS_AHEAD)).await?;
    let horizon = now - keep;
    let dropped = store.drop_partitions_before(horizon.date_naive()).await?;
    for partition in &dropped {
        tracing::debug!(partition, "dropped");
    }
    let rows_deleted = store.delete_expired(horizon).await?.total();
    Ok(Cleaned { partitions_dropped: dropped.len(), rows_deleted })
}

#[cfg(test)]
mod tests {
    use super::*;
    use dogwatch_testing::TestDatabase;

    async fn store() -> (TestDatabase, Store) {
        let database = TestDatabase::new().await;
        let store = Store::connect(&database.url(), &dogwatch_store::Settings::for_tests()).unwrap();
        (database, store)
    }

    #[tokio::test]
    async fn old_days_go_recent_ones_stay_and_a_second_run_finds_nothing() {
        let (_database, store) = store().await;
        let now: DateTime<Utc> = "2026-05-20T12:00:00Z".parse().unwrap();
        let today = now.date_naive();
        store.ensure_partitions(today - Days::new(5), today).await.unwrap();
        let first = clean(&store, now, TimeDelta::days(2)).await.unwrap();
        assert!(first.partitions_dropped >= 3, "{first:?}");
        let second = clean(&store, now, TimeDelta::days(2)).await.unwrap();
        assert_eq!((second.partitions_dropped, second.rows_deleted), (0, 0));
    }

    #[test]
    fn arguments_of_yesterday_are_understood() {
        for args in ["{}", r#"{"days": 30}"#, r#"{"days": null}"#] {
            assert!(serde_json::from_str::<CleanupOldPerformanceData>(args).is_ok(), "{args}");
        }
    }
}
