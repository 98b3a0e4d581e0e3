//! Puts jobs into Redis.

use std::time::Duration;

use chrono::{DateTime, Utc};
use redis::{FromRedisValue, ParsingError, RedisError, RedisResult};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::client::Client;
use crate::error::QueueError;
use crate::job::Pause;
use crate::keys::check_name;
use crate::record::Payload;
use crate::registry::Catalog;
use crate::script::Step;

/// Jobs in one script call: enough to be fast, few enough that others are not kept waiting.
const BATCH: usize = 500;
/// Redis is no place for big things; put them elsewhere and enqueue where they are.
const MAX_PAYLOAD_BYTES: usize = 256 * 1024;
const MAX_ID_BYTES: usize = 200;
/// The priority of a job that has none.
pub(crate) const NORMAL_PRIORITY: u8 = 5;

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
    /// 0 (first) to 9 (last) within its queue; 5 is the rule, and the fastest.
    pub priority: u8,
    /// What it may be there only once for.
    pub unique: Option<Unique>,
    /// When it is not run any more, from now on.
    pub expires: Option<Duration>,
    /// Attempts allowed. Absent: the job's own.
    pub max_attempts: Option<u32>,
    /// How long it waits after a failure. Absent: the job's own.
    pub backoff: Option<Pause>,
    /// How long after it was enqueued an attempt may begin at the latest. Absent: the job's own.
    pub max_age: Option<Duration>,
    /// When an attempt is stopped. Absent: the job's own.
    pub timeout: Option<Duration>,
    /// The schedule that enqueues it, for those who look at the job later.
    pub schedule: Option<String>,
    /// The nominal time, in ms since 1970, for which the schedule enqueues it.
    pub slot_ms: Option<i64>,
}

/// What makes a job unique: a second one of the same key is not enqueued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unique {
    /// The key, within a queue.
    pub key: String,
    /// Until when.
    pub until: UniqueUntil,
}

/// How long a unique key is held. Whatever it says, the key is free when its job is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UniqueUntil {
    /// Until a worker has begun with it: one that waits, one that runs.
    Started,
    /// Until it has ended.
    Done,
    /// For so long from now on, ended or not.
    Window(Duration),
}

/// What was enqueued.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Enqueued {
    /// Its identity; that of the job which holds its unique key when there is one.
    pub id: String,
    /// False when the id or its unique key was there already.
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
            priority: NORMAL_PRIORITY,
            unique: None,
            expires: None,
            max_attempts: None,
            backoff: None,
            max_age: None,
            timeout: None,
            schedule: None,
            slot_ms: None,
        }
    }

    /// Checks what the types cannot.
    fn check(&self) -> Result<(), QueueError> {
        let wrong = |field, value: String, reason| Err(QueueError::Value { field, value, reason });
        if let Err(reason) = check_name(&self.queue) {
            return wrong("queue", self.queue.clone(), reason);
        }
        if let Some(n) = self.max_attempts.filter(|n| *n == 0 || *n > 1000) {
            return wrong("max_attempts", n.to_string(), "write a number from 1 to 1000");
        }
        if self.priority > 9 {
            return wrong("priority", self.priority.to_string(), "write a number from 0 (first) to 9 (last)");
        }
        if let Some(id) = self.id.as_ref().filter(|id| id.is_empty() || id.len() > MAX_ID_BYTES) {
            return wrong("id", id.clone(), "an id has 1 to 200 bytes");
        }
        let key = self.unique.as_ref().map(|unique| &unique.key);
        if let Some(key) = key.filter(|key| key.is_empty() || key.len() > MAX_ID_BYTES) {
            return wrong("unique_key", key.clone(), "a key has 1 to 200 bytes");
        }
        Ok(())
    }

    /// What is written beside the payload; empty for most jobs.
    fn fields(&self) -> Map<String, Value> {
        let ms = |time: Duration| Some(json!(time.as_millis().to_string()));
        let unique = self.unique.as_ref();
        let (until, window) = match unique.map(|unique| unique.until) {
            None => (None, None),
            Some(UniqueUntil::Started) => (Some("started"), None),
            Some(UniqueUntil::Done) => (Some("done"), None),
            Some(UniqueUntil::Window(window)) => (Some("window"), Some(window)),
        };
        let fields = [
            ("priority", (self.priority != NORMAL_PRIORITY).then(|| json!(self.priority.to_string()))),
            ("unique_key", unique.map(|unique| json!(unique.key))),
            ("unique_until", until.map(|word| json!(word))),
            ("unique_ms", window.and_then(ms)),
            ("expires_in_ms", self.expires.and_then(ms)),
            ("max_attempts", self.max_attempts.map(|n| json!(n.to_string()))),
            ("backoff", self.backoff.map(|pause| json!(pause.to_string()))),
            ("max_age_ms", self.max_age.and_then(ms)),
            ("timeout_ms", self.timeout.and_then(ms)),
            ("schedule", self.schedule.as_ref().map(|name| json!(name))),
            ("slot_ms", self.slot_ms.map(|slot| json!(slot.to_string()))),
        ];
        fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }
}

/// A checked job in the five arguments that the scripts take.
#[derive(Clone, Debug)]
pub(crate) struct Encoded {
    pub(crate) id: String,
    /// False when the caller has chosen the id.
    id_is_ours: bool,
    payload: Vec<u8>,
    delay_ms: u64,
    run_at_ms: i64,
    fields: String,
}

impl Encoded {
    /// Checks everything that Redis would not.
    pub(crate) fn new(job: NewJob, catalog: &Catalog) -> Result<Self, QueueError> {
        catalog.check(&job.job, &job.args)?;
        Self::unchecked(job, Map::new())
    }

    /// Checks everything but the name and its arguments: what does not fit becomes a dead letter.
    pub(crate) fn unchecked(mut job: NewJob, more: Map<String, Value>) -> Result<Self, QueueError> {
        job.check()?;
        let mut fields = job.fields();
        fields.extend(more);
        let id_is_ours = job.id.is_none();
        let id = job.id.take().unwrap_or_else(new_id);
        let payload = Payload { job: job.job, args: job.args };
        let wrong =
            |reason| QueueError::Arguments { job: payload.job.clone(), pointer: "/".to_owned(), reason };
        let bytes = serde_json::to_vec(&payload).map_err(|error| wrong(error.to_string()))?;
        if bytes.len() > MAX_PAYLOAD_BYTES {
            return Err(wrong(format!(
                "{} bytes are too many; {MAX_PAYLOAD_BYTES} are allowed",
                bytes.len()
            )));
        }
        Ok(Self {
            id,
            id_is_ours,
            payload: bytes,
            delay_ms: u64::try_from(job.delay.as_millis()).unwrap_or(u64::MAX),
            run_at_ms: job.run_at.map_or(0, |time| time.timestamp_millis()),
            fields: if fields.is_empty() { String::new() } else { Value::Object(fields).to_string() },
        })
    }

    /// With a new identity and another random delay, for the next tick of a schedule.
    pub(crate) fn renewed(&self, slot_ms: i64, delay: Duration) -> Self {
        let mut fields: Map<String, Value> = serde_json::from_str(&self.fields).unwrap_or_default();
        fields.insert("slot_ms".to_owned(), json!(slot_ms.to_string()));
        Self {
            id: new_id(),
            delay_ms: u64::try_from(delay.as_millis()).unwrap_or(u64::MAX),
            fields: Value::Object(fields).to_string(),
            ..self.clone()
        }
    }

    pub(crate) fn add_to(&self, call: &mut redis::ScriptInvocation<'_>) {
        call.arg(&self.id).arg(&self.payload).arg(self.delay_ms).arg(self.run_at_ms).arg(&self.fields);
    }
}

/// Ids sort by the time at which they were made.
fn new_id() -> String {
    Uuid::now_v7().to_string()
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
        let mut stored = self.store(&queue, &[&encoded]).await?;
        Ok(stored.remove(0))
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
                let jobs: Vec<&Encoded> = group.iter().map(|(_, job)| job).collect();
                enqueued.extend(self.store(queue, &jobs).await.map_err(|error| (enqueued.len(), error))?);
            }
        }
        Ok(enqueued)
    }

    /// Enqueues jobs from an outbox, each position of a source once, whatever is repeated: the last position is stored
    /// in the same step as the jobs. All of one queue, in growing order. Returns the last position that is stored.
    /// A job of an unknown name or with wrong arguments is taken too, and becomes a dead letter that says so.
    pub async fn relay(
        &self,
        source: &str,
        queue: &str,
        jobs: Vec<(u64, NewJob)>,
    ) -> Result<u64, QueueError> {
        self.client.announce(queue).await?;
        let keys = self.client.queue(queue);
        let mut call = self.client.step(Step::Relay, &keys);
        call.arg(source);
        for (position, job) in jobs {
            let job = Encoded::unchecked(NewJob { queue: queue.to_owned(), ..job }, Map::new())?;
            call.arg(position);
            job.add_to(&mut call);
        }
        call.invoke_async(&mut self.client.connection()).await.map_err(QueueError::redis("relay jobs"))
    }

    async fn store(&self, queue: &str, jobs: &[&Encoded]) -> Result<Vec<Enqueued>, QueueError> {
        self.client.announce(queue).await?;
        let keys = self.client.queue(queue);
        let mut call = self.client.step(Step::Enqueue, &keys);
        for job in jobs {
            job.add_to(&mut call);
        }
        let mut connection = self.client.connection();
        let mut answer: RedisResult<Vec<Stored>> = call.invoke_async(&mut connection).await;
        // The connection may have been cut long ago. To send the same ids again is safe, and then an id of ours that
        // is there already was stored by the first try.
        let again = answer.as_ref().is_err_and(RedisError::is_connection_dropped);
        if again {
            answer = call.invoke_async(&mut connection).await;
        }
        let stored = answer.map_err(QueueError::redis("enqueue"))?.into_iter();
        let enqueued = |(job, stored): (&&Encoded, Stored)| match stored {
            Stored::Number(n) => Enqueued { id: job.id.clone(), is_new: n == 1 || (again && job.id_is_ours) },
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
