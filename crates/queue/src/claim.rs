//! Takes ready jobs out of the queues, never more than there are free slots.
//!
//! With free slots it asks the queues in a random order in which weights count: a queue of weight 6 is asked first six
//! times as often as one of weight 1, and none is starved. When none had anything, it waits until one has.

use std::sync::Arc;
use std::time::Duration;

use redis::{FromRedisValue, ParsingError, Value};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use crate::client::Client;
use crate::error::QueueError;
use crate::lease::{Lease, Leases};
use crate::outage::Outage;
use crate::pulse::Pulse;
use crate::script::Step;
use crate::settings::{Settings, WeightedQueue};
use crate::unknown::UnknownJobs;
use crate::wake::Watchers;

/// Jobs claimed in one step, so that a busy worker asks Redis seldom.
const BATCH: usize = 64;
/// Due and lapsed jobs that one claim makes ready. Bounded, so that a million due jobs do not stop Redis.
const PROMOTE: u32 = 200;
/// How often a claim is sent until its answer is here. Sent again, it returns the same jobs.
const TRIES: u32 = 3;
/// After an outage, owners of lapsed leases get so long to renew them before their jobs are taken over.
const GRACE: Duration = Duration::from_secs(3);

/// A job that this worker has under a lease.
pub(crate) struct Claimed {
    pub(crate) id: Arc<str>,
    pub(crate) queue: Arc<str>,
    /// Absent when someone pushed an id without a payload.
    pub(crate) payload: Option<Vec<u8>>,
    /// The fencing token of this claim.
    pub(crate) token: String,
    /// Its number, this one included.
    pub(crate) attempt: u32,
    /// Redis's time when it was claimed, in ms since 1970.
    pub(crate) now_ms: i64,
    pub(crate) lease: Lease,
    /// Held until the outcome is stored.
    pub(crate) _slot: OwnedSemaphorePermit,
}

/// What the loop needs.
pub(crate) struct Claimer {
    pub(crate) client: Client,
    pub(crate) worker: Arc<str>,
    pub(crate) settings: Settings,
    pub(crate) slots: Arc<Semaphore>,
    pub(crate) leases: Leases,
    pub(crate) claimed: mpsc::Sender<Claimed>,
    pub(crate) pulse: Pulse,
    pub(crate) unknown: UnknownJobs,
}

/// A job as the script returns it.
type Row = (Vec<u8>, Option<Vec<u8>>, String, i64);

struct Answer {
    /// When a job is due or a lease ends.
    next: Option<Duration>,
    rescued: u64,
    paused: bool,
    now_ms: i64,
    rows: Vec<Row>,
}

impl Claimer {
    /// Claims until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let queues = self.settings.weighted_queues();
        let lists = queues.iter().map(|queue| self.client.queue(&queue.name).family("active"));
        let watchers = Watchers::start(&self.client, lists, "LEFT", self.settings.poll);
        let mut outage = Outage::of("redis");
        while !stop.is_cancelled() {
            match self.turn(&queues, &watchers, &stop).await {
                Ok(()) => {
                    outage.over();
                    self.pulse.beat();
                }
                Err(error) => {
                    stop.run_until_cancelled(outage.wait("claim jobs", &error)).await;
                }
            }
        }
    }

    /// Claims what is there, or waits until something is.
    async fn turn(
        &self,
        queues: &[WeightedQueue],
        watchers: &Watchers,
        stop: &CancellationToken,
    ) -> Result<(), QueueError> {
        let slot = self.slots.clone().acquire_owned();
        self.pulse.rest();
        let Some(Ok(first)) = stop.run_until_cancelled(slot).await else {
            return Ok(());
        };
        self.pulse.beat();
        let mut slots = vec![first];
        while slots.len() < BATCH
            && let Ok(slot) = self.slots.clone().try_acquire_owned()
        {
            slots.push(slot);
        }
        let (mut wait, mut empty, mut failed) = (self.settings.poll, Vec::new(), None);
        for index in in_weighted_order(queues) {
            let queue = &queues[index].name;
            if self.unknown.leaves_alone(queue) {
                continue;
            }
            // Not under `stop`: a claim that was sent is ours, so its answer is waited for.
            match self.claim(queue, slots.len(), stop).await {
                Ok(answer) => {
                    wait = wait.min(answer.next.unwrap_or(wait));
                    if !answer.paused {
                        empty.push(index);
                    }
                    self.hand_over(queue, answer, &mut slots).await;
                }
                // In a cluster, another queue may be there.
                Err(error) => {
                    self.leases.note_outage(queue);
                    failed = Some(error);
                }
            }
            if slots.is_empty() {
                return Ok(());
            }
        }
        drop(slots);
        if let Some(error) = failed {
            return Err(error);
        }
        stop.run_until_cancelled(async {
            watchers.wait(&empty, wait).await;
            self.unknown.let_others_first().await;
        })
        .await;
        Ok(())
    }

    /// Passes claimed jobs on, each with a slot and a lease.
    async fn hand_over(&self, queue: &Arc<str>, answer: Answer, slots: &mut Vec<OwnedSemaphorePermit>) {
        if answer.rescued > 0 {
            tracing::warn!(queue.name = %queue, jobs = answer.rescued, "took over jobs of a lost worker");
        }
        for (id, payload, token, attempt) in answer.rows {
            let Some(slot) = slots.pop() else { return };
            let id: Arc<str> = match String::from_utf8(id) {
                Ok(id) => id.into(),
                Err(wrong) => {
                    self.bury(queue, wrong.as_bytes(), &token).await;
                    continue;
                }
            };
            let attempt = u32::try_from(attempt).unwrap_or(1);
            let lease = self.leases.hold(queue, &id, &token, attempt);
            let (queue, now_ms) = (queue.clone(), answer.now_ms);
            let claimed = Claimed { id, queue, payload, token, attempt, now_ms, lease, _slot: slot };
            // Fails only when the worker is gone; the lease then lapses and another worker runs the job.
            let _ = self.claimed.send(claimed).await;
        }
    }

    /// Ends a job whose id is no text: nothing else could name it.
    async fn bury(&self, queue: &str, id: &[u8], token: &str) {
        let keys = self.client.queue(queue);
        let mut call = self.client.step(Step::Settle, &keys);
        call.arg(self.settings.most_succeeded()).arg(self.settings.most_dead());
        call.arg(id)
            .arg(token)
            .arg("dead")
            .arg("its id is not UTF-8")
            .arg("")
            .arg("?")
            .arg("")
            .arg("")
            .arg("");
        // Best effort: its lease lapses and the next attempt comes here again.
        let _ = call.invoke_async::<Vec<i64>>(&mut self.client.connection()).await;
    }

    async fn claim(
        &self,
        queue: &Arc<str>,
        count: usize,
        stop: &CancellationToken,
    ) -> Result<Answer, QueueError> {
        let keys = self.client.queue(queue);
        let lease_ms = u64::try_from(self.settings.lease.as_millis()).unwrap_or(u64::MAX);
        let rescue = !self.leases.was_away(queue, GRACE.min(self.settings.lease));
        let nonce = format!("{:016x}", rand::random::<u64>());
        let mut outage = Outage::of("redis");
        let mut tries = 0;
        loop {
            let mut call = self.client.step(Step::Claim, &keys);
            call.arg(&*self.worker).arg(&nonce).arg(lease_ms).arg(count).arg(PROMOTE);
            call.arg(u8::from(rescue)).arg(u8::from(tries > 0));
            let answer = call.invoke_async(&mut self.client.connection()).await;
            tries += 1;
            match answer {
                Ok(answer) => return Ok(answer),
                Err(error) if tries == TRIES || stop.is_cancelled() || !error.is_io_error() => {
                    return Err(QueueError::redis("claim jobs")(error));
                }
                Err(error) => outage.wait_silently(&error).await,
            }
        }
    }
}

impl FromRedisValue for Answer {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let mut values = Vec::<Value>::from_redis_value(value)?.into_iter();
        let mut number = || i64::from_redis_value(values.next().unwrap_or(Value::Nil));
        let next = u64::try_from(number()?).ok().map(Duration::from_millis);
        let rescued = u64::try_from(number()?).unwrap_or_default();
        let (paused, now_ms) = (number()? == 1, number()?);
        let row = |value| {
            Row::from_redis_value(value).inspect_err(|error| tracing::error!(%error, "a job cannot be read"))
        };
        let rows = values.filter_map(|value| row(value).ok()).collect();
        Ok(Self { next, rescued, paused, now_ms, rows })
    }
}

/// A random order in which the heavier come earlier more often (Efraimidis and Spirakis, "Weighted random sampling
/// with a reservoir", 2006).
fn in_weighted_order(queues: &[WeightedQueue]) -> Vec<usize> {
    let mut order: Vec<(f64, usize)> = queues
        .iter()
        .enumerate()
        .map(|(index, queue)| (rand::random::<f64>().powf(1.0 / f64::from(queue.weight)), index))
        .collect();
    order.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    order.into_iter().map(|(_, index)| index).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heavier_queue_is_asked_first_as_often_as_its_weight_says() {
        let queue = |name: &str, weight| WeightedQueue { name: name.into(), weight };
        let queues = [queue("critical", 6), queue("default", 3), queue("low", 1)];
        let mut first = [0.0_f64; 3];
        for _ in 0..20_000 {
            let order = in_weighted_order(&queues);
            assert_eq!(order.len(), 3);
            first[order[0]] += 1.0 / 20_000.0;
        }
        for (share, expected) in first.into_iter().zip([0.6, 0.3, 0.1]) {
            assert!((share - expected).abs() < 0.02, "{first:?}");
        }
    }
}
