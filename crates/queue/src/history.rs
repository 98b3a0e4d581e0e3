//! What ended lately, by job: how many, how long they took, what failed. Kept per minute for a day, in the same step as
//! the outcomes themselves, so it counts what was accepted and nothing else, and its size does not depend on how much
//! runs.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::client::Client;
use crate::error::QueueError;

/// How far back it goes.
pub const HISTORY: Duration = Duration::from_hours(24);
/// Minutes read in one round trip.
const GROUP: usize = 120;
/// Buckets of run times per doubling. A quantile is right within 9 %, half a bucket's width.
const PER_DOUBLING: f64 = 4.0;

/// What became of the runs of one job in a time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobHistory {
    /// The queue.
    pub queue: String,
    /// The job; `?` for what could not be read.
    pub job: String,
    /// Jobs that succeeded.
    pub succeeded: u64,
    /// Attempts that failed and were put back for another.
    pub retried: u64,
    /// Jobs that died.
    pub dead: u64,
    /// Jobs that were cancelled while they ran.
    pub cancelled: u64,
    /// Mean time of a run in ms.
    pub mean_ms: f64,
    /// Half of all runs took no longer, in ms.
    pub p50_ms: f64,
    /// 95 % of all runs took no longer, in ms.
    pub p95_ms: f64,
    /// 99 % of all runs took no longer, in ms.
    pub p99_ms: f64,
}

/// The number of the bucket of a run time.
pub(crate) fn bucket(run: Duration) -> u32 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to some 250")]
    let number = ((run.as_micros() as f64 + 1.0).log2() * PER_DOUBLING) as u32;
    number
}

/// The middle of a bucket in ms.
fn middle(bucket: u32) -> f64 {
    (((f64::from(bucket) + 0.5) / PER_DOUBLING).exp2() - 1.0).max(0.0) / 1000.0
}

/// Sums up the last `minutes` minutes of a queue.
pub(crate) async fn read(
    client: &Client,
    queue: &str,
    minutes: usize,
) -> Result<Vec<JobHistory>, QueueError> {
    let keys = client.queue(queue);
    let last = client.time_ms().await? / 60_000;
    let minutes: Vec<i64> = (0..i64::try_from(minutes).unwrap_or(i64::MAX)).map(|back| last - back).collect();
    let mut sums: HashMap<String, u64> = HashMap::new();
    for group in minutes.chunks(GROUP) {
        let mut pipe = redis::pipe();
        for minute in group {
            pipe.hgetall(keys.stats(*minute));
        }
        let answers: Vec<HashMap<String, u64>> = pipe
            .query_async(&mut client.connection())
            .await
            .map_err(QueueError::redis("read the history"))?;
        for (field, n) in answers.into_iter().flatten() {
            *sums.entry(field).or_default() += n;
        }
    }
    Ok(sum_up(queue, sums))
}

fn sum_up(queue: &str, sums: HashMap<String, u64>) -> Vec<JobHistory> {
    let mut jobs: BTreeMap<String, (JobHistory, u64, BTreeMap<u32, u64>)> = BTreeMap::new();
    for (field, n) in sums {
        let Some((job, what)) = field.rsplit_once(':') else { continue };
        let (history, total_ms, buckets) = jobs.entry(job.to_owned()).or_default();
        match what {
            "succeeded" => history.succeeded = n,
            "retry" => history.retried = n,
            "dead" => history.dead = n,
            "cancelled" => history.cancelled = n,
            "ms" => *total_ms = n,
            _ => {
                if let Some(number) = what.strip_prefix('b').and_then(|number| number.parse().ok()) {
                    buckets.insert(number, n);
                }
            }
        }
    }
    let finish = |(job, (history, total_ms, buckets)): (String, (JobHistory, u64, BTreeMap<u32, u64>))| {
        let runs: u64 = buckets.values().sum();
        JobHistory {
            queue: queue.to_owned(),
            job,
            mean_ms: if runs == 0 { 0.0 } else { total_ms as f64 / runs as f64 },
            p50_ms: quantile(&buckets, runs, 0.5),
            p95_ms: quantile(&buckets, runs, 0.95),
            p99_ms: quantile(&buckets, runs, 0.99),
            ..history
        }
    };
    jobs.into_iter().map(finish).collect()
}

fn quantile(buckets: &BTreeMap<u32, u64>, runs: u64, share: f64) -> f64 {
    let mut left = runs as f64 * share;
    for (number, n) in buckets {
        left -= *n as f64;
        if left <= 0.0 {
            return middle(*number);
        }
    }
    0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_within_nine_percent() {
        let mut sums = HashMap::new();
        for ms in 1..=1000u64 {
            *sums.entry(format!("job:b{}", bucket(Duration::from_millis(ms)))).or_default() += 1;
            *sums.entry("job:ms".to_owned()).or_default() += ms;
            *sums.entry("job:succeeded".to_owned()).or_default() += 1;
        }
        let history = sum_up("default", sums).remove(0);
        assert_eq!((history.succeeded, history.mean_ms), (1000, 500.5));
        for (found, right) in [(history.p50_ms, 500.0), (history.p95_ms, 950.0), (history.p99_ms, 990.0)] {
            assert!((found / right - 1.0).abs() < 0.1, "{found} is not {right}");
        }
    }
}
