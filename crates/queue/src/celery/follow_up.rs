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
mod tests {
    use super::super::message::tests::{case, message};
    use super::super::message::{Message, decode};
    use super::super::reply::success;
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    /// The follow-ups of `message`, taken from `list`, with its new ids 1, 2, 3 …
    fn after(message: &Message, list: &str, error: bool) -> Vec<Outgoing> {
        let origin = Origin { task: &message.reply_fields, list, now: at("2026-11-23T10:38:49.885032Z") };
        let mut ids = (1..).map(|id: u32| id.to_string());
        let new_id = || ids.next().unwrap();
        // As it is kept in between.
        let kept: FollowUp = serde_json::from_value(json!(message.follow_up)).unwrap();
        assert_eq!(kept, message.follow_up);
        if error {
            error_follow_ups(&kept, origin, new_id)
        } else {
            follow_ups(&kept, origin, &json!({"x": 1}), new_id)
        }
    }

    fn sent(outgoing: &Outgoing) -> (Message, Value) {
        (decode(&outgoing.envelope).unwrap(), serde_json::from_slice(&outgoing.envelope).unwrap())
    }

    #[test]
    fn the_next_of_a_chain_gets_the_result_first_and_the_rest_to_pass_on() {
        let eta = json!({"__type__": "datetime", "__value__": "2030-01-01T00:00:00+00:00"});
        let chain = json!([
            {"task": "d", "args": [], "options": {"task_id": "id-d"}, "immutable": true, "chord_size": null},
            {"task": "c", "args": [3], "kwargs": null, "options": {"task_id": "id-c", "eta": eta}},
            {"task": "b", "args": [2], "kwargs": {"k": 1}, "options": {
                "task_id": "id-b", "reply_to": "me", "queue": "other", "priority": 5, "countdown": 30, "expires": 60,
                "time_limit": 9, "soft_time_limit": 8, "headers": {"k": "v"}, "stamped_headers": ["s"], "s": ["1"],
                "link": {"task": "cb"}, "link_error": [{"task": "eb"}],
            }, "subtask_type": null, "immutable": false},
        ]);
        let first = decode(&message(&json!([[1], {}, {"chain": chain}]), |envelope| {
            envelope["headers"]["root_id"] = json!("root");
            envelope["headers"]["traceparent"] = json!("00-a-b-01");
        }));
        let first = first.unwrap();
        assert_eq!(first.follow_up.rest_of_chain(), ["id-d", "id-c", "id-b"]);
        let outgoing = after(&first, "celery\x06\x169", false);
        assert_eq!((outgoing.len(), &*outgoing[0].id, &*outgoing[0].list), (1, "id-b", "other\x06\x163"));
        let (next, envelope) = sent(&outgoing[0]);
        assert_eq!((&*next.id, &*next.task, &next.args), ("id-b", "b", &vec![json!({"x": 1}), json!(2)]));
        assert_eq!((next.priority, next.traceparent.as_deref()), (Some(5), Some("00-a-b-01")));
        // As a Celery worker wrote these, but for what names the sender.
        let expected = json!({
            "lang": "rust", "task": "b", "id": "id-b", "shadow": null, "eta": "2026-11-23T10:39:19.885032+00:00",
            "expires": "2026-11-23T10:39:49.885032+00:00", "group": null, "group_index": null, "retries": 0,
            "timelimit": [9, 8], "root_id": "root", "parent_id": first.id, "argsrepr": null, "kwargsrepr": null,
            "origin": "dogwatch", "ignore_result": null, "replaced_task_nesting": 0, "stamped_headers": ["s"],
            "stamps": {"s": ["1"]}, "k": "v", "traceparent": "00-a-b-01",
        });
        assert_eq!(envelope["headers"], expected);
        let expected = json!({
            "correlation_id": "id-b", "reply_to": "me", "delivery_mode": 2, "expiration": "60000", "priority": 5,
            "delivery_info": {"exchange": "", "routing_key": "other"}, "body_encoding": "base64", "delivery_tag": "1",
        });
        assert_eq!(envelope["properties"], expected);
        let body = STANDARD.decode(envelope["body"].as_str().unwrap()).unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body[2]["callbacks"], json!([{"task": "cb"}]));
        assert_eq!(body[2]["errbacks"], json!([{"task": "eb"}]));
        assert_eq!(body[2]["chain"][0]["chord_size"], json!(null));
        assert_eq!(body[2]["chain"][1]["options"]["eta"], eta);

        let (second, _) = sent(&after(&next, &outgoing[0].list, false)[1]);
        assert_eq!(
            (&*second.task, second.args.len(), second.eta),
            ("c", 2, Some(at("2030-01-01T00:00:00Z")))
        );
        assert_eq!(second.reply_fields.root_id.as_deref(), Some("root"));
        let (third, _) = sent(&after(&second, "other", false)[0]);
        assert_eq!((&*third.task, third.args.len(), third.follow_up.chain.len()), ("d", 0, 0));
        assert_eq!(after(&third, "other", false), []);
        assert!(third.follow_up.is_empty() && !second.follow_up.is_empty());
    }

    #[test]
    fn links_are_called_with_the_result_and_named_as_children() {
        let one = decode(&case("link_linkerror_shadow")).unwrap();
        let outgoing = after(&one, "celery", false);
        let (callback, _) = sent(&outgoing[0]);
        assert_eq!(
            (&*callback.id, &*callback.task, &callback.args),
            ("1", "cb", &vec![json!({"x": 1}), json!(1)])
        );
        assert_eq!((outgoing.len(), callback.reply_fields.parent_id.as_deref()), (1, Some("my-id-1")));
        let children = |outgoing: &[Outgoing]| {
            let reply = success(&one.reply_fields, &json!(1), outgoing, DateTime::UNIX_EPOCH);
            serde_json::from_str::<Value>(&reply).unwrap()["children"].clone()
        };
        assert_eq!(children(&outgoing), json!([[["1", null], null]]));

        let links = json!([{"task": "cb1", "args": [9]}, {"task": "cb2", "args": [8], "immutable": true}]);
        let chain = json!([{"task": "n", "options": {"task_id": "id-n"}}]);
        let body = json!([[], {}, {"callbacks": links, "errbacks": links, "chain": chain}]);
        let many = decode(&message(&body, |_| {})).unwrap();
        let outgoing = after(&many, "celery", false);
        assert_eq!(
            children(&outgoing),
            json!([[["1", null], [[["2", null], null], [["4", null], null]]], [["id-n", null], null]])
        );
        let calls = |outgoing: &[Outgoing]| -> Vec<Value> {
            let sent =
                outgoing.iter().map(|outgoing| (sent(outgoing).0, sent(outgoing).1["headers"].clone()));
            sent.map(|(call, headers)| {
                json!([call.task, call.args, headers["group"], headers["group_index"]])
            })
            .collect()
        };
        let expected = [
            json!(["cb1", [{"x": 1}, 9], "1", 0]),
            json!(["cb2", [8], "1", 1]),
            json!(["n", [{"x": 1}], null, null]),
        ];
        assert_eq!(calls(&outgoing), expected);

        // After a failure: with the id instead, as a group even when there is but one, and no chain.
        let expected = [json!(["cb1", [many.id, 9], "1", 0]), json!(["cb2", [8], "1", 1])];
        assert_eq!(calls(&after(&many, "celery", true)), expected);
        assert_eq!(calls(&after(&one, "celery", true)), [json!(["eb", ["my-id-1"], "1", 0])]);
    }

    #[test]
    fn a_follow_up_goes_where_its_signature_says_or_where_the_task_came_from() {
        let list_for = |options: Value, from: &str, queue: &str| {
            let body = json!([[], {}, {"chain": [{"task": "b", "options": options}]}]);
            let read = decode(&message(&body, |envelope| {
                envelope["properties"]["delivery_info"]["routing_key"] = json!(queue);
            }));
            after(&read.unwrap(), from, false)[0].list.clone()
        };
        for (options, from, queue, expected) in [
            (json!({}), "celery", "celery", "celery"),
            (json!({}), "alerts\x06\x166", "alerts", "alerts"),
            (json!({"priority": 9}), "celery", "celery", "celery\x06\x169"),
            (json!({"priority": 2}), "celery", "celery", "celery"),
            (json!({"routing_key": "r"}), "celery", "celery", "r"),
            (json!({"routing_key": "r", "queue": "q"}), "celery", "celery", "q"),
            // A prefix of the client's holds for all its keys.
            (json!({}), "myapp:celery", "celery", "myapp:celery"),
            (json!({"queue": "q", "priority": 3}), "myapp:celery\x06\x163", "celery", "myapp:q\x06\x163"),
            // Not a queue but a key of a topic exchange.
            (json!({"queue": "q"}), "media", "media.video", "q"),
            (json!({}), "media", "media.video", "media"),
        ] {
            assert_eq!(list_for(options, from, queue), expected);
        }
    }
}
