//! Puts jobs into Redis.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::client::Client;
use crate::error::QueueError;
use crate::keys::check_name;
use crate::record::Payload;
use crate::registry::Catalog;
use crate::script;

/// Jobs in one script call: enough to be fast, few enough that others are not kept waiting.
const BATCH: usize = 500;
/// Redis is no place for big things; put them elsewhere and enqueue where they are.
const MAX_PAYLOAD_BYTES: usize = 256 * 1024;
const MAX_ID_BYTES: usize = 200;

/// Enqueues jobs after checking their names and arguments. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Producer {
    client: Client,
    catalog: Catalog,
}

/// A job to enqueue.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// Name of the job.
    pub job: String,
    /// Its arguments: a JSON object.
    pub args: Value,
    /// Where to.
    pub queue: String,
    /// Its identity. Absent: a new one. Enqueueing an id that is there already changes nothing.
    pub id: Option<String>,
    /// How long from now it is due.
    pub delay: Duration,
    /// When it is due. Of this and `delay`, the later holds.
    pub run_at: Option<DateTime<Utc>>,
    /// Attempts allowed. Absent: the job's own.
    pub max_attempts: Option<u32>,
    /// When an attempt is stopped. Absent: the job's own.
    pub timeout: Option<Duration>,
    /// The schedule that enqueues it, for those who look at the job later.
    pub schedule: Option<String>,
}

/// What was enqueued.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Enqueued {
    /// Its identity.
    pub id: String,
    /// False when the id was there already.
    pub is_new: bool,
}

impl NewJob {
    /// A job with its arguments, due now, in queue `default`.
    pub fn new(job: impl Into<String>, args: Value) -> Self {
        Self {
            job: job.into(),
            args,
            queue: "default".to_owned(),
            id: None,
            delay: Duration::ZERO,
            run_at: None,
            max_attempts: None,
            timeout: None,
            schedule: None,
        }
    }
}

/// A checked job in the five arguments that the scripts take.
pub(crate) struct Encoded {
    pub(crate) id: String,
    payload: Vec<u8>,
    delay_ms: u64,
    run_at_ms: i64,
    meta: String,
}

impl Encoded {
    /// Checks everything that Redis would not.
    pub(crate) fn new(job: NewJob, catalog: &Catalog) -> Result<Self, QueueError> {
        let value = |field, value: String, reason| QueueError::Value { field, value, reason };
        catalog.check(&job.job, &job.args)?;
        check_name(&job.queue).map_err(|reason| value("queue", job.queue.clone(), reason))?;
        if job.max_attempts.is_some_and(|n| n == 0 || n > 1000) {
            let given = job.max_attempts.unwrap_or_default().to_string();
            return Err(value("max_attempts", given, "write a number from 1 to 1000"));
        }
        let id = job.id.unwrap_or_else(|| Uuid::now_v7().to_string());
        if id.is_empty() || id.len() > MAX_ID_BYTES {
            return Err(value("id", id, "an id has 1 to 200 bytes"));
        }
        let mut meta = Map::new();
        if let Some(n) = job.max_attempts {
            meta.insert("max_attempts".to_owned(), json!(n.to_string()));
        }
        if let Some(timeout) = job.timeout {
            meta.insert("timeout_ms".to_owned(), json!(timeout.as_millis().to_string()));
        }
        if let Some(schedule) = job.schedule {
            meta.insert("schedule".to_owned(), json!(schedule));
        }
        let name = job.job.clone();
        let payload = serde_json::to_vec(&Payload { job: job.job, args: job.args }).map_err(|error| {
            QueueError::Arguments { job: name.clone(), pointer: "/".to_owned(), reason: error.to_string() }
        })?;
        if payload.len() > MAX_PAYLOAD_BYTES {
            let reason = format!("{} bytes are too many; {MAX_PAYLOAD_BYTES} are allowed", payload.len());
            return Err(QueueError::Arguments { job: name, pointer: "/".to_owned(), reason });
        }
        Ok(Self {
            id,
            payload,
            delay_ms: u64::try_from(job.delay.as_millis()).unwrap_or(u64::MAX),
            run_at_ms: job.run_at.map_or(0, |time| time.timestamp_millis()),
            meta: Value::Object(meta).to_string(),
        })
    }

    pub(crate) fn add_to(&self, call: &mut redis::ScriptInvocation<'_>) {
        call.arg(&self.id).arg(&self.payload).arg(self.delay_ms).arg(self.run_at_ms).arg(&self.meta);
    }
}

impl Producer {
    /// Enqueues into `client`'s Redis what `catalog` knows.
    pub fn new(client: Client, catalog: Catalog) -> Self {
        Self { client, catalog }
    }

    /// The jobs that can be enqueued.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// Enqueues one job. It is stored when this returns.
    pub async fn enqueue(&self, job: NewJob) -> Result<Enqueued, QueueError> {
        let queue = job.queue.clone();
        let encoded = Encoded::new(job, &self.catalog)?;
        let is_new = self.store(&queue, std::slice::from_ref(&encoded)).await?[0];
        Ok(Enqueued { id: encoded.id, is_new })
    }

    /// Enqueues many. All are checked before any is stored; `Err((index, _))` names the one that is wrong.
    /// Jobs are stored in groups: after a fault of Redis some may be stored, so send ids along to be able to repeat.
    pub async fn enqueue_all(&self, jobs: Vec<NewJob>) -> Result<Vec<Enqueued>, (usize, QueueError)> {
        let mut checked = Vec::with_capacity(jobs.len());
        for (index, job) in jobs.into_iter().enumerate() {
            let queue = job.queue.clone();
            checked.push((queue, Encoded::new(job, &self.catalog).map_err(|error| (index, error))?));
        }
        let mut enqueued = Vec::with_capacity(checked.len());
        for same_queue in checked.chunk_by(|(a, _), (b, _)| a == b) {
            let queue = &same_queue[0].0;
            for group in same_queue.chunks(BATCH) {
                let jobs = group.iter().map(|(_, job)| job);
                let stored = self.store(queue, jobs).await.map_err(|error| (enqueued.len(), error))?;
                let ids = group.iter().map(|(_, job)| job.id.clone());
                enqueued.extend(ids.zip(stored).map(|(id, is_new)| Enqueued { id, is_new }));
            }
        }
        Ok(enqueued)
    }

    async fn store<'a>(
        &self,
        queue: &str,
        jobs: impl IntoIterator<Item = &'a Encoded>,
    ) -> Result<Vec<bool>, QueueError> {
        let mut connection = self.client.connection();
        announce(&self.client, queue).await?;
        let mut call = script::enqueue(&self.client.queue(queue));
        for job in jobs {
            job.add_to(&mut call);
        }
        call.invoke_async(&mut connection).await.map_err(QueueError::redis("enqueue"))
    }
}

/// Notes that a queue exists, before its first job, so that it is found by those who list queues.
pub(crate) async fn announce(client: &Client, queue: &str) -> Result<(), QueueError> {
    redis::cmd("SADD")
        .arg(client.global().queues)
        .arg(queue)
        .query_async::<()>(&mut client.connection())
        .await
        .map_err(QueueError::redis("enqueue"))
}
