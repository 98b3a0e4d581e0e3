//! Brings jobs that services have enqueued in Postgres, inside their own transactions, to Redis.
//!
//! The outbox (`dogwatch-store`) says which jobs are next and under which positions; the queue (`dogwatch-queue`) takes a
//! position once; here is the loop between the two, which runs beside every worker. Whatever is killed, and wherever:
//! the next turn, here or in another process, sends the same batch again, and nothing comes of that.

use std::collections::BTreeMap;
use std::time::Duration;

use dogwatch_queue::{NewJob, Outage, Producer, QueueError, Relayed, Stop, Unique, UniqueUntil, error_chain};
use dogwatch_store::{OutboxBatch, OutboxBell, OutboxJob, OutboxTurn, Store, StoreError};

/// Jobs in one batch.
const BATCH: u32 = 500;
/// How long a batch is left to the relay that has taken it: another one goes on with it after a crash.
const LEASE: Duration = Duration::from_secs(5);
/// Ids that one line of the log names.
const LISTED: usize = 5;
/// How long a relay that nothing wakes waits until it looks by itself.
const POLL: Duration = Duration::from_secs(1);

/// Carries jobs from the outbox to the queue.
#[derive(Debug)]
pub struct Relay {
    store: Store,
    producer: Producer,
    name: String,
    /// Opened when there is nothing to do for the first time.
    bell: Option<OutboxBell>,
    /// Whether the last turn was of use: then the next one probably is, too.
    has_sent: bool,
    postgres: Outage,
    redis: Outage,
}

const DOING: &str = "relay jobs from the outbox";

/// Who is away.
enum Fault {
    Postgres(StoreError),
    Redis(QueueError),
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Postgres(error)
    }
}

impl Relay {
    /// From `store`'s outbox through `producer`; `host` is where it runs, for those who look who does it.
    pub fn new(store: Store, producer: Producer, host: &str) -> Self {
        Self {
            store,
            producer,
            name: format!("{host}-{}", std::process::id()),
            bell: None,
            has_sent: false,
            postgres: Outage::of("postgres"),
            redis: Outage::of("redis"),
        }
    }

    /// Relays until it is told to stop, and stops at once: whatever it was at, others go on with it.
    pub async fn run(mut self, stop: Stop) {
        let turns = async {
            loop {
                match self.turn().await {
                    Ok(()) => self.postgres.over(),
                    Err(Fault::Postgres(error)) => self.postgres.wait(DOING, &error).await,
                    Err(Fault::Redis(error)) => self.redis.wait(DOING, &error).await,
                }
            }
        };
        tokio::select! {
            () = turns => {}
            () = stop.drain.cancelled() => {}
        }
    }

    async fn turn(&mut self) -> Result<(), Fault> {
        let turn = self.store.take_outbox_batch(&self.name, BATCH, LEASE).await?;
        self.postgres.over();
        match turn {
            OutboxTurn::Send(batch) => {
                if self.has_sent {
                    self.mute().await;
                }
                self.send(&batch).await?;
                self.redis.over();
                self.store.outbox_batch_sent(&batch).await?;
                tracing::debug!(jobs = batch.jobs.len(), "relayed");
                self.has_sent = true;
            }
            OutboxTurn::Empty => {
                // What could not be sent is gone: another relay has brought it to Redis.
                self.redis.over();
                self.has_sent = false;
                self.wait().await;
            }
            OutboxTurn::Elsewhere => {
                self.has_sent = false;
                self.mute().await;
                tokio::time::sleep(POLL).await;
            }
        }
        Ok(())
    }

    async fn send(&self, batch: &OutboxBatch) -> Result<(), Fault> {
        let mut queues: BTreeMap<&str, Vec<(u64, NewJob)>> = BTreeMap::new();
        for job in &batch.jobs {
            queues.entry(&job.queue).or_default().push((job.position, new_job(job.clone())));
        }
        for (queue, jobs) in queues {
            let relayed = self.producer.relay(&batch.source, queue, jobs).await.map_err(Fault::Redis)?;
            log_not_enqueued(batch, queue, &relayed);
        }
        Ok(())
    }

    /// Waits for jobs. Who cannot be woken looks by himself; if Postgres is away, the next turn says so.
    async fn wait(&mut self) {
        let woken = async {
            let mut bell = match self.bell.take() {
                Some(bell) => bell,
                None => self.store.outbox_bell().await?,
            };
            bell.wait(POLL).await?;
            Ok::<_, StoreError>(bell)
        };
        match woken.await {
            Ok(bell) => self.bell = Some(bell),
            Err(error) => {
                tracing::debug!(error = error_chain(&error), "cannot be woken; looking once a second");
                tokio::time::sleep(POLL).await;
            }
        }
    }

    async fn mute(&mut self) {
        if let Some(bell) = &mut self.bell
            && let Err(error) = bell.mute().await
        {
            tracing::debug!(error = error_chain(&error), "cannot be woken; looking once a second");
            self.bell = None;
        }
    }
}

/// An id that the queue has already is legal, and means that this row enqueued nothing: one line per batch names some.
fn log_not_enqueued(batch: &OutboxBatch, queue: &str, relayed: &Relayed) {
    if !relayed.existing.is_empty() {
        let is_one = |job: &&OutboxJob| relayed.existing.contains(&job.position);
        let ids: Vec<&str> = batch.jobs.iter().filter(is_one).take(LISTED).map(|job| &*job.id).collect();
        tracing::info!(
            queue.name = queue,
            jobs = relayed.existing.len(),
            ids = ids.join(", "),
            "jobs of the outbox were not enqueued: the queue has jobs with their ids already"
        );
    }
    if !relayed.held.is_empty() {
        tracing::debug!(
            queue.name = queue,
            jobs = relayed.held.len(),
            "jobs of the outbox were not enqueued: other jobs hold their unique keys"
        );
    }
}

fn new_job(job: OutboxJob) -> NewJob {
    let new = NewJob::new(job.job, job.args);
    NewJob {
        queue: job.queue,
        id: Some(job.id),
        run_at: job.run_at,
        max_attempts: job.max_attempts,
        timeout: job.timeout,
        priority: job.priority.unwrap_or(new.priority),
        unique: job.unique_key.map(|key| Unique { key, until: UniqueUntil::Done }),
        ..new
    }
}
