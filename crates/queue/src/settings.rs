//! The `[queue]` section of dogwatch.toml.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dogwatch_runtime::duration;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

/// Places of one limit: a script may have to check them all.
const MOST_PLACES: u32 = 10_000;
/// How long every ended job is kept, whatever the settings say, so that a client that waits for it learns its outcome.
pub(crate) const RECENT: Duration = Duration::from_secs(10);
/// How many ended jobs of a queue are kept so long at most.
const RECENT_COUNT: u32 = 1000;

/// How the queue behaves. The defaults and the reason for each stand in dogwatch.toml.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Address of Redis. Absent: `dogwatch up` starts one of its own.
    pub url: Option<SecretString>,
    /// First part of every key, so that several installations can share a Redis.
    pub namespace: String,
    /// Queues that a worker serves, each with a weight where it matters: `critical:6`, `default:3`, `low`.
    pub queues: Vec<String>,
    /// Jobs that a worker runs at the same time.
    pub concurrency: usize,
    /// How long a job stays a worker's without a sign of life.
    #[serde(with = "duration::required")]
    pub lease: Duration,
    /// How long an idle worker waits at most before it looks again, whatever it was told.
    #[serde(with = "duration::required")]
    pub poll: Duration,
    /// How long a worker that is told to stop lets its jobs go on before it gives them back.
    #[serde(with = "duration::required")]
    pub drain: Duration,
    /// How long a succeeded job and its result are kept.
    #[serde(with = "duration::required")]
    pub keep_succeeded: Duration,
    /// How many succeeded jobs are kept at most, per queue.
    pub keep_succeeded_count: u32,
    /// How long a dead job is kept.
    #[serde(with = "duration::required")]
    pub keep_dead: Duration,
    /// How many dead jobs are kept at most, per queue.
    pub keep_dead_count: u32,
    /// How long a job whose name no worker knows is put back, for a worker that does; then it is dead.
    #[serde(with = "duration::required")]
    pub unknown_for: Duration,
    /// By name of job: how much of it may run at once or in a time, over all workers together.
    #[serde(default)]
    pub limits: BTreeMap<String, Limit>,
    /// How often a worker looks for jobs that are in no collection; one is put back when it is found twice. Shorter in
    /// tests.
    #[serde(skip, default = "reconcile_every")]
    #[doc(hidden)]
    pub reconcile_every: Duration,
    /// The section `[celery]`.
    #[serde(skip)]
    pub celery: crate::celery::Settings,
}

fn reconcile_every() -> Duration {
    Duration::from_mins(1)
}

/// A queue that a worker serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WeightedQueue {
    pub(crate) name: Arc<str>,
    pub(crate) weight: u32,
}

/// How much of one job may run, over all workers that serve its queue.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// So many at the same time.
    pub concurrency: Option<u32>,
    /// So many begun in a time: `100/1m`.
    pub rate: Option<Rate>,
    /// JSON pointer to an argument: the limit holds for each of its values by itself.
    pub per: Option<String>,
}

/// At most `permits` in any `period`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Rate {
    /// How many.
    pub permits: u32,
    /// In which time.
    pub period: Duration,
}

impl TryFrom<String> for Rate {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no rate; write a number and a time, such as 100/1m");
        let (permits, period) = text.split_once('/').ok_or_else(wrong)?;
        let permits = permits.trim().parse().ok().filter(|n| (1..=10_000).contains(n)).ok_or_else(wrong)?;
        // Redis counts milliseconds.
        let least = Duration::from_millis(1);
        let period = duration::parse(period).ok().filter(|period| *period >= least).ok_or_else(wrong)?;
        Ok(Self { permits, period })
    }
}

impl Limit {
    /// The name under which runs are counted: of the job, or of the job and the argument's value.
    pub(crate) fn name(&self, job: &str, args: &Value) -> String {
        let Some(value) = self.per.as_ref().and_then(|pointer| args.pointer(pointer)) else {
            return job.to_owned();
        };
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        // Names are parts of keys; a long value is as good as its hash.
        if value.len() > 100 {
            return format!("{job}:#{}", Uuid::new_v5(&Uuid::NAMESPACE_OID, value.as_bytes()).simple());
        }
        format!("{job}:{value}")
    }

    /// Places, permits and period in ms, as the scripts read them; 0 limits nothing.
    pub(crate) fn numbers(&self) -> (u32, u32, u64) {
        let (permits, period) = self.rate.map_or((0, Duration::ZERO), |rate| (rate.permits, rate.period));
        (self.concurrency.unwrap_or(0), permits, u64::try_from(period.as_millis()).unwrap_or(u64::MAX))
    }

    /// The same as `admit.lua` stores it in `limits`.
    pub(crate) fn stored(&self) -> String {
        let (places, permits, period_ms) = self.numbers();
        format!("{places}\t{permits}\t{period_ms}")
    }

    /// The same where nothing is limited.
    pub(crate) fn stored_none() -> String {
        "0\t0\t0".to_owned()
    }
}

impl Settings {
    /// For tests: short times, few jobs.
    #[doc(hidden)]
    pub fn for_tests(namespace: &str) -> Self {
        let mins = Duration::from_mins;
        Self {
            url: None,
            namespace: namespace.to_owned(),
            queues: vec!["default".to_owned()],
            concurrency: 4,
            lease: Duration::from_secs(2),
            poll: Duration::from_millis(100),
            drain: Duration::from_secs(5),
            keep_succeeded: mins(10),
            keep_succeeded_count: 1000,
            keep_dead: mins(10),
            keep_dead_count: 1000,
            unknown_for: mins(60),
            limits: BTreeMap::new(),
            reconcile_every: reconcile_every(),
            celery: crate::celery::Settings::default(),
        }
    }

    /// Checks what the types cannot. The error names the key in this section, its value and what would be right.
    pub fn validate(&self) -> Result<(), (&'static str, String)> {
        if self.concurrency == 0 || self.concurrency > 4096 {
            return Err(("concurrency", format!("`{}` is not between 1 and 4096", self.concurrency)));
        }
        if self.lease > Duration::from_hours(24) {
            let reason = "is longer than 24h, and after a crash a job would wait for so long";
            return Err(("lease", format!("`{:?}` {reason}", self.lease)));
        }
        if self.lease < Duration::from_secs(2) {
            return Err((
                "lease",
                format!(
                    "`{}` is shorter than 2s, the least that survives a pause",
                    duration::format(self.lease)
                ),
            ));
        }
        if self.poll < Duration::from_millis(10) || self.poll > Duration::from_secs(10) {
            return Err(("poll", format!("`{}` is not between 10ms and 10s", duration::format(self.poll))));
        }
        if self.queues.is_empty() {
            return Err((
                "queues",
                "`[]` serves nothing; name at least one queue, such as \"default\"".to_owned(),
            ));
        }
        for queue in &self.queues {
            let (name, weight) = split_weight(queue);
            crate::keys::check_name(name)
                .map_err(|reason| ("queues", format!("queue `{queue}`: {reason}")))?;
            if weight.is_none_or(|weight| !(1..=1000).contains(&weight)) {
                let reason = "the weight after `:` is a number from 1 to 1000, such as critical:6";
                return Err(("queues", format!("queue `{queue}`: {reason}")));
            }
        }
        if let Some(job) =
            self.limits.iter().find(|(_, limit)| limit.concurrency == Some(0)).map(|(job, _)| job)
        {
            let reason = "a concurrency of 0 would let it wait for ever; pause its queue, or leave it out";
            return Err(("limits", format!("`{job}`: {reason}")));
        }
        let too_many = |limit: &Limit| limit.concurrency.is_some_and(|most| most > MOST_PLACES);
        if let Some((job, _)) = self.limits.iter().find(|(_, limit)| too_many(limit)) {
            return Err((
                "limits",
                format!("`{job}`: a concurrency above {MOST_PLACES} limits nothing; leave it out"),
            ));
        }
        crate::keys::check_name(&self.namespace)
            .map_err(|reason| ("namespace", format!("`{}`: {reason}", self.namespace)))
    }

    /// Above how many ended jobs the step that adds one removes the oldest at once; the sweep removes the others.
    pub(crate) fn most_succeeded(&self) -> u32 {
        self.keep_succeeded_count.max(RECENT_COUNT)
    }

    /// The same of dead jobs.
    pub(crate) fn most_dead(&self) -> u32 {
        self.keep_dead_count.max(RECENT_COUNT)
    }

    /// Names of the queues that a worker serves, with their weights; 1 where none is given.
    pub(crate) fn weighted_queues(&self) -> Vec<WeightedQueue> {
        let read = |queue: &String| {
            let (name, weight) = split_weight(queue);
            WeightedQueue { name: name.into(), weight: weight.unwrap_or(1) }
        };
        self.queues.iter().map(read).collect()
    }
}

/// The name, and the weight: 1 when there is none, `None` when it is not a number.
fn split_weight(queue: &str) -> (&str, Option<u32>) {
    queue.split_once(':').map_or((queue, Some(1)), |(name, weight)| (name, weight.parse().ok()))
}
