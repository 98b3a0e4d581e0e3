//! Takes ready jobs out of one queue, never more than there are free slots.
//!
//! An idle worker is woken by `BLMOVE active active LEFT LEFT`, which blocks until the list has an element and puts
//! it back where it was. So whoever pushes an id, in whatever language, wakes the worker at once, and no wake-up can
//! be missed: the state is the signal. The wait is bounded by the next scheduled job's time and by `poll`.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{FromRedisValue, RedisResult, Value};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use crate::client::Client;
use crate::error::QueueError;
use crate::keys::QueueKeys;
use crate::lease::{Lease, Leases};
use crate::outage::Outage;
use crate::script;
use crate::settings::Settings;

/// Jobs claimed in one step, so that a busy worker asks Redis seldom.
const BATCH: usize = 32;
/// Due and lapsed jobs that one claim makes ready. Bounded, so that a million due jobs do not stop Redis.
const PROMOTE: u32 = 100;

/// A job that this worker has under a lease.
pub(crate) struct Claimed {
    pub(crate) id: String,
    pub(crate) queue: Arc<str>,
    /// Absent when someone pushed an id without a payload.
    pub(crate) payload: Option<Vec<u8>>,
    /// The fencing token of this claim.
    pub(crate) token: String,
    /// Its number, this one included.
    pub(crate) attempt: u32,
    pub(crate) max_attempts: Option<u32>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) lease: Lease,
    /// Held until the outcome is stored.
    pub(crate) _slot: OwnedSemaphorePermit,
}

/// What one loop needs to claim from one queue.
pub(crate) struct Claimer {
    pub(crate) client: Client,
    pub(crate) queue: Arc<str>,
    pub(crate) worker: Arc<str>,
    pub(crate) settings: Settings,
    pub(crate) slots: Arc<Semaphore>,
    pub(crate) leases: Leases,
    pub(crate) claimed: mpsc::Sender<Claimed>,
}

/// A job as the script returns it.
type Row = (String, Option<Vec<u8>>, String, i64, Option<String>, Option<String>);

struct Answer {
    next_due: Option<Duration>,
    rescued: u64,
    rows: Vec<Row>,
}

impl Claimer {
    /// Claims until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut outage = Outage::of("redis");
        let mut waiter = None;
        while !stop.is_cancelled() {
            match self.turn(&mut waiter, &stop).await {
                Ok(()) => outage.over(),
                Err(error) => {
                    waiter = None;
                    stop.run_until_cancelled(outage.wait("claim jobs", &error)).await;
                }
            }
        }
    }

    /// Claims what is there, or waits until something is.
    async fn turn(
        &self,
        waiter: &mut Option<MultiplexedConnection>,
        stop: &CancellationToken,
    ) -> Result<(), QueueError> {
        let slot = self.slots.clone().acquire_owned();
        let Some(Ok(first)) = stop.run_until_cancelled(slot).await else {
            return Ok(());
        };
        let mut slots = vec![first];
        while slots.len() < BATCH
            && let Ok(slot) = self.slots.clone().try_acquire_owned()
        {
            slots.push(slot);
        }
        // Not under `stop`: a claim that was sent is ours, so its answer is waited for.
        let Answer { next_due, rescued, rows } = self.claim(slots.len()).await?;
        if rescued > 0 {
            tracing::warn!(queue.name = %self.queue, jobs = rescued, "took over jobs of a lost worker");
        }
        if rows.is_empty() {
            drop(slots);
            let wait = next_due.map_or(self.settings.poll, |due| due.min(self.settings.poll));
            let keys = self.client.queue(&self.queue);
            return match stop.run_until_cancelled(self.wait(waiter, &keys, wait)).await {
                Some(Err(error)) => Err(QueueError::redis("wait for jobs")(error)),
                _ => Ok(()),
            };
        }
        for ((id, payload, token, attempt, max_attempts, timeout_ms), slot) in rows.into_iter().zip(slots) {
            let lease = self.leases.hold(self.queue.clone(), &id, &token);
            // A number that is none is as good as absent: the job's own policy holds.
            let attempt = u32::try_from(attempt).unwrap_or(1);
            let max_attempts = max_attempts.and_then(|n| n.parse().ok());
            let timeout = timeout_ms.and_then(|ms| ms.parse().ok()).map(Duration::from_millis);
            let queue = self.queue.clone();
            let claimed =
                Claimed { id, queue, payload, token, attempt, max_attempts, timeout, lease, _slot: slot };
            // Fails only when the worker is gone; the lease then lapses and another worker runs the job.
            let _ = self.claimed.send(claimed).await;
        }
        Ok(())
    }

    async fn claim(&self, count: usize) -> Result<Answer, QueueError> {
        let lease_ms = u64::try_from(self.settings.lease.as_millis()).unwrap_or(u64::MAX);
        let mut call = script::claim(&self.client.queue(&self.queue));
        call.arg(&*self.worker).arg(lease_ms).arg(count).arg(PROMOTE);
        let values: Vec<Value> = call
            .invoke_async(&mut self.client.connection())
            .await
            .map_err(QueueError::redis("claim jobs"))?;
        read(values).map_err(QueueError::redis("claim jobs"))
    }

    async fn wait(
        &self,
        waiter: &mut Option<MultiplexedConnection>,
        keys: &QueueKeys,
        wait: Duration,
    ) -> RedisResult<()> {
        let connection = match waiter {
            Some(connection) => connection,
            None => waiter.insert(self.client.blocking(self.settings.poll).await?),
        };
        // Zero would block for ever.
        let seconds = wait.max(Duration::from_millis(1)).as_secs_f64();
        redis::cmd("BLMOVE")
            .arg(&keys.active)
            .arg(&keys.active)
            .arg("LEFT")
            .arg("LEFT")
            .arg(seconds)
            .query_async::<Option<Vec<u8>>>(connection)
            .await
            .map(drop)
    }
}

fn read(values: Vec<Value>) -> RedisResult<Answer> {
    let mut values = values.into_iter();
    let mut number = || i64::from_redis_value(values.next().unwrap_or(Value::Nil));
    let next_due = u64::try_from(number()?).ok().map(Duration::from_millis);
    let rescued = u64::try_from(number()?).unwrap_or_default();
    let row = |value| {
        Row::from_redis_value(value).inspect_err(|error| tracing::error!(%error, "a job cannot be read"))
    };
    let rows = values.filter_map(|value| row(value).ok()).collect();
    Ok(Answer { next_due, rescued, rows })
}
