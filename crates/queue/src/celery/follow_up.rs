//! The tasks that follow one that has ended: the next of a chain, `link` and `link_error`.
//!
//! They are written as a Celery client would write them, because a Python worker may take them as well as one of ours:
//! celery/canvas.py, celery/app/trace.py (`_dispatch_callbacks_and_chain`), celery/backends/base.py
//! (`_call_task_errbacks`, `_fail_chain`).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, json};

use super::message::{is_id, text};
use super::reply::{ReplyFields, iso};
use super::value;

/// A task to be called, as it stands in messages: Celery's `Signature`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Signature {
    task: String,
    #[serde(default, deserialize_with = "or_default")]
    args: Vec<Value>,
    #[serde(default, deserialize_with = "or_default")]
    kwargs: Map<String, Value>,
    #[serde(default, deserialize_with = "or_default")]
    options: Map<String, Value>,
    #[serde(default)]
    subtask_type: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    immutable: bool,
    /// What other versions of Celery write; it is passed on.
    #[serde(flatten)]
    more: Map<String, Value>,
}

fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(json: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(json)?.unwrap_or_default())
}

impl Signature {
    /// True for a group, a chain or a chord, and for the part of one that a chord waits for.
    pub(super) fn is_composed(&self) -> bool {
        self.subtask_type.is_some() || self.options.get("chord").is_some_and(|chord| !chord.is_null())
    }

    fn option(&self, name: &str) -> Value {
        // A time or an id may be of a type that JSON does not have.
        let value = self.options.get(name).cloned().unwrap_or_default();
        value::plain(value).unwrap_or_default()
    }
}

/// What a message says of the time after its task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct FollowUp {
    /// The rest of the chain in reverse: the next one is last.
    pub(crate) chain: Vec<Signature>,
    /// To call with the result.
    pub(crate) callbacks: Vec<Signature>,
    /// To call with the id of a task that failed.
    pub(crate) errbacks: Vec<Signature>,
    /// The queue as the client called it: the list without its prefix and its priority.
    pub(crate) queue: Option<String>,
    pub(crate) traceparent: Option<String>,
}

/// A message to push (`LPUSH list envelope`).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Outgoing {
    pub(crate) id: String,
    /// The group that was made of it and others.
    pub(super) group: Option<String>,
    pub(crate) list: String,
    pub(crate) envelope: Vec<u8>,
}

/// What of the ended task its followers are told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin<'a> {
    pub(crate) task: &'a ReplyFields,
    /// The list it was taken from.
    pub(crate) list: &'a str,
    pub(crate) now: DateTime<Utc>,
}

/// The messages to push after a success: `link` first, then the next of the chain. `new_id` names what has no id yet;
/// where it names the same again, a repeated call writes the same messages.
pub(crate) fn follow_ups(
    follow_up: &FollowUp,
    origin: Origin<'_>,
    result: &Value,
    mut new_id: impl FnMut() -> String,
) -> Vec<Outgoing> {
    let group = (follow_up.callbacks.len() > 1).then(&mut new_id);
    let mut publisher = Publisher { follow_up, origin, new_id };
    let mut outgoing = publisher.send_all(&follow_up.callbacks, result, group.as_deref());
    if let Some((next, rest)) = follow_up.chain.split_last() {
        outgoing.push(publisher.send(next, result, None, Some(rest)));
    }
    outgoing
}

/// The messages to push after the last failure. Celery calls an errback of more than one argument within the worker;
/// one that the worker does not know, and so each of them here, is sent as a task that gets the id of the failed one.
pub(crate) fn error_follow_ups(
    follow_up: &FollowUp,
    origin: Origin<'_>,
    mut new_id: impl FnMut() -> String,
) -> Vec<Outgoing> {
    let group = (!follow_up.errbacks.is_empty()).then(&mut new_id);
    let mut publisher = Publisher { follow_up, origin, new_id };
    publisher.send_all(&follow_up.errbacks, &json!(origin.task.task_id), group.as_deref())
}

impl FollowUp {
    /// Whether nothing follows, as after most tasks.
    pub(crate) fn is_empty(&self) -> bool {
        self.chain.is_empty() && self.callbacks.is_empty() && self.errbacks.is_empty()
    }

    /// The ids of the rest of the chain, which a client may wait for: when the task fails, each of them fails with it.
    pub(crate) fn rest_of_chain(&self) -> Vec<String> {
        let ids = self.chain.iter().filter_map(|signature| text(&signature.option("task_id")));
        ids.filter(|id| is_id(id)).collect()
    }
}

/// The ids that stand in signatures, however they are composed.
pub(super) fn waiting(signatures: &Value) -> Vec<String> {
    match signatures {
        Value::Array(many) => many.iter().flat_map(waiting).collect(),
        Value::Object(one) => {
            let own = one.get("options").and_then(|options| text(&options["task_id"])).filter(|id| is_id(id));
            let parts = one.get("kwargs").filter(|_| one.get("subtask_type").is_some_and(Value::is_string));
            let parts = parts.map(|parts| ["tasks", "header", "body"].map(|name| waiting(&parts[name])));
            own.into_iter().chain(parts.into_iter().flatten().flatten()).collect()
        }
        _ => Vec::new(),
    }
}

/// Celery puts a priority into one of these steps, each a list of its own; the first has no suffix.
const PRIORITY_STEPS: [u64; 4] = [0, 3, 6, 9];
const PRIORITY_SEPARATOR: &str = "\x06\x16";

struct Publisher<'a, F> {
    follow_up: &'a FollowUp,
    origin: Origin<'a>,
    new_id: F,
}

impl<F: FnMut() -> String> Publisher<'_, F> {
    fn send_all(&mut self, signatures: &[Signature], first: &Value, group: Option<&str>) -> Vec<Outgoing> {
        let each = signatures.iter().enumerate();
        each.map(|(index, signature)| self.send(signature, first, group.map(|id| (id, index)), None))
            .collect()
    }

    fn send(
        &mut self,
        signature: &Signature,
        first: &Value,
        group: Option<(&str, usize)>,
        chain: Option<&[Signature]>,
    ) -> Outgoing {
        let id = text(&signature.option("task_id")).unwrap_or_else(&mut self.new_id);
        let delivery_tag = (self.new_id)();
        let mut args = signature.args.clone();
        if !signature.immutable {
            args.insert(0, first.clone());
        }
        // What follows in turn is not ours to read: its values keep their types.
        let raw = |name| signature.options.get(name);
        let chain = chain.map_or_else(|| json!(raw("chain")), |rest| json!(rest));
        let embed = json!({
            "callbacks": list(raw("link")), "errbacks": list(raw("link_error")), "chain": chain, "chord": null,
        });
        let headers = self.headers(signature, &id, group);
        let priority = signature.option("priority").as_u64().unwrap_or_default();
        let queue = text(&signature.option("queue")).or_else(|| text(&signature.option("routing_key")));
        let (prefix, home) = self.home();
        let queue = queue.as_deref().unwrap_or(home);
        let mut properties = json!({
            "correlation_id": id, "reply_to": text(&signature.option("reply_to")).unwrap_or_default(),
            "delivery_mode": 2, "delivery_info": {"exchange": "", "routing_key": queue}, "priority": priority,
            "body_encoding": "base64", "delivery_tag": delivery_tag,
        });
        if let Some(expires) = headers["expires"].as_str().and_then(value::time) {
            let lifetime = (expires - self.origin.now).num_milliseconds().max(0);
            properties["expiration"] = json!(lifetime.to_string());
        }
        let envelope = json!({
            "body": STANDARD.encode(json!([args, signature.kwargs, embed]).to_string()),
            "content-encoding": "utf-8", "content-type": "application/json",
            "headers": headers, "properties": properties,
        });
        let step = PRIORITY_STEPS.iter().rfind(|step| **step <= priority).filter(|step| **step > 0);
        let suffix = step.map_or_else(String::new, |step| format!("{PRIORITY_SEPARATOR}{step}"));
        Outgoing {
            id,
            group: group.map(|(id, _)| id.to_owned()),
            list: format!("{prefix}{queue}{suffix}"),
            envelope: envelope.to_string().into_bytes(),
        }
    }

    fn headers(&self, signature: &Signature, id: &str, group: Option<(&str, usize)>) -> Value {
        let option = |name: &str| signature.option(name);
        let Origin { task: parent, now, .. } = self.origin;
        // Seconds from now, or a time.
        let from_now = |seconds: &Value| {
            let seconds = seconds.as_f64()?.clamp(-1e12, 1e12);
            #[expect(clippy::cast_possible_truncation, reason = "clamped; Celery's times have microseconds")]
            now.checked_add_signed(TimeDelta::microseconds((seconds * 1e6) as i64))
                .map(|time| json!(iso(time)))
        };
        let countdown = from_now(&option("countdown")).filter(|_| option("countdown").as_f64() != Some(0.0));
        let own_group = option("group_id");
        let stamps = option("stamped_headers");
        let stamped = stamps.as_array().into_iter().flatten().filter_map(Value::as_str);
        let mut headers = json!({
            "lang": "rust", "task": signature.task, "id": id, "shadow": option("shadow"),
            "eta": countdown.unwrap_or_else(|| option("eta")),
            "expires": from_now(&option("expires")).unwrap_or_else(|| option("expires")),
            "group": if own_group.is_null() { json!(group.map(|(id, _)| id)) } else { own_group },
            "group_index": group.map_or_else(|| option("group_index"), |(_, index)| json!(index)),
            "retries": 0, "timelimit": [option("time_limit"), option("soft_time_limit")],
            "root_id": parent.root_id.as_deref().unwrap_or(&parent.task_id), "parent_id": parent.task_id,
            "argsrepr": null, "kwargsrepr": null, "origin": "dogwatch", "ignore_result": option("ignore_result"),
            "replaced_task_nesting": 0,
            "stamps": stamped.map(|name| (name.to_owned(), option(name))).collect::<Map<_, _>>(),
            "stamped_headers": stamps,
        });
        if let (Value::Object(more), Some(headers)) = (option("headers"), headers.as_object_mut()) {
            headers.extend(more);
        }
        if let (Some(trace), Value::Null) = (&self.follow_up.traceparent, &headers["traceparent"]) {
            headers["traceparent"] = json!(trace);
        }
        headers
    }

    /// The list that the ended task came from, in the prefix that a client may put before all keys, and the queue.
    fn home(&self) -> (&str, &str) {
        let list = self.origin.list.split(PRIORITY_SEPARATOR).next().unwrap_or_default();
        let prefix = self.follow_up.queue.as_deref().and_then(|queue| list.strip_suffix(queue));
        prefix.map_or(("", list), |prefix| list.split_at(prefix.len()))
    }
}

/// `link` may be one signature or many.
fn list(signatures: Option<&Value>) -> Value {
    match signatures {
        Some(one @ Value::Object(_)) => json!([one]),
        Some(other) => other.clone(),
        None => Value::Null,
    }
}

#[cfg(test)]
mod tests;
