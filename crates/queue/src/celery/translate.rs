//! A message as a job: what is run, what is refused, and what is left to Celery's own workers.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::message::{Message, Refusal, decode, is_id};
use super::reply::{self, Exception, ReplyFields};
use super::{Backend, Ending, Origin, Settings, Task, Unknown, value};
use crate::error::QueueError;
use crate::new_job::{Encoded, NewJob};
use crate::registry::Catalog;

/// The origin that [`filler`] writes.
const FILLER: &str = "dogwatch-filler";

/// Translates messages for one worker.
pub(super) struct Translator {
    pub(super) catalog: Catalog,
    pub(super) settings: Settings,
    pub(super) backend: Backend,
}

/// What happens to a message.
pub(super) enum Verdict {
    /// It is moved: as a job, or as a dead letter.
    Move(Moved),
    /// It stays in the list; with its task, where it names one.
    Leave(Option<String>),
    /// It is a filler of ours.
    Remove,
}

/// A message in the arguments of `intake.lua`.
pub(super) struct Moved {
    /// Why it is a dead letter; empty for one that is run.
    pub(super) reason: String,
    pub(super) task: String,
    pub(super) job: Encoded,
}

/// As much of an envelope as says what its task is; the rest costs no memory.
#[derive(Deserialize)]
struct Named {
    headers: Headers,
}

#[derive(Deserialize)]
struct Headers {
    task: String,
    #[serde(default)]
    origin: Option<String>,
}

impl Translator {
    /// What happens to a message of this list.
    pub(super) fn judge(
        &self,
        raw: &[u8],
        list: &str,
        priority: u8,
        now: DateTime<Utc>,
    ) -> Result<Verdict, QueueError> {
        let named = serde_json::from_slice::<Named>(raw).ok().map(|named| named.headers);
        if named.as_ref().is_some_and(|headers| headers.origin.as_deref() == Some(FILLER)) {
            return Ok(Verdict::Remove);
        }
        let leaves = self.settings.unknown == Unknown::Leave;
        if let Some(headers) = named.filter(|headers| leaves && !self.knows(&headers.task)) {
            return Ok(Verdict::Leave(Some(headers.task)));
        }
        let message = match decode(raw) {
            Ok(message) => message,
            Err(refusal) if leaves && !refusal.task.as_deref().is_some_and(|task| self.knows(task)) => {
                return Ok(Verdict::Leave(refusal.task));
            }
            Err(refusal) => return Ok(Verdict::Move(self.refuse(raw, refusal, now)?)),
        };
        if leaves && !self.knows(&message.task) {
            return Ok(Verdict::Leave(Some(message.task)));
        }
        let (id, task) = (message.id.clone(), message.task.clone());
        // Too large, for instance: refused like one that cannot be read.
        let moved = self.translate(message, list, priority, now).or_else(|error| {
            let (exc_type, exc_module) = ("InvalidTaskError", "celery.exceptions");
            let (id, task, dependents) = (Some(id), Some(task), Box::default());
            let refusal = Refusal { id, task, reason: error.to_string(), exc_type, exc_module, dependents };
            self.refuse(raw, refusal, now)
        });
        moved.map(Verdict::Move)
    }

    /// Whether a worker of ours runs this task.
    fn knows(&self, task: &str) -> bool {
        let job = self.settings.tasks.get(task).map_or(task, |task| &task.job);
        self.catalog.contains(job)
    }

    fn translate(
        &self,
        message: Message,
        list: &str,
        priority: u8,
        now: DateTime<Utc>,
    ) -> Result<Moved, QueueError> {
        let own_name = Task { job: message.task.clone(), args: Vec::new() };
        let task = self.settings.tasks.get(&message.task).unwrap_or(&own_name);
        let Message { id, args, kwargs, .. } = message.clone();
        let args = value::into_args(args, kwargs, &task.args);
        let wrong = match &args {
            Err(reason) => Some(format!("task() {reason}")),
            Ok(args) => self.catalog.check(&task.job, args).err().map(|error| error.to_string()),
        };
        let origin = Origin {
            id: id.clone(),
            ignore_result: message.ignore_result,
            list: list.to_owned(),
            task: message.task.clone(),
            reply: message.reply_fields.clone(),
            follow_up: message.follow_up.clone(),
            soft: message.soft_limit.is_some_and(|soft| message.hard_limit.is_none_or(|hard| soft < hard)),
            backend: self.backend.clone(),
        };
        let expires = message.expires.map(|at| (at - now).to_std().unwrap_or_default());
        let job = NewJob {
            queue: self.settings.into.clone(),
            id: Some(id),
            run_at: message.eta,
            priority,
            expires: [expires, message.expires_in].into_iter().flatten().min(),
            // Both limits end an attempt here, so the smaller one holds.
            timeout: [message.hard_limit, message.soft_limit].into_iter().flatten().min(),
            trace: message.traceparent.as_deref().and_then(|text| text.parse().ok()),
            ..NewJob::new(&task.job, args.unwrap_or_else(|_| json!(message.args)))
        };
        let now_ms = now.timestamp_millis();
        let Some(reason) = wrong else {
            let job = Encoded::unchecked(job, now_ms, Some(origin))?;
            return Ok(Moved { reason: String::new(), task: message.task, job });
        };
        let exception = if self.catalog.contains(&task.job) {
            Exception::arguments(&reason)
        } else {
            Exception::not_registered(&message.task)
        };
        let news = origin.news(Ending::Failed(exception), now);
        let job = Encoded::unchecked(job, now_ms, Some(origin))?.with_news(&Value::Object(news));
        Ok(Moved { reason, task: message.task, job })
    }

    /// A message that cannot be read: kept raw, and its sender gets an exception.
    fn refuse(&self, raw: &[u8], refusal: Refusal, now: DateTime<Utc>) -> Result<Moved, QueueError> {
        let Refusal { id, task, reason, exc_type, exc_module, dependents } = refusal;
        let exception = Exception { exc_type, exc_module, message: &reason };
        let mut replies = self.backend.failures(&dependents, exception, now);
        if let Some(id) = &id {
            let to = ReplyFields { task_id: id.clone(), ..ReplyFields::default() };
            replies.push(self.backend.result(id, &reply::failure(&to, exception, None, now)));
        }
        let task: String = task.unwrap_or_default().chars().take(200).collect();
        let job = NewJob {
            queue: self.settings.into.clone(),
            // An id that is too long for a job is answered all the same.
            id: Some(id.filter(|id| is_id(id)).unwrap_or_else(|| Uuid::now_v7().to_string())),
            ..NewJob::new(task.clone(), Value::Null)
        };
        let job = Encoded::raw(job, raw, now.timestamp_millis())?.with_news(&json!({ "replies": replies }));
        Ok(Moved { reason, task, job })
    }
}

/// A message that takes the place of one that was moved from the middle of a long list, where to remove it
/// would take Redis too long. Celery's workers drop it, since it has expired; ours remove it near the ends of
/// the list.
pub(super) fn filler() -> String {
    let id = Uuid::now_v7().to_string();
    let body = "W1tdLCB7fSwge31d";
    let headers = json!({
        "lang": "py", "task": "celery.accumulate", "id": id, "shadow": null, "eta": null,
        "expires": "2000-01-01T00:00:00+00:00", "group": null, "group_index": null, "retries": 0,
        "timelimit": [null, null], "root_id": id, "parent_id": null, "argsrepr": "()", "kwargsrepr": "{}",
        "origin": FILLER, "ignore_result": true, "replaced_task_nesting": 0, "stamped_headers": null,
        "stamps": {},
    });
    let properties = json!({
        "correlation_id": id, "reply_to": "", "delivery_mode": 2,
        "delivery_info": {"exchange": "", "routing_key": "celery"}, "priority": 0, "body_encoding": "base64",
        "delivery_tag": id,
    });
    json!({
        "body": body, "content-encoding": "utf-8", "content-type": "application/json",
        "headers": headers, "properties": properties,
    })
    .to_string()
}
