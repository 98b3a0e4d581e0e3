//! What a job is: a type with a name, a retry policy, a time limit and a `run`.
//!
//! An error says what happens next. `?` on any error means that the job is tried again later; the other decisions
//! are explicit.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::str::FromStr;
use std::time::Duration;

use dogwatch_runtime::duration;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::context::Run;

/// Work that can be enqueued. The type's fields are the arguments, its JSON form is what stands in Redis.
///
/// A job runs at least once: it may run again after a crash or an error, so it has to bear that.
pub trait Job: Serialize + DeserializeOwned + Send + 'static {
    /// The name under which it is enqueued: `verb_object`, the same as the file's.
    const NAME: &'static str;
    /// What happens after a failure.
    const RETRY: Retry;
    /// When an attempt is stopped and counts as failed.
    const TIMEOUT: Duration;
    /// What the job may use.
    type Context: Send + Sync + 'static;
    /// What people see as the job's result.
    type Outcome: Serialize + Send;

    /// Does the work. `cx` is the context, and what is known of this run: [`Run`].
    fn run(self, cx: &Run<Self::Context>) -> impl Future<Output = Result<Self::Outcome, JobError>> + Send;
}

/// How often a job is tried, for how long, and how long it waits in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Attempts in all, the first included.
    pub max_attempts: u32,
    /// How long it waits after a failure.
    pub pause: Pause,
    /// A job that was enqueued longer ago is not tried again. Absent: age does not matter.
    pub max_age: Option<Duration>,
}

/// How long a job waits after a failure. In text: `exponential:10s:10m`, `fixed:30s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Pause {
    /// A random part of `base`, of 2·`base`, 4·`base` … but of `cap` at the most.
    Exponential {
        /// Longest pause after the first failure.
        base: Duration,
        /// Longest pause at all.
        cap: Duration,
    },
    /// Always so long.
    Fixed(Duration),
}

impl Retry {
    /// `attempts` in all; pauses of up to `base`, 2·`base`, 4·`base` …, never above `cap`.
    pub const fn exponential(attempts: u32, base: Duration, cap: Duration) -> Self {
        Self { max_attempts: attempts, pause: Pause::Exponential { base, cap }, max_age: None }
    }

    /// `attempts` in all, with the same pause after each.
    pub const fn fixed(attempts: u32, pause: Duration) -> Self {
        Self { max_attempts: attempts, pause: Pause::Fixed(pause), max_age: None }
    }

    /// One attempt only.
    pub const fn none() -> Self {
        Self::fixed(1, Duration::ZERO)
    }

    /// The same, but no attempt begins later than `age` after the job was enqueued.
    #[must_use]
    pub const fn within(self, age: Duration) -> Self {
        Self { max_age: Some(age), ..self }
    }
}

impl Pause {
    /// The pause after attempt number `attempt` has failed. Exponential back-off has full jitter, that is, a random
    /// part of the whole, which spreads the retries of jobs that failed together best
    /// (M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
    pub fn after(self, attempt: u32) -> Duration {
        let longest = self.longest_after(attempt).min(duration::LONGEST);
        match self {
            Self::Fixed(_) => longest,
            Self::Exponential { .. } => longest.mul_f64(rand::random::<f64>()),
        }
    }

    /// Whether its first pause is not longer than its longest one.
    pub(crate) fn is_ordered(self) -> bool {
        !matches!(self, Self::Exponential { base, cap } if base > cap)
    }

    /// The longest pause that it can mean.
    pub(crate) fn longest(self) -> Duration {
        match self {
            Self::Fixed(pause) => pause,
            Self::Exponential { base, cap } => base.max(cap),
        }
    }

    fn longest_after(self, attempt: u32) -> Duration {
        match self {
            Self::Fixed(pause) => pause,
            Self::Exponential { base, cap } => {
                let doublings = attempt.saturating_sub(1).min(31);
                base.saturating_mul(1 << doublings).min(cap)
            }
        }
    }
}

impl fmt::Display for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exponential { base, cap } => {
                write!(f, "exponential:{}:{}", duration::format(*base), duration::format(*cap))
            }
            Self::Fixed(pause) => write!(f, "fixed:{}", duration::format(*pause)),
        }
    }
}

impl From<Pause> for String {
    fn from(pause: Pause) -> Self {
        pause.to_string()
    }
}

impl TryFrom<String> for Pause {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for Pause {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match *text.split(':').collect::<Vec<_>>() {
            ["fixed", pause] => Ok(Self::Fixed(duration::parse(pause)?)),
            ["exponential", base, cap] => {
                Ok(Self::Exponential { base: duration::parse(base)?, cap: duration::parse(cap)? })
            }
            _ => Err(format!("`{text}` is no back-off; write exponential:10s:10m or fixed:30s")),
        }
    }
}

/// What follows a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextStep {
    /// Try again after the pause that the job's [`Retry`] says.
    Retry,
    /// Try again after this time.
    RetryAfter(Duration),
    /// Not yet: run again after this time, without using an attempt.
    Snooze(Duration),
    /// Never try again: the job is dead at once.
    Discard,
}

/// A failed attempt: what went wrong, and what happens next. Any error becomes one with `?` and means [`NextStep::Retry`].
#[derive(Debug)]
pub struct JobError {
    next: NextStep,
    error: Box<dyn Error + Send + Sync>,
}

impl JobError {
    /// Try again with the job's back-off.
    pub fn retry(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { next: NextStep::Retry, error: error.into() }
    }

    /// Try again after `pause`, such as a server's Retry-After.
    pub fn retry_after(pause: Duration, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { next: NextStep::RetryAfter(pause), error: error.into() }
    }

    /// Run again after `pause`; the attempt does not count, so a job may snooze for ever.
    pub fn snooze(pause: Duration) -> Self {
        Self { next: NextStep::Snooze(pause), error: "snoozed".into() }
    }

    /// Dead at once: bad arguments, a bug.
    pub fn discard(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { next: NextStep::Discard, error: error.into() }
    }

    /// What happens next.
    pub fn next(&self) -> NextStep {
        self.next
    }
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::outage::error_chain(&*self.error))
    }
}

// JobError is no `std::error::Error` itself: that is what allows this conversion, and so the bare `?`.
impl<E: Error + Send + Sync + 'static> From<E> for JobError {
    fn from(error: E) -> Self {
        Self::retry(error)
    }
}

/// Seconds, for constants.
pub const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Minutes, for constants.
pub const fn mins(n: u64) -> Duration {
    Duration::from_secs(n * 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_pause_doubles_up_to_its_cap() {
        let pause = Retry::exponential(9, secs(10), mins(5)).pause;
        let pauses: Vec<u64> = (1..=7).map(|n| pause.longest_after(n).as_secs()).collect();
        assert_eq!(pauses, [10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(pause.longest_after(u32::MAX), mins(5));
    }

    #[test]
    fn the_pause_is_a_random_part_of_the_longest() {
        let pause = Retry::exponential(9, secs(10), mins(5)).pause;
        let pauses: Vec<Duration> = (0..200).map(|_| pause.after(1)).collect();
        assert!(pauses.iter().all(|pause| *pause <= secs(10)));
        assert!(pauses.iter().any(|pause| *pause < secs(3)) && pauses.iter().any(|pause| *pause > secs(7)));
    }

    #[test]
    fn a_pause_can_be_written_and_read() {
        for pause in
            [Retry::exponential(9, secs(10), mins(5)).pause, Pause::Fixed(Duration::from_millis(1500))]
        {
            assert_eq!(pause.to_string().parse(), Ok(pause));
        }
        for (text, reason) in [
            ("sometimes", "`sometimes` is no back-off; write exponential:10s:10m or fixed:30s"),
            ("fixed:ten", "`ten` is not a duration; write a number and its unit, such as 30s, 10m, 2h or 1d"),
        ] {
            assert_eq!(text.parse::<Pause>(), Err(reason.to_owned()));
        }
    }

    #[test]
    fn an_error_is_shown_with_its_causes_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot send")]
        struct Outer(#[source] std::io::Error);
        let error = JobError::from(Outer(std::io::Error::other("connection refused")));
        assert_eq!(error.to_string(), "cannot send: connection refused");
        assert_eq!(error.next(), NextStep::Retry);
    }
}
