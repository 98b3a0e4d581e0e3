//! A job as it is asked for, checked, and as the scripts take it.

use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, Utc};
use dogwatch_runtime::duration;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::celery::Origin;
use crate::error::QueueError;
use crate::job::Pause;
use crate::keys::check_name;
use crate::record::{Options, Payload};
use crate::registry::Catalog;
use crate::trace::TraceContext;

/// Redis is no place for big things; put them elsewhere and enqueue where they are.
const MAX_PAYLOAD_BYTES: usize = 256 * 1024;
/// How deep it may be nested; `serde_json` reads no more.
const MAX_DEPTH: usize = 127;
/// Attempts that a job may have.
pub(crate) const MAX_ATTEMPTS: u32 = 1000;
pub(crate) const MAX_ID_BYTES: usize = 200;
/// The priority of a job that has none.
pub const NORMAL_PRIORITY: u8 = 5;

/// A job to enqueue.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// Name of the job.
    pub job: String,
    /// Its arguments: a JSON object.
    pub args: Value,
    /// Where to.
    pub queue: String,
    /// Its identity within its queue. Absent: a new one. Enqueueing an id that the queue has already changes nothing.
    pub id: Option<String>,
    /// How long from now it is due.
    pub delay: Duration,
    /// When it is due. Either this or `delay`.
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
    /// The trace that it continues. Absent: it begins one.
    pub trace: Option<TraceContext>,
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
            _ => duration::parse(text)
                .map(Self::Window)
                .map_err(|error| format!("{error}; or write started or done")),
        }
    }
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
            trace: None,
        }
    }

    /// Checks what the types cannot.
    fn check(&self) -> Result<(), QueueError> {
        let wrong = |field, value: String, reason| Err(QueueError::Value { field, value, reason });
        if let Err(reason) = check_name(&self.queue) {
            return wrong("queue", self.queue.clone(), reason);
        }
        if let Some(n) = self.max_attempts.filter(|n| *n == 0 || *n > MAX_ATTEMPTS) {
            return wrong("max_attempts", n.to_string(), "write a number from 1 to 1000");
        }
        if self.priority > 9 {
            return wrong("priority", self.priority.to_string(), "write a number from 0 (first) to 9 (last)");
        }
        if let Some((id, Err(reason))) = self.id.as_ref().map(|id| (id, check_id(id))) {
            return wrong("id", id.clone(), reason);
        }
        let window = self.unique.as_ref().and_then(|unique| match unique.until {
            UniqueUntil::Window(window) => Some(window),
            UniqueUntil::Started | UniqueUntil::Done => None,
        });
        // Redis counts milliseconds.
        let shortest = Duration::from_millis(1);
        for (field, least, time) in [
            ("delay", Duration::ZERO, Some(self.delay)),
            ("unique_until", shortest, window),
            ("expires", Duration::ZERO, self.expires),
            ("backoff", Duration::ZERO, self.backoff.map(Pause::longest)),
            ("max_age", shortest, self.max_age),
            ("timeout", shortest, self.timeout),
        ] {
            let Some(time) = time else { continue };
            if time < least {
                return wrong(field, duration::format(time), "a time is at least 1ms");
            }
            if time > duration::LONGEST {
                return wrong(field, duration::format(time), "a time is at most 87600h, which is ten years");
            }
        }
        let key = self.unique.as_ref().map(|unique| &unique.key);
        if let Some(key) = key.filter(|key| key.is_empty() || key.len() > MAX_ID_BYTES) {
            return wrong("unique_key", key.clone(), "a key has 1 to 200 bytes");
        }
        Ok(())
    }

    /// Refuses times that contradict each other.
    fn check_times(&self, now_ms: i64) -> Result<(), QueueError> {
        let wrong = |field, value, reason| Err(QueueError::Value { field, value, reason });
        if let Some(run_at) = self.run_at.filter(|_| self.delay > Duration::ZERO) {
            return wrong("run_at", run_at.to_rfc3339(), "write `delay` or `run_at`, not both");
        }
        let until_due = self.run_at.and_then(|run_at| {
            let ms = run_at.timestamp_millis().saturating_sub(now_ms);
            u64::try_from(ms).ok().map(Duration::from_millis)
        });
        let until_due = until_due.unwrap_or(self.delay);
        if let Some(expires) = self.expires.filter(|expires| *expires <= until_due) {
            return wrong("expires", duration::format(expires), "it would expire before it is due");
        }
        if let Some(Pause::Exponential { base, cap }) = self.backoff.filter(|pause| !pause.is_ordered()) {
            let value = Pause::Exponential { base, cap }.to_string();
            return wrong("backoff", value, "the first pause is longer than the longest; swap the two");
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
            traceparent: self.trace.map(|trace| trace.to_string()),
            celery: None,
        }
    }

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

/// A checked job in the five arguments that the scripts take.
#[derive(Clone, Debug)]
pub(crate) struct Encoded {
    pub(crate) id: String,
    /// False when the caller has chosen the id.
    pub(crate) id_is_ours: bool,
    pub(crate) payload: Vec<u8>,
    delay_ms: u64,
    run_at_ms: i64,
    /// What the script has to know of the options; empty for most jobs.
    options: String,
}

impl Encoded {
    /// Checks everything that Redis would not.
    pub(crate) fn new(job: NewJob, catalog: &Catalog, now_ms: i64) -> Result<Self, QueueError> {
        catalog.check(&job.job, &job.args)?;
        // A Celery message may have expired in its list; a new job that has expired already is a mistake.
        if job.expires.is_some_and(|time| time < Duration::from_millis(1)) {
            let (field, reason) = ("expires", "a time is at least 1ms");
            return Err(QueueError::Value { field, value: format!("{:?}", Duration::ZERO), reason });
        }
        job.check_times(now_ms)?;
        Self::unchecked(job, now_ms, None)
    }

    /// Checks everything but the name and its arguments: what does not fit becomes a dead letter.
    pub(crate) fn unchecked(
        mut job: NewJob,
        now_ms: i64,
        celery: Option<Origin>,
    ) -> Result<Self, QueueError> {
        job.check()?;
        let longest_ms = i64::try_from(duration::LONGEST.as_millis()).unwrap_or(i64::MAX);
        if let Some(time) =
            job.run_at.filter(|time| time.timestamp_millis() > now_ms.saturating_add(longest_ms))
        {
            let reason = "a job can be enqueued for the next ten years";
            return Err(QueueError::Value { field: "run_at", value: time.to_rfc3339(), reason });
        }
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
    pub(crate) fn is_plain(&self) -> bool {
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
    let depth = depth(&bytes);
    if depth > MAX_DEPTH {
        return Err(wrong(format!("it is nested {depth} deep; {MAX_DEPTH} levels are allowed")));
    }
    Ok(bytes)
}

/// How deep a JSON text is nested.
fn depth(json: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// What an id can be: it is a part of addresses such as `/jobs/{id}`, where `.` and `..` mean another address.
pub(crate) fn check_id(id: &str) -> Result<(), &'static str> {
    if id.is_empty() || id.len() > MAX_ID_BYTES {
        return Err("an id has 1 to 200 bytes");
    }
    if matches!(id, "." | "..") {
        return Err("`.` and `..` cannot be part of an address; write another id");
    }
    if id == "history" {
        return Err("`/jobs/history` is another address; write another id");
    }
    Ok(())
}

/// Ids sort by the time at which they were made.
fn new_id() -> String {
    Uuid::now_v7().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_can_be_read() {
        // The arguments lie one level below the document.
        for (levels, is_stored) in [(0, true), (126, true), (127, false), (200, false)] {
            let mut args = json!("a \" [ {");
            for _ in 0..levels {
                args = json!([args]);
            }
            let payload = Payload { job: "echo".to_owned(), args, options: Options::default() };
            let bytes = serde_json::to_vec(&payload).unwrap();
            assert_eq!(bytes_of(&payload).is_ok(), is_stored, "{levels}");
            assert_eq!(Payload::parse(&bytes).is_ok(), is_stored, "{levels}");
        }
    }

    #[test]
    fn times_that_contradict_each_other_are_refused() {
        let secs = Duration::from_secs;
        let job = || NewJob::new("echo", json!({}));
        let at = |s| DateTime::from_timestamp(s, 0);
        let pause = |base, cap| Some(Pause::Exponential { base: secs(base), cap: secs(cap) });
        for (field, wrong) in [
            ("run_at", NewJob { run_at: at(200), delay: secs(1), ..job() }),
            ("expires", NewJob { delay: secs(10), expires: Some(secs(10)), ..job() }),
            ("expires", NewJob { run_at: at(200), expires: Some(secs(100)), ..job() }),
            ("backoff", NewJob { backoff: pause(10, 5), ..job() }),
        ] {
            let error = wrong.check_times(100_000).unwrap_err();
            assert!(matches!(&error, QueueError::Value { field: named, .. } if *named == field), "{error}");
        }
        for right in [
            NewJob { delay: secs(10), expires: Some(secs(11)), ..job() },
            // It is due already.
            NewJob { run_at: at(50), expires: Some(secs(1)), ..job() },
            NewJob { backoff: pause(10, 10), ..job() },
        ] {
            right.check_times(100_000).unwrap();
        }
    }
}
