//! The way in for what services send: batches that arrive together are stored together, and answered after the commit.
//!
//! One group is written at a time. While Postgres commits it the next one gathers, so that many small batches cost about
//! as much as one large. What waits is bounded by its bytes: beyond that a batch is refused at once, and its sender comes
//! again. After each group open traces are joined, and the rollups brought up to date, in the background.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::Store;
use crate::batch::Batch;
use crate::error::StoreError;
use crate::open_traces::Linked;

/// Bytes that may wait, the group that is being written included.
const MAX_WAITING_BYTES: usize = 32 << 20;
/// Batches that may wait.
const MAX_WAITING_BATCHES: usize = 10_000;
/// Batches of one group, and bytes after which no further one is added.
const MAX_GROUP_BATCHES: usize = 1_000;
const MAX_GROUP_BYTES: usize = 8 << 20;
/// Rollups are made at most so often, and take at most a tenth of the time.
const MIN_PAUSE: Duration = Duration::from_millis(250);
const MAX_PAUSE: Duration = Duration::from_secs(30);
const PAUSE_FOR_EACH: u32 = 9;
/// How long open traces wait when nothing else comes.
const OPEN_TRACES_PAUSE: Duration = Duration::from_secs(2);

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

/// The handle on it. Cheap to clone. What was accepted is stored also when all handles are gone.
#[derive(Clone, Debug)]
pub struct Intake {
    waiting: mpsc::Sender<Waiting>,
    room: Arc<Semaphore>,
}

impl Intake {
    /// Starts it. Has to be called inside a Tokio runtime.
    pub fn start(store: Store) -> Self {
        let (waiting, arriving) = mpsc::channel(MAX_WAITING_BATCHES);
        let changed = Arc::new(Notify::new());
        let rolling = tokio::spawn(keep_rolled_up(store.clone(), Arc::clone(&changed)));
        tokio::spawn(async move {
            write_groups(&store, arriving, &changed).await;
            rolling.abort();
        });
        Self { waiting, room: Arc::new(Semaphore::new(MAX_WAITING_BYTES)) }
    }

    /// Stores a batch; says after the commit how many requests it had. Those that were there already are as they were.
    pub async fn store(&self, batch: Batch) -> Result<u64, IntakeError> {
        if batch.is_empty() {
            return Ok(0);
        }
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

async fn write_groups(store: &Store, mut arriving: mpsc::Receiver<Waiting>, changed: &Notify) {
    while let Some(first) = arriving.recv().await {
        let mut bytes = first.batch.size_bytes();
        let mut group = vec![first];
        while group.len() < MAX_GROUP_BATCHES && bytes < MAX_GROUP_BYTES {
            let Ok(next) = arriving.try_recv() else { break };
            bytes += next.batch.size_bytes();
            group.push(next);
        }
        write(store, group).await;
        changed.notify_one();
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

/// Joins traces and makes rollups whenever data have come, until it is aborted.
async fn keep_rolled_up(store: Store, changed: Arc<Notify>) {
    let mut are_waiting = false;
    loop {
        let wait = if are_waiting { OPEN_TRACES_PAUSE } else { Duration::MAX };
        let _ = tokio::time::timeout(wait, changed.notified()).await;
        let begun = Instant::now();
        match bring_up_to_date(&store).await {
            Ok(linked) => are_waiting = linked.are_waiting,
            // The job that does the same tells people. What is left is not to wait for the next batch.
            Err(error) => {
                are_waiting = true;
                tracing::debug!(error = &error as &dyn std::error::Error, "rollups wait");
            }
        }
        tokio::time::sleep((begun.elapsed() * PAUSE_FOR_EACH).clamp(MIN_PAUSE, MAX_PAUSE)).await;
    }
}

async fn bring_up_to_date(store: &Store) -> Result<Linked, StoreError> {
    let linked = store.link_traces().await?;
    store.roll_up().await?;
    Ok(linked)
}
