//! Celery: unmodified clients enqueue for our workers, wait for results and call tasks off.
//!
//! A worker that is told to moves messages from Celery's lists into a queue ([`intake`]), where they are jobs like all
//! others: they are leased, retried and counted. What a client wants to hear of them travels along as the job's
//! [`Origin`], and is stored in the same step as the outcome. The protocol is in `message`, `value`, `reply`,
//! `follow_up` and `revoke`, which are pure.

mod follow_up;
mod intake;
mod message;
mod reply;
mod revoke;
mod value;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use self::follow_up::{FollowUp, Outgoing};
pub(crate) use self::intake::Intake;
pub(crate) use self::reply::Exception;
use self::reply::ReplyFields;

/// The `[celery]` section of dogwatch.toml.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Lists that Celery clients write to; none: nothing is taken.
    pub queues: Vec<String>,
    /// The queue of ours that they are moved into.
    pub into: String,
    /// By name of Celery's task: which job it is. A task whose name is a job's needs no entry.
    pub tasks: BTreeMap<String, Task>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { queues: Vec::new(), into: "default".to_owned(), tasks: BTreeMap::new() }
    }
}

/// How one task of Celery becomes a job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// The job.
    pub job: String,
    /// Names of the positional arguments, in their order.
    #[serde(default)]
    pub args: Vec<String>,
}

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
    /// What `settle.lua` stores and publishes together with the outcome.
    pub(crate) fn news(&self, ending: Ending<'_>, now: DateTime<Utc>) -> Map<String, Value> {
        let origin = follow_up::Origin { task: &self.reply, list: &self.list, now };
        // The same outcome may be offered twice; its followers are named the same both times.
        let mut count = 0;
        let new_id = || {
            count += 1;
            Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{}:{count}", self.id).as_bytes()).to_string()
        };
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
            replies.push(reply_of(&self.id, &text));
        }
        if let Ending::Failed(exception) = ending {
            // Whoever waits for the last of a chain would wait for ever.
            replies.extend(failures(&self.follow_up.rest_of_chain(), exception, now));
        }
        let push = |message: &Outgoing| json!({ "list": message.list, "text": String::from_utf8_lossy(&message.envelope) });
        let pushes: Vec<Value> = followers.iter().map(push).collect();
        Map::from_iter([("replies".to_owned(), replies.into()), ("push".to_owned(), pushes.into())])
    }
}

/// A result under the key where a client looks for it.
fn reply_of(id: &str, text: &str) -> Value {
    json!({ "key": reply::result_key(id), "value": text })
}

/// The same failure for each of these tasks.
fn failures(ids: &[String], exception: Exception<'_>, now: DateTime<Utc>) -> Vec<Value> {
    let failure = |id: &String| {
        let to = ReplyFields { task_id: id.clone(), ..ReplyFields::default() };
        reply_of(id, &reply::failure(&to, exception, None, now))
    };
    ids.iter().map(failure).collect()
}
