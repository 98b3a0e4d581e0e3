//! A job as people see it: the same JSON in the API and the CLI.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Waits for its time.
    Scheduled,
    /// Waits for a worker.
    Ready,
    /// A worker has it under a lease.
    Running,
    /// Has failed and waits for its next attempt.
    Retrying,
    /// Ended well.
    Succeeded,
    /// Ended for good without success.
    Dead,
    /// Was called off.
    Cancelled,
    /// Was not run in its time.
    Expired,
}

impl JobState {
    /// All of them, in the order of a job's life.
    pub const ALL: [Self; 8] = [
        Self::Scheduled,
        Self::Ready,
        Self::Running,
        Self::Retrying,
        Self::Succeeded,
        Self::Dead,
        Self::Cancelled,
        Self::Expired,
    ];

    /// The word in Redis, in JSON and on screen.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Ready => "ready",
            Self::Running => "running",
            Self::Retrying => "retrying",
            Self::Succeeded => "succeeded",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }

    /// True when nothing more will happen to the job by itself.
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Succeeded | Self::Dead | Self::Cancelled | Self::Expired)
    }
}

impl std::fmt::Display for JobState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for JobState {
    type Err = String;
    fn from_str(word: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|state| state.as_str() == word).ok_or_else(|| {
            let all: Vec<_> = Self::ALL.iter().map(|state| state.as_str()).collect();
            format!("`{word}` is no state of a job; there are: {}", all.join(", "))
        })
    }
}

/// A job and what became of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JobRecord {
    /// Its identity.
    pub id: String,
    /// Name of the job; empty when its payload cannot be read.
    pub job: String,
    /// Its arguments, or the raw payload when that cannot be read.
    pub args: Value,
    /// The queue it is in.
    pub queue: String,
    /// Where it stands.
    pub state: JobState,
    /// Attempts begun.
    pub attempt: u32,
    /// Attempts allowed, where the one who enqueued it said so; else the job's own policy holds.
    pub max_attempts: Option<u32>,
    /// When it was accepted.
    pub enqueued_at: Option<DateTime<Utc>>,
    /// When it was or is due.
    pub run_at: Option<DateTime<Utc>>,
    /// When the last attempt began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// Who runs it, or ran it last.
    pub worker: Option<String>,
    /// How far it is.
    pub progress: Option<Value>,
    /// What it returned.
    pub result: Option<Value>,
    /// Why the last attempt failed.
    pub error: Option<String>,
    /// The failed attempts, the last ten.
    pub errors: Vec<FailedAttempt>,
    /// What makes it unique.
    pub unique_key: Option<String>,
    /// The schedule that enqueued it.
    pub schedule: Option<String>,
}

/// One failed attempt.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FailedAttempt {
    /// Its number.
    pub attempt: u32,
    /// When it failed.
    pub at: DateTime<Utc>,
    /// Why.
    pub error: String,
}

/// What stands in the data hash.
#[derive(Serialize, Deserialize)]
pub(crate) struct Payload {
    pub(crate) job: String,
    #[serde(default = "no_args")]
    pub(crate) args: Value,
}

fn no_args() -> Value {
    Value::Object(serde_json::Map::new())
}

impl Payload {
    /// Reads a payload; the error is for people.
    pub(crate) fn parse(data: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(data)
            .map_err(|error| format!("payload is not {{\"job\": NAME, \"args\": {{…}}}}: {error}"))
    }
}

impl JobRecord {
    /// From the fields in Redis. What is missing or malformed is absent, so that one bad job hides no other.
    pub(crate) fn from_redis(
        id: &str,
        queue: &str,
        data: Option<&[u8]>,
        meta: &HashMap<String, String>,
    ) -> Self {
        let raw = data.unwrap_or_default();
        let Payload { job, args } = Payload::parse(raw).unwrap_or_else(|_| Payload {
            job: String::new(),
            args: Value::String(String::from_utf8_lossy(raw).into_owned()),
        });
        let text = |field: &str| meta.get(field).filter(|value| !value.is_empty());
        let number = |field: &str| text(field).and_then(|value| value.parse().ok());
        let time = |field: &str| {
            text(field).and_then(|ms| ms.parse().ok()).and_then(DateTime::from_timestamp_millis)
        };
        let json = |field: &str| text(field).and_then(|value| serde_json::from_str(value).ok());
        let errors: Vec<RawFailure> =
            text("errors").and_then(|e| serde_json::from_str(e).ok()).unwrap_or_default();
        Self {
            id: id.to_owned(),
            job,
            args,
            queue: queue.to_owned(),
            // A job of a foreign producer has no word of ours yet: it waits.
            state: text("state").and_then(|word| word.parse().ok()).unwrap_or(JobState::Ready),
            attempt: number("attempts").unwrap_or_default(),
            max_attempts: number("max_attempts"),
            enqueued_at: time("enqueued_at"),
            run_at: time("run_at"),
            started_at: time("started_at"),
            finished_at: time("finished_at"),
            worker: text("worker").cloned(),
            progress: json("progress"),
            result: json("result"),
            error: text("error").cloned(),
            errors: errors.into_iter().filter_map(RawFailure::read).collect(),
            unique_key: text("unique_key").cloned(),
            schedule: text("schedule").cloned(),
        }
    }
}

#[derive(Deserialize)]
struct RawFailure {
    attempt: u32,
    at: f64,
    error: String,
}

impl RawFailure {
    fn read(self) -> Option<FailedAttempt> {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "milliseconds since 1970 that Lua wrote as a float"
        )]
        let at = DateTime::from_timestamp_millis(self.at as i64)?;
        Some(FailedAttempt { attempt: self.attempt, at, error: self.error })
    }
}
