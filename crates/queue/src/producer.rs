//! Puts jobs into Redis.

use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, Utc};
use redis::{FromRedisValue, ParsingError, RedisError, RedisResult};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::celery::Origin;
use crate::client::Client;
use crate::clock::Clock;
use crate::error::QueueError;
use crate::job::Pause;
use crate::keys::check_name;
use crate::record::{Options, Payload};
use crate::registry::Catalog;
use crate::script::Step;

/// Jobs in one script call: enough to be fast, few enough that others are not kept waiting.
const BATCH: usize = 500;
/// Redis is no place for big things; put them elsewhere and enqueue where they are.
const MAX_PAYLOAD_BYTES: usize = 256 * 1024;
const MAX_ID_BYTES: usize = 200;
/// A longer time is a mistake, and may be more than Redis can count.
const LONGEST: Duration = Duration::from_hours(87_600);
/// The priority of a job that has none.
pub(crate) const NORMAL_PRIORITY: u8 = 5;

/// Enqueues jobs after checking their names and arguments. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Producer {
    client: Client,
    catalog: Catalog,
    clock: Clock,
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

impl FromStr for UniqueUntil {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "started" => Ok(Self::Started),
            "done" => Ok(Self::Done),
            _ => {
                let window = jiff::fmt::friendly::SpanParser::new().parse_unsigned_duration(text);
                window
                    .map(Self::Window)
                    .map_err(|_| format!("`{text}`: write started, done or a time, such as 1h"))
            }
        }
    }
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
        let window = self.unique.as_ref().and_then(|unique| match unique.until {
            UniqueUntil::Window(window) => Some(window),
            UniqueUntil::Started | UniqueUntil::Done => None,
        });
        let backoff = self.backoff.map(Pause::longest);
        for (field, time) in [
            ("delay", Some(self.delay)),
            ("unique_until", window),
            ("expires", self.expires),
            ("backoff", backoff),
            ("max_age", self.max_age),
            ("timeout", self.timeout),
        ] {
            if let Some(time) = time.filter(|time| *time > LONGEST) {
                return wrong(field, format!("{time:?}"), "a time is at most 87600h, which is ten years");
            }
        }
        let key = self.unique.as_ref().map(|unique| &unique.key);
        if let Some(key) = key.filter(|key| key.is_empty() || key.len() > MAX_ID_BYTES) {
            return wrong("unique_key", key.clone(), "a key has 1 to 200 bytes");
        }
        Ok(())
    }

    /// As it is written in the job's document.
    fn options(&self, now_ms: i64) -> Options {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let until = |unique: &Unique| match unique.until {
            UniqueUntil::Started => "started".to_owned(),
            UniqueUntil::Done => "done".to_owned(),
            UniqueUntil::Window(_) => "window".to_owned(),
        };
        let expires = self.expires.map(|time| i64::try_from(time.as_millis()).unwrap_or(i64::MAX));
        Options {
            enqueued_at: Some(now_ms),
            expires_at: expires.map(|ms| now_ms.saturating_add(ms)),
            max_attempts: self.max_attempts,
            backoff: self.backoff,
            max_age_ms: self.max_age.map(ms),
            timeout_ms: self.timeout.map(ms),
            priority: (self.priority != NORMAL_PRIORITY).then_some(self.priority),
            unique_key: self.unique.as_ref().map(|unique| unique.key.clone()),
            unique_until: self.unique.as_ref().map(until),
            schedule: self.schedule.clone(),
            slot_ms: None,
            celery: None,
        }
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
    /// What the script has to know of the options; empty for most jobs.
    options: String,
}

impl Encoded {
    /// Checks everything that Redis would not.
    pub(crate) fn new(job: NewJob, catalog: &Catalog, now_ms: i64) -> Result<Self, QueueError> {
        catalog.check(&job.job, &job.args)?;
        Self::unchecked(job, now_ms, None)
    }

    /// Checks everything but the name and its arguments: what does not fit becomes a dead letter.
    pub(crate) fn unchecked(
        mut job: NewJob,
        now_ms: i64,
        celery: Option<Origin>,
    ) -> Result<Self, QueueError> {
        job.check()?;
        let options = Options { celery, ..job.options(now_ms) };
        let id_is_ours = job.id.is_none();
        let id = job.id.take().unwrap_or_else(new_id);
        let mut matters = Map::new();
        if let Some(priority) = options.priority {
            matters.insert("priority".to_owned(), json!(priority));
        }
        if let Some(unique) = &job.unique {
            matters.insert("unique_key".to_owned(), json!(unique.key));
            if let UniqueUntil::Window(window) = unique.until {
                matters.insert(
                    "unique_ms".to_owned(),
                    json!(u64::try_from(window.as_millis()).unwrap_or(u64::MAX)),
                );
            }
        }
        Ok(Self {
            id,
            id_is_ours,
            payload: bytes_of(&Payload { job: job.job, args: job.args, options })?,
            delay_ms: u64::try_from(job.delay.as_millis()).unwrap_or(u64::MAX),
            run_at_ms: job.run_at.map_or(0, |time| time.timestamp_millis()),
            options: if matters.is_empty() { String::new() } else { Value::Object(matters).to_string() },
        })
    }

    /// A tick of a schedule.
    pub(crate) fn tick(
        payload: &Payload,
        now_ms: i64,
        slot_ms: i64,
        delay: Duration,
    ) -> Result<Self, QueueError> {
        let options =
            Options { enqueued_at: Some(now_ms), slot_ms: Some(slot_ms), ..payload.options.clone() };
        Ok(Self {
            id: new_id(),
            id_is_ours: true,
            payload: bytes_of(&Payload { options, ..payload.clone() })?,
            delay_ms: u64::try_from(delay.as_millis()).unwrap_or(u64::MAX),
            run_at_ms: 0,
            options: String::new(),
        })
    }

    /// A message that cannot be read, kept as it is.
    pub(crate) fn raw(job: NewJob, raw: &[u8], now_ms: i64) -> Result<Self, QueueError> {
        let most = raw.len().min(MAX_PAYLOAD_BYTES);
        Ok(Self { payload: raw[..most].to_vec(), ..Self::unchecked(job, now_ms, None)? })
    }

    /// With what is said of a dead letter in place of the options.
    pub(crate) fn with_news(self, news: &Value) -> Self {
        Self { options: news.to_string(), ..self }
    }

    /// Whether the shortest way in is enough.
    fn is_plain(&self) -> bool {
        self.delay_ms == 0 && self.run_at_ms == 0 && self.options.is_empty()
    }

    pub(crate) fn add_to(&self, call: &mut redis::ScriptInvocation<'_>) {
        call.arg(&self.id).arg(&self.payload).arg(self.delay_ms).arg(self.run_at_ms).arg(&self.options);
    }
}

fn bytes_of(payload: &Payload) -> Result<Vec<u8>, QueueError> {
    let wrong = |reason| QueueError::Arguments { job: payload.job.clone(), pointer: "/".to_owned(), reason };
    let bytes = serde_json::to_vec(payload).map_err(|error| wrong(error.to_string()))?;
    if bytes.len() > MAX_PAYLOAD_BYTES {
        return Err(wrong(format!("{} bytes are too many; {MAX_PAYLOAD_BYTES} are allowed", bytes.len())));
    }
    Ok(bytes)
}

impl NewJob {
    /// Checked, as a document: what all ticks of a schedule have in common.
    pub(crate) fn template(self, catalog: &Catalog) -> Result<Payload, QueueError> {
        catalog.check(&self.job, &self.args)?;
        self.check()?;
        let options = self.options(0);
        let payload = Payload { job: self.job, args: self.args, options };
        bytes_of(&payload)?;
        Ok(payload)
    }
}

/// Ids sort by the time at which they were made.
fn new_id() -> String {
    Uuid::now_v7().to_string()
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
        let now_ms = self.now_ms();
        for (position, job) in jobs {
            let job = NewJob { queue: queue.to_owned(), ..job };
            // What cannot be stored as it is becomes a dead letter that says why: it must not stop those behind it.
            let job = Encoded::unchecked(job.clone(), now_ms, None).or_else(|error| {
                let reason = format!("a job of an outbox that cannot be stored: {error}");
                let id = job.id.filter(|id| id.len() <= MAX_ID_BYTES);
                let empty = NewJob { queue: queue.to_owned(), id, ..NewJob::new("", Value::Null) };
                Encoded::raw(empty, reason.as_bytes(), now_ms)
            })?;
            call.arg(position);
            job.add_to(&mut call);
        }
        call.invoke_async(&mut self.client.connection()).await.map_err(QueueError::redis("relay jobs"))
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
