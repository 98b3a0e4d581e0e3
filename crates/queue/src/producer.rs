//! Puts jobs into Redis.

use redis::{FromRedisValue, ParsingError, RedisResult};
use serde_json::Value;
use utoipa::ToSchema;

use crate::client::Client;
use crate::clock::Clock;
use crate::error::QueueError;
use crate::new_job::{Encoded, NewJob, check_id};
use crate::registry::Catalog;
use crate::script::Step;

/// Jobs in one script call: enough to be fast, few enough that others are not kept waiting.
const BATCH: usize = 500;
/// Enqueues jobs after checking their names and arguments. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Producer {
    client: Client,
    catalog: Catalog,
    clock: Clock,
}

/// What was enqueued.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct Enqueued {
    /// Its identity within its queue; that of the job which holds its unique key when there is one.
    pub id: String,
    /// False when its queue had the id, or a job that holds the unique key, already.
    pub is_new: bool,
}

/// What was done with a batch of an outbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Relayed {
    /// The last position that is stored.
    pub position: u64,
    /// Positions that were not enqueued, because their queue has a job with that id already.
    pub existing: Vec<u64>,
    /// Positions that were not enqueued, because another job holds their unique key.
    pub held: Vec<u64>,
}

impl Producer {
    /// Enqueues into `client`'s Redis what `catalog` knows.
    pub fn new(client: Client, catalog: Catalog) -> Self {
        Self { client, catalog, clock: Clock::system() }
    }

    /// The jobs that can be enqueued.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// Enqueues one job. It is stored when this returns.
    pub async fn enqueue(&self, job: NewJob) -> Result<Enqueued, QueueError> {
        let queue = job.queue.clone();
        let encoded = Encoded::new(job, &self.catalog, self.now_ms())?;
        let mut stored = self.store(&queue, &[&encoded]).await?;
        Ok(stored.remove(0))
    }

    /// Enqueues many. All are checked before any is stored; `Err((index, _))` names the one that is wrong.
    /// Jobs are stored in groups: after a fault of Redis some may be stored, so send ids along to be able to repeat.
    pub async fn enqueue_all(&self, jobs: Vec<NewJob>) -> Result<Vec<Enqueued>, (usize, QueueError)> {
        let now_ms = self.now_ms();
        let mut checked = Vec::with_capacity(jobs.len());
        for (index, job) in jobs.into_iter().enumerate() {
            let queue = job.queue.clone();
            let job = Encoded::new(job, &self.catalog, now_ms).map_err(|error| (index, error))?;
            checked.push((queue, job));
        }
        let mut enqueued = Vec::with_capacity(checked.len());
        for same_queue in checked.chunk_by(|(a, _), (b, _)| a == b) {
            let queue = &same_queue[0].0;
            for group in same_queue.chunks(BATCH) {
                let jobs: Vec<&Encoded> = group.iter().map(|(_, job)| job).collect();
                enqueued.extend(self.store(queue, &jobs).await.map_err(|error| (enqueued.len(), error))?);
            }
        }
        Ok(enqueued)
    }

    /// Enqueues jobs from an outbox, each position of a source once, whatever is repeated: the last position is stored
    /// in the same step as the jobs. All of one queue, in growing order. A batch that is sent again
    /// stores nothing, and reports nothing as not enqueued.
    /// A job of an unknown name or with wrong arguments is taken too, and becomes a dead letter that says so.
    pub async fn relay(
        &self,
        source: &str,
        queue: &str,
        jobs: Vec<(u64, NewJob)>,
    ) -> Result<Relayed, QueueError> {
        self.client.announce(queue).await?;
        let keys = self.client.queue(queue);
        let mut call = self.client.step(Step::Relay, &keys);
        call.arg(source);
        let now_ms = self.now_ms();
        for (position, job) in jobs {
            let job = NewJob { queue: queue.to_owned(), ..job };
            // What cannot be stored as it is becomes a dead letter that says why: it must not stop those behind it.
            let job = Encoded::unchecked(job.clone(), now_ms, None).or_else(|error| {
                let reason = format!("a job of an outbox that cannot be stored: {error}");
                let id = job.id.filter(|id| check_id(id).is_ok());
                let empty = NewJob { queue: queue.to_owned(), id, ..NewJob::new("", Value::Null) };
                Encoded::raw(empty, reason.as_bytes(), now_ms)
            })?;
            call.arg(position);
            job.add_to(&mut call);
        }
        let (position, existing, held) = call
            .invoke_async(&mut self.client.connection())
            .await
            .map_err(QueueError::redis("relay jobs"))?;
        Ok(Relayed { position, existing, held })
    }

    fn now_ms(&self) -> i64 {
        self.clock.now().timestamp_millis()
    }

    async fn store(&self, queue: &str, jobs: &[&Encoded]) -> Result<Vec<Enqueued>, QueueError> {
        self.client.announce(queue).await?;
        let keys = self.client.queue(queue);
        let is_plain = jobs.iter().all(|job| job.is_plain());
        let mut call = self.client.step(if is_plain { Step::Push } else { Step::Enqueue }, &keys);
        for job in jobs {
            if is_plain {
                call.arg(&job.id).arg(&job.payload);
            } else {
                job.add_to(&mut call);
            }
        }
        let mut connection = self.client.connection();
        let answer: RedisResult<Vec<Stored>> = call.invoke_async(&mut connection).await;
        let stored = answer.map_err(QueueError::redis("enqueue"))?.into_iter();
        // The connection may send a command twice. An id that was made for this job and is there already was
        // stored by the first try.
        let enqueued = |(job, stored): (&&Encoded, Stored)| match stored {
            Stored::Number(n) => Enqueued { id: job.id.clone(), is_new: n == 1 || job.id_is_ours },
            Stored::Holder(id) => Enqueued { id, is_new: false },
        };
        Ok(jobs.iter().zip(stored).map(enqueued).collect())
    }
}

/// What the script says of one job.
enum Stored {
    Number(i64),
    Holder(String),
}

impl FromRedisValue for Stored {
    fn from_redis_value(value: redis::Value) -> Result<Self, ParsingError> {
        match value {
            redis::Value::Int(n) => Ok(Self::Number(n)),
            other => String::from_redis_value(other).map(Self::Holder),
        }
    }
}
