//! What happened since the beginning, for who takes figures every few seconds: counters that only grow. Written in the same
//! steps as what they count.

use std::collections::{BTreeMap, HashMap};

use crate::client::Client;
use crate::error::QueueError;

/// What became of the runs of one job in one queue, ever.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JobTotals {
    /// The queue.
    pub queue: String,
    /// The job; `?` for what could not be read.
    pub job: String,
    /// How often each outcome: `succeeded`, `retry`, `dead` and others.
    pub outcomes: BTreeMap<String, u64>,
    /// Time of all runs together in ms.
    pub run_ms: u64,
    /// How many runs were at most so long: bounds in microseconds, ascending, the counts cumulative.
    pub run_times: Vec<(u64, u64)>,
    /// All runs.
    pub runs: u64,
}

/// What the schedulers have done in one queue, ever.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TickTotals {
    /// The queue.
    pub queue: String,
    /// Ticks that were enqueued when they were due.
    pub enqueued: u64,
    /// How late, together, in ms.
    pub late_ms: u64,
    /// Ticks that were passed over, since their previous run had not ended.
    pub skipped: u64,
}

/// What happened to the messages of Celery's clients that were moved into one queue, ever.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CeleryTotals {
    /// The queue.
    pub queue: String,
    /// How many messages, by what happened to them: `taken`, `refused`, `duplicate` (a job of the same id waits or
    /// runs), `revoked` (before they arrived), `left` (in their list, counted by each worker that reads it).
    pub messages: BTreeMap<String, u64>,
    /// Results for another Redis: `relayed` there, `dropped` because too many waited.
    pub results: BTreeMap<String, u64>,
}

/// Buckets of run times between two bounds: two doublings.
const BUCKETS_PER_BOUND: u32 = 8;
/// The first bound is 2^8 microseconds, the last some four hours.
const BOUNDS: std::ops::RangeInclusive<u32> = 4..=17;

impl JobTotals {
    fn of(queue: &str, job: &str, figures: &HashMap<&str, u64>) -> Self {
        let mut totals = Self { queue: queue.to_owned(), job: job.to_owned(), ..Self::default() };
        let mut buckets: BTreeMap<u32, u64> = BTreeMap::new();
        for (what, n) in figures {
            match what.strip_prefix('b').and_then(|number| number.parse().ok()) {
                Some(number) => {
                    buckets.insert(number, *n);
                }
                None if *what == "ms" => totals.run_ms = *n,
                None => {
                    totals.outcomes.insert((*what).to_owned(), *n);
                }
            }
        }
        totals.runs = buckets.values().sum();
        // Bucket n has what is shorter than 2^((n + 1) / 4) microseconds: see `history`.
        let bound = |number: u32| {
            (1 << (number * 2), buckets.range(..number * BUCKETS_PER_BOUND).map(|(_, n)| n).sum())
        };
        totals.run_times = BOUNDS.map(bound).collect();
        totals
    }
}

/// The totals of each job of a queue.
pub(crate) async fn of_jobs(client: &Client, queue: &str) -> Result<Vec<JobTotals>, QueueError> {
    let totals: HashMap<String, u64> = redis::cmd("HGETALL")
        .arg(client.queue(queue).family("totals"))
        .query_async(&mut client.connection())
        .await
        .map_err(QueueError::redis("read the totals of jobs"))?;
    let mut by_job: BTreeMap<&str, HashMap<&str, u64>> = BTreeMap::new();
    for (field, n) in &totals {
        if let Some((job, what)) = field.rsplit_once(':') {
            by_job.entry(job).or_default().insert(what, *n);
        }
    }
    Ok(by_job.iter().map(|(job, figures)| JobTotals::of(queue, job, figures)).collect())
}

/// What happened to the messages of Celery's clients; nothing where there were none.
pub(crate) async fn of_celery(client: &Client, queue: &str) -> Result<Option<CeleryTotals>, QueueError> {
    let counts: BTreeMap<String, u64> = redis::cmd("HGETALL")
        .arg(client.queue(queue).family("celery"))
        .query_async(&mut client.connection())
        .await
        .map_err(QueueError::redis("read the totals of Celery's messages"))?;
    if counts.is_empty() {
        return Ok(None);
    }
    let of = |names: &[&str]| {
        let count = |name: &&str| ((*name).to_owned(), counts.get(*name).copied().unwrap_or_default());
        names.iter().map(count).collect()
    };
    Ok(Some(CeleryTotals {
        queue: queue.to_owned(),
        messages: of(&["taken", "refused", "left", "duplicate", "revoked"]),
        results: of(&["relayed", "dropped"]),
    }))
}

/// What the schedulers have done in a queue.
pub(crate) async fn of_ticks(client: &Client, queue: &str) -> Result<TickTotals, QueueError> {
    let (enqueued, late_ms, skipped): (Option<u64>, Option<u64>, Option<u64>) = redis::cmd("HMGET")
        .arg(client.queue(queue).family("slots"))
        .arg(&[":enqueued", ":late_ms", ":skipped"])
        .query_async(&mut client.connection())
        .await
        .map_err(QueueError::redis("read the totals of schedulers"))?;
    Ok(TickTotals {
        queue: queue.to_owned(),
        enqueued: enqueued.unwrap_or_default(),
        late_ms: late_ms.unwrap_or_default(),
        skipped: skipped.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::history::bucket;

    #[test]
    fn run_times_are_counted_up_to_each_bound() {
        let names: Vec<String> =
            [1, 2, 5, 100, 100_000].map(|ms| format!("b{}", bucket(Duration::from_millis(ms)))).to_vec();
        let mut figures = HashMap::from([("ms", 100_108), ("succeeded", 4), ("dead", 1)]);
        figures.extend(names.iter().map(|name| (name.as_str(), 1)));
        let totals = JobTotals::of("default", "note", &figures);
        assert_eq!((totals.runs, totals.run_ms, totals.outcomes["succeeded"]), (5, 100_108, 4));
        let at_most = |us: u64| totals.run_times.iter().find(|(bound, _)| *bound == us).unwrap().1;
        assert_eq!(
            (at_most(256), at_most(1 << 12), at_most(1 << 14), at_most(1 << 18), at_most(1 << 34)),
            (0, 2, 3, 4, 5)
        );
    }
}
