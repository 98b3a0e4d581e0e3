//! The way in for what services send: batches that arrive together are stored together, and answered after the commit.
//!
//! One group is written at a time. While Postgres commits it the next one gathers, so that many small batches cost about
//! as much as one large. What waits is bounded by its bytes: beyond that a batch is refused at once, and its sender comes
//! again. After each group open traces are joined, and the rollups brought up to date, in the background: each at its own
//! pace, so that a rollup that takes long does not keep queries from their requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::Store;
use crate::batch::Batch;
use crate::error::StoreError;

/// Bytes that may wait, the group that is being written included.
const MAX_WAITING_BYTES: usize = 32 << 20;
/// Batches that may wait.
const MAX_WAITING_BATCHES: usize = 10_000;
/// Batches of one group, and bytes after which no further one is added.
const MAX_GROUP_BATCHES: usize = 1_000;
const MAX_GROUP_BYTES: usize = 8 << 20;
/// What is done in the background is done at most so often, and takes at most a tenth of the time; but what has taken
/// long once, as when Postgres was busy, is not put off for long.
const MIN_PAUSE: Duration = Duration::from_millis(250);
const MAX_PAUSE: Duration = Duration::from_secs(5);
const PAUSE_FOR_EACH: u32 = 9;
/// How long open traces, or rollups that could not be made, wait when nothing else comes.
const AGAIN_PAUSE: Duration = Duration::from_secs(2);

/// Why a batch was not stored.
#[derive(Clone, Debug, thiserror::Error)]
pub enum IntakeError {
    /// Too much waits already. Come again in a second.
    #[error("more arrives than Postgres stores")]
    Full,
    /// Postgres did not store it.
    #[error(transparent)]
    Store(Arc<StoreError>),
    /// This process is being stopped.
    #[error("this process is being stopped")]
    Stopped,
}

struct Waiting {
    batch: Batch,
    sender: Sender,
}

/// Who waits for the answer.
struct Sender {
    answer: oneshot::Sender<Result<u64, IntakeError>>,
    /// Its share of what may wait.
    room: OwnedSemaphorePermit,
}

impl Sender {
    fn answer(self, stored: Result<u64, IntakeError>) {
        // Whoever asked may have gone.
        let _ = self.answer.send(stored);
        drop(self.room);
    }
}

/// What the tasks in the background have to look at.
#[derive(Default)]
struct Changed {
    /// Calls and requests have come that may belong together.
    traces: Notify,
    /// Minutes have other data than their rollups were made from.
    minutes: Notify,
}

/// What has come in since this process began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IntakeFigures {
    /// Requests and calls that were stored.
    pub stored: u64,
    /// Batches that were refused, since too much waited.
    pub refused_batches: u64,
    /// Batches that Postgres did not store.
    pub failed_batches: u64,
    /// Bytes that wait, the group that is being written included.
    pub waiting_bytes: usize,
}

#[derive(Debug, Default)]
struct Counters {
    stored: AtomicU64,
    refused_batches: AtomicU64,
    failed_batches: AtomicU64,
}

/// The handle on it. Cheap to clone. What was accepted is stored also when all handles are gone.
#[derive(Clone, Debug)]
pub struct Intake {
    waiting: mpsc::Sender<Waiting>,
    room: Arc<Semaphore>,
    counters: Arc<Counters>,
}

impl Intake {
    /// Starts it. Has to be called inside a Tokio runtime.
    pub fn start(store: Store) -> Self {
        let (waiting, arriving) = mpsc::channel(MAX_WAITING_BATCHES);
        let changed = Arc::new(Changed::default());
        let linking = tokio::spawn(keep_linked(store.clone(), Arc::clone(&changed)));
        let rolling = tokio::spawn(keep_rolled_up(store.clone(), Arc::clone(&changed)));
        tokio::spawn(async move {
            write_groups(&store, arriving, &changed).await;
            linking.abort();
            rolling.abort();
        });
        Self { waiting, room: Arc::new(Semaphore::new(MAX_WAITING_BYTES)), counters: Arc::default() }
    }

    /// Stores a batch; says after the commit how many requests it had. Those that were there already are as they were.
    pub async fn store(&self, batch: Batch) -> Result<u64, IntakeError> {
        if batch.is_empty() {
            return Ok(0);
        }
        let stored = self.store_counted(batch).await;
        let (counter, by) = match &stored {
            Ok(rows) => (&self.counters.stored, *rows),
            Err(IntakeError::Full) => (&self.counters.refused_batches, 1),
            Err(IntakeError::Store(_) | IntakeError::Stopped) => (&self.counters.failed_batches, 1),
        };
        counter.fetch_add(by, Ordering::Relaxed);
        stored
    }

    /// What has come in.
    pub fn figures(&self) -> IntakeFigures {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        IntakeFigures {
            stored: read(&self.counters.stored),
            refused_batches: read(&self.counters.refused_batches),
            failed_batches: read(&self.counters.failed_batches),
            waiting_bytes: MAX_WAITING_BYTES - self.room.available_permits(),
        }
    }

    async fn store_counted(&self, batch: Batch) -> Result<u64, IntakeError> {
        let bytes = u32::try_from(batch.size_bytes().min(MAX_WAITING_BYTES)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).try_acquire_many_owned(bytes).map_err(|_| IntakeError::Full)?;
        let (answer, stored) = oneshot::channel();
        self.waiting.try_send(Waiting { batch, sender: Sender { answer, room } }).map_err(|refused| {
            match refused {
                mpsc::error::TrySendError::Full(_) => IntakeError::Full,
                mpsc::error::TrySendError::Closed(_) => IntakeError::Stopped,
            }
        })?;
        stored.await.unwrap_or(Err(IntakeError::Stopped))
    }
}

async fn write_groups(store: &Store, mut arriving: mpsc::Receiver<Waiting>, changed: &Changed) {
    while let Some(first) = arriving.recv().await {
        let mut bytes = first.batch.size_bytes();
        let mut group = vec![first];
        while group.len() < MAX_GROUP_BATCHES && bytes < MAX_GROUP_BYTES {
            let Ok(next) = arriving.try_recv() else { break };
            bytes += next.batch.size_bytes();
            group.push(next);
        }
        write(store, group).await;
        changed.traces.notify_one();
        changed.minutes.notify_one();
    }
}

async fn write(store: &Store, group: Vec<Waiting>) {
    let (batches, senders): (Vec<_>, Vec<_>) =
        group.into_iter().map(|waiting| (waiting.batch, waiting.sender)).unzip();
    match store.store(&batches).await {
        Ok(_) => {
            for (batch, sender) in batches.iter().zip(senders) {
                sender.answer(Ok(batch.count()));
            }
        }
        Err(error) if batches.len() == 1 || error.is_unavailable() => {
            let error = Arc::new(error);
            for sender in senders {
                sender.answer(Err(IntakeError::Store(Arc::clone(&error))));
            }
        }
        // One of them cannot be stored; the others must not suffer for it.
        Err(_) => {
            for (batch, sender) in batches.into_iter().zip(senders) {
                let stored = store.store(&[batch]).await;
                sender.answer(stored.map_err(|error| IntakeError::Store(Arc::new(error))));
            }
        }
    }
}

/// Joins traces whenever data have come, until it is aborted.
async fn keep_linked(store: Store, changed: Arc<Changed>) {
    let mut are_waiting = false;
    loop {
        wait(&changed.traces, are_waiting).await;
        let begun = Instant::now();
        match store.link_traces().await {
            Ok(linked) => {
                are_waiting = linked.are_waiting;
                if linked.traces > 0 {
                    changed.minutes.notify_one();
                }
            }
            Err(error) => {
                are_waiting = true;
                tell_of(&error, "traces wait");
            }
        }
        pause_after(begun).await;
    }
}

/// Makes rollups whenever data have come, until it is aborted.
async fn keep_rolled_up(store: Store, changed: Arc<Changed>) {
    let mut has_failed = false;
    loop {
        wait(&changed.minutes, has_failed).await;
        let begun = Instant::now();
        let made = store.roll_up().await;
        has_failed = made.is_err();
        if let Err(error) = made {
            tell_of(&error, "rollups wait");
        }
        pause_after(begun).await;
    }
}

/// Waits for a change; not for long when something is left to do without one.
async fn wait(changed: &Notify, is_left: bool) {
    let longest = if is_left { AGAIN_PAUSE } else { Duration::MAX };
    let _ = tokio::time::timeout(longest, changed.notified()).await;
}

/// The job that does the same tells people.
fn tell_of(error: &StoreError, what_waits: &str) {
    tracing::debug!(error = error as &dyn std::error::Error, "{what_waits}");
}

async fn pause_after(begun: Instant) {
    tokio::time::sleep((begun.elapsed() * PAUSE_FOR_EACH).clamp(MIN_PAUSE, MAX_PAUSE)).await;
}
