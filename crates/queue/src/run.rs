//! Runs one claimed job and stores its outcome.
//!
//! The job runs in a task of its own, so that jobs use all cores, a panic is contained, and a job that does not come
//! to an end can be stopped. Its slot and its lease are held until Redis has accepted the outcome: however long Redis
//! is away, the outcome is kept and the number of kept outcomes is bounded by the number of slots.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::claim::Claimed;
use crate::client::Client;
use crate::error::QueueError;
use crate::job::{JobError, NextStep};
use crate::outage::Outage;
use crate::record::Payload;
use crate::registry::Registry;
use crate::script;

/// How long outcomes are still offered to a Redis that is away when the worker has to end.
const LAST_CALL: Duration = Duration::from_secs(3);
/// Redis is no place for big things.
const MAX_RESULT_BYTES: usize = 256 * 1024;
const MAX_ERROR_CHARS: usize = 4000;

/// What all runs of one worker share.
pub(crate) struct Runner<C> {
    pub(crate) client: Client,
    pub(crate) registry: Registry<C>,
    pub(crate) context: Arc<C>,
    /// No new attempt begins.
    pub(crate) drain: CancellationToken,
    /// Attempts end now and jobs are given back.
    pub(crate) give_back: CancellationToken,
}

/// How an attempt ended.
enum Outcome {
    Succeeded(Value),
    Retry { error: String, pause: Duration },
    Dead { error: String, max_attempts: Option<u32> },
    Snoozed(Duration),
    Released,
}

impl<C: Send + Sync + 'static> Runner<C> {
    /// Runs the job and stores what came of it, or nothing when the lease was lost.
    pub(crate) async fn perform(&self, claimed: Claimed) {
        let started = Instant::now();
        let payload =
            claimed.payload.as_deref().ok_or_else(|| "it has no payload".to_owned()).and_then(Payload::parse);
        let name = payload.as_ref().map_or_else(|_| "?".to_owned(), |payload| payload.job.clone());
        let outcome = match payload {
            Ok(payload) => self.attempt(&claimed, payload).await,
            Err(error) => Some(Outcome::Dead { error, max_attempts: None }),
        };
        let accepted = match &outcome {
            Some(outcome) => self.settle(&claimed, outcome).await,
            None => false,
        };
        match outcome {
            Some(outcome) if accepted => outcome.log(&name, &claimed, started.elapsed()),
            _ => tracing::warn!(
                job.name = name,
                job.id = claimed.id,
                attempt = claimed.attempt,
                "`{name}` lost its lease; what it did is not accepted, another attempt decides"
            ),
        }
    }

    /// One attempt; `None` when the lease was lost.
    async fn attempt(&self, claimed: &Claimed, payload: Payload) -> Option<Outcome> {
        let dead = |error: String, max| Some(Outcome::Dead { error, max_attempts: max });
        let Some((info, run)) = self.registry.get(&payload.job) else {
            return dead(self.registry.catalog().get(&payload.job).err()?.to_string(), None);
        };
        let max_attempts = claimed.max_attempts.unwrap_or(info.retry.max_attempts).max(1);
        if claimed.attempt > max_attempts {
            return dead(
                format!("all {max_attempts} attempts ended with a lost worker or were used up"),
                Some(max_attempts),
            );
        }
        if self.drain.is_cancelled() {
            return Some(Outcome::Released);
        }
        let timeout = claimed.timeout.unwrap_or(info.timeout);
        let job = AbortOnDropHandle::new(tokio::spawn(run(payload.args, self.context.clone())));
        let ended = tokio::select! {
            biased;
            () = claimed.lease.lost() => return None,
            ended = job => ended,
            () = tokio::time::sleep(timeout) => Ok(Err(JobError::retry(format!("stopped at its time limit of {timeout:?}")))),
            () = self.give_back.cancelled() => return Some(Outcome::Released),
        };
        let error = match ended {
            Ok(Ok(result)) => return Some(Outcome::Succeeded(result)),
            Ok(Err(error)) => error,
            Err(stopped) => JobError::retry(panic_message(stopped)),
        };
        let text = error.to_string();
        let pause = match error.next() {
            NextStep::Snooze(pause) => return Some(Outcome::Snoozed(pause)),
            NextStep::Discard => return dead(text, None),
            _ if claimed.attempt >= max_attempts => return dead(text, None),
            NextStep::RetryAfter(pause) => pause,
            NextStep::Retry => info.retry.pause_after(claimed.attempt),
        };
        Some(Outcome::Retry { error: text, pause })
    }

    /// Offers the outcome until Redis takes or refuses it. False when it was refused, or the worker has to end.
    async fn settle(&self, claimed: &Claimed, outcome: &Outcome) -> bool {
        let mut outage = Outage::of("redis");
        let offer = async {
            loop {
                match self.offer(claimed, outcome).await {
                    Ok(accepted) => break accepted,
                    Err(error) => outage.wait("store the outcome of a job", &error).await,
                }
            }
        };
        let last_call = async {
            self.give_back.cancelled().await;
            tokio::time::sleep(LAST_CALL).await;
        };
        tokio::select! {
            accepted = offer => accepted,
            () = last_call => false,
        }
    }

    async fn offer(&self, claimed: &Claimed, outcome: &Outcome) -> Result<bool, QueueError> {
        let ms = |pause: &Duration| u64::try_from(pause.as_millis()).unwrap_or(u64::MAX).to_string();
        let (word, detail, number) = match outcome {
            Outcome::Succeeded(result) => ("succeeded", bounded(result), String::new()),
            Outcome::Retry { error, pause } => ("retry", beginning(error), ms(pause)),
            Outcome::Dead { error, max_attempts } => {
                ("dead", beginning(error), max_attempts.map(|n| n.to_string()).unwrap_or_default())
            }
            Outcome::Snoozed(pause) => ("snoozed", String::new(), ms(pause)),
            Outcome::Released => ("released", String::new(), String::new()),
        };
        let mut call = script::settle(&self.client.queue(&claimed.queue));
        call.arg(&claimed.id).arg(&claimed.token).arg(word).arg(detail).arg(number);
        call.invoke_async(&mut self.client.connection())
            .await
            .map_err(QueueError::redis("store the outcome of a job"))
    }
}

impl Outcome {
    fn log(&self, name: &str, claimed: &Claimed, took: Duration) {
        let Claimed { id, queue, attempt, .. } = claimed;
        let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let _fields =
            tracing::info_span!("run", job.name = name, job.id = id, queue.name = %queue, attempt, duration_ms).entered();
        match self {
            Self::Succeeded(result) => tracing::info!(result = %result, "`{name}` succeeded"),
            Self::Retry { error, pause } => {
                tracing::warn!(
                    error,
                    retry_in_ms = pause.as_millis(),
                    "`{name}` failed and will be tried again"
                );
            }
            Self::Dead { error, .. } => tracing::error!(error, "`{name}` is dead"),
            Self::Snoozed(pause) => tracing::info!(snooze_ms = pause.as_millis(), "`{name}` snoozed"),
            Self::Released => tracing::info!("`{name}` was given back"),
        }
    }
}

/// The result as it is kept: a larger one is replaced by a sentence that says so.
fn bounded(result: &Value) -> String {
    let text = result.to_string();
    if text.len() <= MAX_RESULT_BYTES {
        return text;
    }
    Value::String(format!("a result of {} bytes, which is too large to be kept", text.len())).to_string()
}

fn beginning(error: &str) -> String {
    error.chars().take(MAX_ERROR_CHARS).collect()
}

fn panic_message(stopped: tokio::task::JoinError) -> String {
    match stopped.try_into_panic() {
        Ok(panic) => {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            format!("panicked: {}", text.unwrap_or_else(|| "without a message".to_owned()))
        }
        Err(_) => "was stopped".to_owned(),
    }
}
