//! Leases: the sign of life of every job that this worker holds.
//!
//! A job is covered from the moment it is claimed until its outcome is stored. The heartbeat is a task of its own
//! with a timer of its own: no job and no poll order can starve it. It takes along what jobs say of their progress,
//! and brings back which jobs were cancelled and which leases were lost.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;

use crate::client::Client;
use crate::clock::Clock;
use crate::context::Signals;
use crate::error::QueueError;
use crate::outage::Outage;
use crate::script::Step;

/// Renewals a lease survives without: one may be lost, and one may be late.
const RENEWALS_PER_LEASE: u32 = 3;
/// Never more seldom: this is how fast progress is seen and a cancelled job is told.
const SLOWEST_BEAT: Duration = Duration::from_secs(1);
/// Leases in one script call.
const BATCH: usize = 200;

/// All leases that this worker holds.
#[derive(Clone)]
pub(crate) struct Leases {
    held: Arc<Mutex<Table>>,
    /// When Redis was found away last, by queue.
    outages: Arc<Mutex<HashMap<Arc<str>, Instant>>>,
    clock: Clock,
}

#[derive(Default)]
struct Table {
    next: u64,
    entries: HashMap<u64, Entry>,
}

/// One job that is held.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) queue: Arc<str>,
    pub(crate) id: Arc<str>,
    pub(crate) attempt: u32,
    pub(crate) since: DateTime<Utc>,
    pub(crate) signals: Arc<Signals>,
    token: String,
}

/// One job's lease; given up when dropped.
pub(crate) struct Lease {
    leases: Leases,
    number: u64,
    pub(crate) signals: Arc<Signals>,
}

impl Leases {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { held: Arc::default(), outages: Arc::default(), clock }
    }

    /// Notes that a job was claimed.
    pub(crate) fn hold(&self, queue: &Arc<str>, id: &Arc<str>, token: &str, attempt: u32) -> Lease {
        let signals = Arc::new(Signals::default());
        let entry = Entry {
            queue: queue.clone(),
            id: id.clone(),
            attempt,
            since: self.clock.now(),
            signals: signals.clone(),
            token: token.to_owned(),
        };
        let mut held = self.lock();
        held.next += 1;
        let number = held.next;
        held.entries.insert(number, entry);
        Lease { leases: self.clone(), number, signals }
    }

    /// Redis was away for this queue.
    pub(crate) fn note_outage(&self, queue: &Arc<str>) {
        let mut outages = self.outages.lock().unwrap_or_else(PoisonError::into_inner);
        outages.insert(queue.clone(), Instant::now());
    }

    /// Whether Redis was away for this queue within this time.
    pub(crate) fn was_away(&self, queue: &Arc<str>, within: Duration) -> bool {
        let outages = self.outages.lock().unwrap_or_else(PoisonError::into_inner);
        outages.get(queue).is_some_and(|at| at.elapsed() < within)
    }

    /// What is held, the oldest first.
    pub(crate) fn held(&self) -> Vec<Entry> {
        let mut held: Vec<(u64, Entry)> =
            self.lock().entries.iter().map(|(n, entry)| (*n, entry.clone())).collect();
        held.sort_by_key(|(number, _)| *number);
        held.into_iter().map(|(_, entry)| entry).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Renews until `end`.
    pub(crate) async fn keep(self, client: Client, lease: Duration, end: CancellationToken) {
        let mut outage = Outage::of("redis");
        let mut beat = tokio::time::interval((lease / RENEWALS_PER_LEASE).min(SLOWEST_BEAT));
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while end.run_until_cancelled(beat.tick()).await.is_some() {
            // Try on at once, not only at the next beat: the lease does not wait.
            while let Err(error) = self.renew(&client, lease).await {
                outage.wait("renew leases", &error).await;
                if end.is_cancelled() {
                    return;
                }
            }
            outage.over();
        }
    }

    async fn renew(&self, client: &Client, lease: Duration) -> Result<(), QueueError> {
        let mut by_queue: HashMap<Arc<str>, Vec<Entry>> = HashMap::new();
        for entry in self.lock().entries.values() {
            by_queue.entry(entry.queue.clone()).or_default().push(entry.clone());
        }
        // Every queue is tried: in a cluster one may be away and the others not.
        let mut failed = None;
        for (queue, held) in by_queue {
            for group in held.chunks(BATCH) {
                if let Err(error) = renew_group(client, &queue, lease, group).await {
                    self.note_outage(&queue);
                    failed = Some(error);
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

async fn renew_group(
    client: &Client,
    queue: &str,
    lease: Duration,
    group: &[Entry],
) -> Result<(), QueueError> {
    let keys = client.queue(queue);
    let mut call = client.step(Step::Renew, &keys);
    call.arg(u64::try_from(lease.as_millis()).unwrap_or(u64::MAX));
    let progress: Vec<Option<String>> = group.iter().map(|entry| entry.signals.take_progress()).collect();
    for (entry, progress) in group.iter().zip(&progress) {
        call.arg(&*entry.id).arg(&entry.token).arg(progress.as_deref().unwrap_or_default());
    }
    let answer: redis::RedisResult<(Vec<usize>, Vec<usize>)> =
        call.invoke_async(&mut client.connection()).await;
    match answer {
        Ok((lost, cancelled)) => {
            lost.iter().filter_map(|index| group.get(*index)).for_each(|entry| entry.signals.lost.cancel());
            cancelled
                .iter()
                .filter_map(|index| group.get(*index))
                .for_each(|entry| entry.signals.cancelled.cancel());
            Ok(())
        }
        Err(error) => {
            for (entry, progress) in group.iter().zip(progress) {
                if let Some(progress) = progress {
                    entry.signals.put_progress_back(progress);
                }
            }
            Err(QueueError::redis("renew leases")(error))
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.leases.lock().entries.remove(&self.number);
    }
}
