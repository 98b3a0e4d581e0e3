//! Celery: unmodified clients enqueue for our workers, wait for results and revoke tasks.
//!
//! A worker that is configured so moves messages from Celery's lists into a queue ([`ingest`], [`scan`]),
//! where they are jobs like all others: they are leased, retried and counted. What a client waits for travels
//! along as the job's [`Origin`], and is stored in the same step as the outcome; [`results`] brings it to
//! another Redis where results belong there. [`control`] answers what clients broadcast to workers. The
//! protocol is in `message`, `value`, `reply`, `follow_up`, `inspect` and `revoke`, which are pure.

mod control;
mod follow_up;
mod ingest;
mod inspect;
mod message;
mod reply;
mod results;
mod revoke;
mod scan;
mod settings;
mod survey;
mod translate;
mod value;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

pub(crate) use self::control::Control;
use self::follow_up::{FollowUp, Outgoing};
pub(crate) use self::ingest::CeleryIngest;
pub(crate) use self::reply::Exception;
use self::reply::ReplyFields;
pub(crate) use self::results::ResultRelay;
pub use self::settings::{Settings, Task, Unknown};
pub use self::survey::CeleryList;

/// What a client wants to hear of a job.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Origin {
    /// The task's id; `lib.lua` reads this and the next.
    pub(crate) id: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    ignore_result: bool,
    /// The list that it was taken from.
    list: String,
    task: String,
    reply: ReplyFields,
    #[serde(skip_serializing_if = "FollowUp::is_empty")]
    follow_up: FollowUp,
    /// Whether the time limit is the soft one.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    soft: bool,
    #[serde(flatten)]
    backend: Backend,
}

/// Where a client looks for results; `lib.lua` reads both.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Backend {
    /// What stands before Celery's own keys.
    #[serde(skip_serializing_if = "String::is_empty")]
    results_prefix: String,
    /// Whether it is another Redis or another database than the queue's.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    relay: bool,
}

/// How an attempt ended, as a client hears it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ending<'a> {
    Succeeded(&'a Value),
    Retried(&'a str),
    Failed(Exception<'a>),
    Revoked(&'a str),
    Silent,
}

impl<'a> Ending<'a> {
    /// A job that failed for good.
    pub(crate) fn failed(error: &'a str) -> Self {
        if error.starts_with(crate::run::TIME_LIMIT) {
            return Self::Failed(Exception::time_limit(error));
        }
        Self::Failed(Exception::job(error))
    }
}

impl Origin {
    /// Celery has two exceptions for two time limits.
    fn with_own_limit<'a>(&self, ending: Ending<'a>) -> Ending<'a> {
        match ending {
            Ending::Failed(exception) if self.soft && exception.is_time_limit() => {
                Ending::Failed(Exception::soft_time_limit(exception.message))
            }
            ending => ending,
        }
    }

    /// What `settle.lua` stores and publishes together with the outcome.
    pub(crate) fn news(&self, ending: Ending<'_>, now: DateTime<Utc>) -> Map<String, Value> {
        let origin = follow_up::Origin { task: &self.reply, list: &self.list, now };
        // The same outcome may be offered twice; its followers are named the same both times.
        let mut count = 0;
        let new_id = || {
            count += 1;
            Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{}:{count}", self.id).as_bytes()).to_string()
        };
        let ending = self.with_own_limit(ending);
        let (text, followers) = match ending {
            Ending::Succeeded(result) => {
                let followers = follow_up::follow_ups(&self.follow_up, origin, result, new_id);
                (reply::success(&self.reply, result, &followers, now), followers)
            }
            Ending::Retried(error) => (reply::retry(&self.reply, Exception::job(error), None), Vec::new()),
            Ending::Failed(exception) => {
                let followers = follow_up::error_follow_ups(&self.follow_up, origin, new_id);
                (reply::failure(&self.reply, exception, None, now), followers)
            }
            Ending::Revoked(reason) => (reply::revoked(&self.reply, reason, now), Vec::new()),
            Ending::Silent => return Map::new(),
        };
        let mut replies = Vec::new();
        if !self.ignore_result {
            replies.push(self.backend.result(&self.id, &text));
        }
        if let Ending::Failed(exception) = ending {
            // A client that waits for the last of a chain would wait for ever.
            replies.extend(self.backend.failures(&self.follow_up.rest_of_chain(), exception, now));
        }
        let push = |message: &Outgoing| json!({ "list": message.list, "text": String::from_utf8_lossy(&message.envelope) });
        let pushes: Vec<Value> = followers.iter().map(push).collect();
        Map::from_iter([("replies".to_owned(), replies.into()), ("push".to_owned(), pushes.into())])
    }
}

impl Backend {
    /// Where the clients of these settings look.
    fn of(settings: &crate::Settings) -> Self {
        let celery = &settings.celery;
        let relay = celery.results_elsewhere(settings.url.as_ref()).is_some();
        Self { results_prefix: celery.result_key_prefix(), relay }
    }

    /// A result under the key where a client looks for it.
    fn result(&self, id: &str, text: &str) -> Value {
        let mut result =
            json!({ "key": format!("{}{}", self.results_prefix, reply::result_key(id)), "value": text });
        if self.relay {
            result["relay"] = json!(true);
        }
        result
    }

    /// The same failure for each of these tasks.
    fn failures(&self, ids: &[String], exception: Exception<'_>, now: DateTime<Utc>) -> Vec<Value> {
        let failure = |id: &String| {
            let to = ReplyFields { task_id: id.clone(), ..ReplyFields::default() };
            self.result(id, &reply::failure(&to, exception, None, now))
        };
        ids.iter().map(failure).collect()
    }
}
