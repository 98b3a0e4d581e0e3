//! The `[queue]` section of dogwatch.toml.

use std::time::Duration;

use jiff::fmt::serde::unsigned_duration::friendly::compact::required as duration;
use secrecy::SecretString;
use serde::Deserialize;

/// How the queue behaves. The defaults and the reason for each stand in dogwatch.toml.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Address of Redis. Absent: `dogwatch up` starts one of its own.
    pub url: Option<SecretString>,
    /// First part of every key, so that several installations can share a Redis.
    pub namespace: String,
    /// Queues that a worker serves.
    pub queues: Vec<String>,
    /// Jobs that a worker runs at the same time.
    pub concurrency: usize,
    /// How long a job stays a worker's without a sign of life.
    #[serde(with = "duration")]
    pub lease: Duration,
    /// How long an idle worker waits at most before it looks again, whatever it was told.
    #[serde(with = "duration")]
    pub poll: Duration,
    /// How long a worker that is told to stop lets its jobs go on before it gives them back.
    #[serde(with = "duration")]
    pub drain: Duration,
    /// How long a succeeded job and its result are kept.
    #[serde(with = "duration")]
    pub keep_succeeded: Duration,
    /// How many succeeded jobs are kept at most, per queue.
    pub keep_succeeded_count: u32,
    /// How long a dead job is kept.
    #[serde(with = "duration")]
    pub keep_dead: Duration,
    /// How many dead jobs are kept at most, per queue.
    pub keep_dead_count: u32,
}

impl Settings {
    /// Checks what the types cannot. The error names the key in this section, its value and what would be right.
    pub fn validate(&self) -> Result<(), (&'static str, String)> {
        if self.concurrency == 0 || self.concurrency > 4096 {
            return Err(("concurrency", format!("`{}` is not between 1 and 4096", self.concurrency)));
        }
        if self.lease < Duration::from_secs(2) {
            return Err((
                "lease",
                format!("`{:?}` is shorter than 2s, the least that survives a pause", self.lease),
            ));
        }
        if self.poll < Duration::from_millis(10) || self.poll > Duration::from_secs(10) {
            return Err(("poll", format!("`{:?}` is not between 10ms and 10s", self.poll)));
        }
        if self.queues.is_empty() {
            return Err((
                "queues",
                "`[]` serves nothing; name at least one queue, such as \"default\"".to_owned(),
            ));
        }
        for queue in &self.queues {
            crate::keys::check_name(queue)
                .map_err(|reason| ("queues", format!("queue `{queue}`: {reason}")))?;
        }
        crate::keys::check_name(&self.namespace)
            .map_err(|reason| ("namespace", format!("`{}`: {reason}", self.namespace)))
    }
}
