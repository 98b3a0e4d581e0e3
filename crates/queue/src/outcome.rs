//! How an attempt ended, what follows from it, and how it is told.

use std::time::Duration;

use dogwatch_runtime::duration;
use serde_json::Value;

use crate::celery::{Ending, Exception};
use crate::claim::Claimed;
use crate::job::{JobError, NextStep, Pause};
use crate::record::{Options, ResultError};
use crate::registry::JobInfo;
use crate::settle::Verdict;
use crate::trace::TraceId;

/// Redis is no place for big things.
const MAX_RESULT_BYTES: usize = 256 * 1024;
const MAX_ERROR_CHARS: usize = 4000;

/// How an attempt ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    Succeeded(Value),
    Retry {
        error: String,
        pause: Duration,
    },
    Dead {
        error: String,
        max_attempts: Option<u32>,
    },
    Cancelled,
    /// It was not run in its time.
    Expired,
    Snoozed(Duration),
    /// This worker does not know the job's name: put back, or dead when no worker has known it for too long.
    Unknown {
        error: String,
    },
    Released,
    /// It waits for its turn under a limit, and was put there already.
    Waits,
    /// Another claim decides.
    Lost,
}

/// What holds for this attempt: the job's own policy, and what the one who enqueued it said.
pub(crate) struct Policy {
    pub(crate) max_attempts: u32,
    pause: Pause,
    max_age: Option<Duration>,
    pub(crate) timeout: Duration,
}

impl Policy {
    pub(crate) fn of(info: &JobInfo, options: &Options) -> Self {
        let ms = Duration::from_millis;
        Self {
            max_attempts: options.max_attempts.unwrap_or(info.retry.max_attempts).max(1),
            pause: options.backoff.unwrap_or(info.retry.pause),
            max_age: options.max_age_ms.map(ms).or(info.retry.max_age),
            timeout: options.timeout_ms.map_or(info.timeout, ms),
        }
    }

    /// What follows a failed attempt.
    pub(crate) fn after(&self, error: &JobError, attempt: u32, age: Duration) -> Outcome {
        // It may quote an argument of any size.
        let text = beginning(&error.to_string());
        let dead = |error| Outcome::Dead { error, max_attempts: None };
        let pause = match error.next() {
            NextStep::Snooze(pause) => return Outcome::Snoozed(pause.min(duration::LONGEST)),
            NextStep::Discard => return dead(text),
            _ if attempt >= self.max_attempts => return dead(text),
            NextStep::RetryAfter(pause) => pause.min(duration::LONGEST),
            NextStep::Retry => self.pause.after(attempt),
        };
        if let Some(max_age) = self.max_age.filter(|max_age| age.saturating_add(pause) > *max_age) {
            return dead(format!("{text}; not tried again, since it would be older than {max_age:?}"));
        }
        Outcome::Retry { error: text, pause }
    }
}

impl Outcome {
    /// Why the result is not kept, when it is too large.
    pub(crate) fn too_large(&self) -> Option<ResultError> {
        let Self::Succeeded(result) = self else { return None };
        let bytes = result.to_string().len();
        (bytes > MAX_RESULT_BYTES).then_some(ResultError::TooLarge { bytes, limit: MAX_RESULT_BYTES })
    }

    /// The answer for a Celery client; `too_large` says why it cannot have the result.
    pub(crate) fn ending<'a>(&'a self, too_large: Option<&'a str>) -> Ending<'a> {
        match self {
            Self::Succeeded(result) => too_large
                .map_or(Ending::Succeeded(result), |reason| Ending::Failed(Exception::encode(reason))),
            Self::Retry { error, .. } => Ending::Retried(error),
            Self::Dead { error, .. } => Ending::failed(error),
            // Sent when it is dead.
            Self::Unknown { error } => Ending::Failed(Exception::not_registered(error)),
            Self::Cancelled => Ending::Revoked("terminated"),
            Self::Expired => Ending::Revoked("expired"),
            Self::Snoozed(_) | Self::Released | Self::Waits | Self::Lost => Ending::Silent,
        }
    }
}

/// Says what came of a run. The fields are the same in every line.
pub(crate) fn tell(
    name: &str,
    claimed: &Claimed,
    trace_id: TraceId,
    outcome: &Outcome,
    verdict: Verdict,
    took: Duration,
) {
    let Claimed { id, queue, attempt, token, .. } = claimed;
    let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    macro_rules! say {
        ($level:ident, $verdict:literal, $($field:tt)*) => {
            tracing::$level!(
                job.name = name, job.id = &**id, queue.name = &**queue, attempt, token = token.as_str(),
                duration_ms, trace_id = %trace_id, outcome = $verdict, $($field)*
            )
        };
    }
    match (verdict, outcome) {
        (Verdict::Refused, _) => {
            say!(
                warn,
                "refused",
                "`{name}` lost its lease; what it did is not accepted, another attempt decides"
            );
        }
        (Verdict::Unsent, _) => {
            say!(
                warn,
                "unsent",
                "`{name}` ended, but Redis is away; it runs again when its lease has lapsed"
            );
        }
        (Verdict::Accepted, Outcome::Succeeded(result)) => {
            say!(info, "accepted", result = %result, "`{name}` succeeded");
        }
        (Verdict::AcceptedAsDead, Outcome::Unknown { error }) => {
            say!(error, "accepted", error, "a job is dead: {error}");
        }
        // Logged by name, once a minute.
        (Verdict::AcceptedAsDead, _) | (Verdict::Accepted, Outcome::Unknown { .. }) => {
            say!(debug, "accepted", snooze_ms = 0_u64, "put back for a worker that knows the job");
        }
        (Verdict::Accepted, Outcome::Retry { error, pause }) => {
            let retry_in_ms = pause.as_millis();
            say!(warn, "accepted", error, retry_in_ms, "`{name}` failed and will be tried again");
        }
        (Verdict::Accepted, Outcome::Dead { error, .. }) => {
            say!(error, "accepted", error, "`{name}` is dead");
        }
        (Verdict::Accepted, Outcome::Cancelled) => say!(info, "accepted", "`{name}` was cancelled"),
        (Verdict::Accepted, Outcome::Expired) => say!(warn, "accepted", "`{name}` was not run in its time"),
        (Verdict::Accepted, Outcome::Snoozed(pause)) => {
            say!(info, "accepted", snooze_ms = pause.as_millis(), "`{name}` snoozed");
        }
        (Verdict::Accepted, Outcome::Released | Outcome::Waits | Outcome::Lost) => {
            say!(info, "accepted", "`{name}` was given back");
        }
    }
}

/// The result as it is kept in the job's record: JSON, or `!` and the error when it is too large.
pub(crate) fn stored_result(result: &Value) -> String {
    let text = result.to_string();
    if text.len() <= MAX_RESULT_BYTES {
        return text;
    }
    ResultError::TooLarge { bytes: text.len(), limit: MAX_RESULT_BYTES }.stored()
}

pub(crate) fn beginning(error: &str) -> String {
    error.chars().take(MAX_ERROR_CHARS).collect()
}
