//! A job as people see it: the same JSON in the API and the CLI.

use chrono::{DateTime, Utc};
use dogwatch_runtime::duration;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::job::Pause;
use crate::new_job::{MAX_ATTEMPTS, NORMAL_PRIORITY};
use crate::trace::TraceContext;

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
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
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
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
    /// Why there is no result, although the job has succeeded.
    #[serde(default)]
    pub result_error: Option<ResultError>,
    /// Why the last attempt failed.
    pub error: Option<String>,
    /// The failed attempts, the last ten.
    pub errors: Vec<FailedAttempt>,
    /// 0 (first) to 9 (last) within its queue.
    #[serde(default = "normal_priority")]
    pub priority: u8,
    /// It is not run any more from this time on.
    #[serde(default)]
    pub expires_at: Option<DateTime<Utc>>,
    /// An attempt is stopped after so long, where the one who enqueued it said so; in ms.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
    /// It is not tried again when it is older, where the one who enqueued it said so; in ms.
    #[serde(default)]
    pub max_age_ms: Option<u64>,
    /// The pause after a failure, where the one who enqueued it said so.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub backoff: Option<Pause>,
    /// What makes it unique.
    pub unique_key: Option<String>,
    /// The schedule that enqueued it.
    pub schedule: Option<String>,
    /// The trace it belongs to, as it stands in the log.
    #[serde(default)]
    pub trace_id: String,
}

/// Why a result is not kept. The job has succeeded, and is not run again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ResultError {
    /// It is larger than a result may be.
    #[error("the result has {bytes} bytes; at most {limit} are kept")]
    TooLarge {
        /// Its size as JSON.
        bytes: usize,
        /// The largest that is kept.
        limit: usize,
    },
}

impl ResultError {
    /// As it stands in the job's record in place of the result: no JSON begins with `!`.
    pub(crate) fn stored(&self) -> String {
        format!("!{}", serde_json::to_string(self).unwrap_or_default())
    }
}

/// One failed attempt.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct FailedAttempt {
    /// Its number.
    pub attempt: u32,
    /// When it failed.
    pub at: DateTime<Utc>,
    /// Why.
    pub error: String,
}

/// What stands in the data hash: the whole job. Everything but its name may be left out.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Payload {
    pub(crate) job: String,
    #[serde(default = "no_args")]
    pub(crate) args: Value,
    #[serde(flatten)]
    pub(crate) options: Options,
}

/// What the one who enqueued a job said about it. Times in ms since 1970.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Options {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) enqueued_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expires_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_attempts: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) backoff: Option<Pause>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_age_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) timeout_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) priority: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) unique_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) unique_until: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) schedule: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) slot_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) traceparent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) celery: Option<crate::celery::Origin>,
}

impl Options {
    /// Checks the bounds that hold for every job: other producers write these documents.
    fn check(&self) -> Result<(), String> {
        let most_ms = u64::try_from(duration::LONGEST.as_millis()).unwrap_or(u64::MAX);
        for (field, value, most) in [
            ("timeout_ms", self.timeout_ms, most_ms),
            ("max_age_ms", self.max_age_ms, most_ms),
            ("max_attempts", self.max_attempts.map(u64::from), MAX_ATTEMPTS.into()),
        ] {
            if let Some(value) = value.filter(|value| !(1..=most).contains(value)) {
                return Err(format!("{field} `{value}` is not between 1 and {most}"));
            }
        }
        Ok(())
    }

    /// The trace of the job with this id.
    pub(crate) fn trace(&self, id: &str) -> TraceContext {
        let handed = self.traceparent.as_deref().and_then(|text| text.parse().ok());
        handed.unwrap_or_else(|| TraceContext::of_job(id))
    }
}

fn normal_priority() -> u8 {
    NORMAL_PRIORITY
}

fn no_args() -> Value {
    Value::Object(serde_json::Map::new())
}

impl Payload {
    /// Reads a payload; the error is for people.
    pub(crate) fn parse(data: &[u8]) -> Result<Self, String> {
        let payload: Self = serde_json::from_slice(data)
            .map_err(|error| format!("payload is not {{\"job\": NAME, \"args\": {{…}}}}: {error}"))?;
        payload.options.check()?;
        Ok(payload)
    }
}

/// What Redis has of a job.
#[derive(Debug, Default)]
pub(crate) struct Raw {
    pub(crate) data: Option<Vec<u8>>,
    pub(crate) run: Option<String>,
    pub(crate) errors: Option<String>,
    pub(crate) progress: Option<String>,
}

impl JobRecord {
    /// From what is in Redis. What is malformed is absent, so that one bad job hides no other. `None` when there is
    /// nothing.
    pub(crate) fn from_redis(id: &str, queue: &str, raw: &Raw) -> Option<Self> {
        if raw.data.is_none() && raw.run.is_none() {
            return None;
        }
        let data = raw.data.as_deref().unwrap_or_default();
        let Payload { job, args, options } = Payload::parse(data).unwrap_or_else(|_| Payload {
            args: Value::String(String::from_utf8_lossy(data).into_owned()),
            ..Payload::default()
        });
        let mut run = raw.run.as_deref().unwrap_or_default().splitn(8, '\t');
        let mut next = || run.next().filter(|text| !text.is_empty());
        let (state, attempt, _token, worker) = (next(), next(), next(), next());
        let time = |text: Option<&str>| text?.parse().ok().and_then(DateTime::from_timestamp_millis);
        let (started_at, finished_at, run_at) = (time(next()), time(next()), time(next()));
        let result = next();
        let json = |text: Option<&str>| text.and_then(|text| serde_json::from_str(text).ok());
        let errors: Vec<RawFailure> =
            raw.errors.as_deref().and_then(|errors| serde_json::from_str(errors).ok()).unwrap_or_default();
        let errors: Vec<FailedAttempt> = errors.into_iter().filter_map(RawFailure::read).collect();
        let state = state.and_then(|word| word.parse().ok()).unwrap_or(JobState::Ready);
        let enqueued_at = options.enqueued_at.and_then(DateTime::from_timestamp_millis);
        let trace = options.trace(id);
        Some(Self {
            trace_id: trace.trace_id().to_string(),
            id: id.to_owned(),
            job,
            args,
            queue: queue.to_owned(),
            state,
            attempt: attempt.and_then(|n| n.parse().ok()).unwrap_or_default(),
            max_attempts: options.max_attempts,
            enqueued_at,
            run_at: run_at.or(enqueued_at),
            started_at,
            finished_at,
            worker: worker.map(str::to_owned),
            progress: json(raw.progress.as_deref()),
            result_error: result.and_then(|text| serde_json::from_str(text.strip_prefix('!')?).ok()),
            result: json(result),
            error: errors.last().filter(|_| state != JobState::Succeeded).map(|failed| failed.error.clone()),
            errors,
            priority: options.priority.unwrap_or(NORMAL_PRIORITY),
            expires_at: options.expires_at.and_then(DateTime::from_timestamp_millis),
            timeout_ms: options.timeout_ms,
            max_age_ms: options.max_age_ms,
            backoff: options.backoff,
            unique_key: options.unique_key,
            schedule: options.schedule,
        })
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
