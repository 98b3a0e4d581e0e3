//! Joins the parts of traces, and brings the rollups up to date, of which every window is read.
//!
//! Whoever stores requests does this by himself, moments later. This job is for what he has left: he was killed, or
//! Postgres was away. Safe to run twice or at the same time: each bucket is made as a whole, under a lock.

use std::time::Duration;

use dogwatch_queue::{Job, JobError, Retry, Run, mins, secs};
use serde::{Deserialize, Serialize};

use crate::services::Services;

/// No arguments.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RollUpPerformanceMetrics {}

/// What was done.
#[derive(Debug, Serialize)]
pub struct RolledUp {
    traces: u64,
    buckets: u64,
}

impl Job for RollUpPerformanceMetrics {
    const NAME: &'static str = "roll_up_performance_metrics";
    const RETRY: Retry = Retry::exponential(5, secs(5), mins(5));
    const TIMEOUT: Duration = mins(10);
    type Context = Services;
    type Outcome = RolledUp;

    async fn run(self, cx: &Run<Services>) -> Result<RolledUp, JobError> {
        let traces = cx.store.link_traces().await?.traces;
        Ok(RolledUp { traces, buckets: cx.store.roll_up().await? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests_support::Bench;

    #[tokio::test]
    async fn what_is_rolled_up_is_not_rolled_up_again() {
        let bench = Bench::new("").await;
        bench.requests(bench.cx.clock.now(), 3, 200, 10.0).await;
        assert_eq!(RollUpPerformanceMetrics {}.run(&bench.cx).await.unwrap().buckets, 0);
    }

    #[test]
    fn arguments_of_yesterday_are_understood() {
        assert!(serde_json::from_str::<RollUpPerformanceMetrics>("{}").is_ok());
    }
}
