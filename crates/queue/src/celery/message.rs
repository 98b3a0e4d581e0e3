//! What a Celery client wrote, read.
//!
//! A client pushes one JSON envelope a task onto a list. Here its bytes become a [`Message`], or a [`Refusal`] that
//! tells the client why not: whatever was sent, nobody waits in vain for an answer. Nothing is taken on trust, since
//! anybody who reaches Redis can write there: sizes are bounded before they are paid for, only JSON is ever decoded,
//! and what is not understood is refused rather than left out. The protocol is that of kombu and Celery 5, versions 2
//! and 1: celery/app/amqp.py, kombu/transport/virtual/base.py.

use std::io::Read;
use std::time::Duration;

use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::follow_up::{FollowUp, Signature, waiting};
use super::reply::ReplyFields;
use super::value;

/// A larger message is not looked into, nor a body that inflates to more: a kilobyte of zlib can become a megabyte.
const MAX_BYTES: usize = 4 * 1024 * 1024;
/// As for any other job.
const MAX_ID_BYTES: usize = 200;

/// A task that a client has sent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Message {
    pub(crate) id: String,
    pub(crate) task: String,
    pub(crate) args: Vec<Value>,
    pub(crate) kwargs: Map<String, Value>,
    pub(crate) eta: Option<DateTime<Utc>>,
    pub(crate) expires: Option<DateTime<Utc>>,
    /// The same from its arrival on, for clients that write only this. `expires` counts the time in the list as well.
    pub(crate) expires_in: Option<Duration>,
    pub(crate) hard_limit: Option<Duration>,
    pub(crate) soft_limit: Option<Duration>,
    /// 0 is first, and what clients write who choose none.
    pub(crate) priority: Option<u8>,
    pub(crate) ignore_result: bool,
    /// Attempts that were made elsewhere.
    pub(crate) retries: u32,
    pub(crate) follow_up: FollowUp,
    pub(crate) reply_fields: ReplyFields,
    pub(crate) traceparent: Option<String>,
}

/// A message that is not run, and what its sender is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Absent when the message does not even say this much.
    pub(crate) id: Option<String>,
    pub(crate) task: Option<String>,
    pub(crate) reason: String,
    /// The exception that `AsyncResult.get()` raises.
    pub(crate) exc_type: &'static str,
    pub(crate) exc_module: &'static str,
    /// Other ids that a client may wait for and that will not run either: the rest of a chain, the body of a chord.
    pub(crate) dependents: Box<[String]>,
}

/// Why a message is refused: the exception, its module, the words.
pub(super) struct Fault(&'static str, &'static str, String);

fn unreadable(reason: String) -> Fault {
    Fault("DecodeError", "kombu.exceptions", reason)
}

fn invalid(reason: String) -> Fault {
    Fault("InvalidTaskError", "celery.exceptions", reason)
}

/// The outer JSON of everything that kombu sends.
#[derive(Deserialize)]
pub(super) struct Envelope {
    #[serde(default)]
    body: Value,
    #[serde(default, rename = "content-type")]
    content_type: Value,
    #[serde(default)]
    headers: Value,
    #[serde(default)]
    properties: Value,
}

/// As much of an envelope as tells whom to answer; the rest costs no memory.
#[derive(Deserialize)]
struct Sender {
    headers: Named,
}

#[derive(Deserialize)]
struct Named {
    id: String,
    task: String,
}

/// Reads a message as it stood in the list.
pub(crate) fn decode(raw: &[u8]) -> Result<Message, Refusal> {
    if raw.len() > MAX_BYTES {
        let fault = unreadable(format!("{} bytes are too many; {MAX_BYTES} are allowed", raw.len()));
        return Err(match serde_json::from_slice(raw) {
            Ok(Sender { headers: Named { id, task } }) => fault.told(Some(id), Some(task)),
            Err(_) => fault.told(None, None),
        });
    }
    let envelope: Envelope = serde_json::from_slice(raw).map_err(|error| {
        unreadable(format!("the message is no envelope of kombu: {error}")).told(None, None)
    })?;
    // Clients write the id here as well, outside of a body that may be unreadable.
    let spare_id = || text(&envelope.properties["correlation_id"]);
    let (id, task) = (text(&envelope.headers["id"]).or_else(spare_id), text(&envelope.headers["task"]));
    let body = envelope.json().map_err(|fault| fault.told(id.clone(), task.clone()))?;
    let call = Call::new(&envelope, body).map_err(|fault| fault.told(id.clone(), task))?;
    let (id, task) = (text(&call.fields["id"]).or(id), text(&call.fields["task"]));
    let parts = ["chain", "chord", "callbacks"].map(|part| waiting(&call.embed[part]));
    let message = call.message(&envelope.properties);
    message.map_err(|fault| Refusal { dependents: parts.concat().into(), ..fault.told(id, task) })
}

impl Fault {
    fn told(self, id: Option<String>, task: Option<String>) -> Refusal {
        let Self(exc_type, exc_module, reason) = self;
        Refusal {
            id: id.filter(|id| is_id(id)),
            task,
            reason,
            exc_type,
            exc_module,
            dependents: Box::default(),
        }
    }
}

impl Envelope {
    /// The body, which has to be JSON.
    pub(super) fn json(&self) -> Result<Value, Fault> {
        let content = self.content_type.as_str().unwrap_or("application/json");
        if content.split(';').next().map(str::trim) != Some("application/json") {
            let kind = if content.contains("python-serialize") { "pickled Python" } else { content };
            let reason = format!("the body is {kind}; set task_serializer = \"json\" at the client");
            return Err(Fault("ContentDisallowed", "kombu.exceptions", reason));
        }
        let body = self.body.as_str().ok_or_else(|| unreadable("the body is no string".to_owned()))?;
        let bytes = match text(&self.properties["body_encoding"]).as_deref() {
            None => body.as_bytes().to_vec(),
            Some("base64") => {
                let config =
                    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
                let decoded = GeneralPurpose::new(&base64::alphabet::STANDARD, config).decode(body);
                decoded.map_err(|error| unreadable(format!("the body is no base64: {error}")))?
            }
            Some(other) => return Err(unreadable(format!("body_encoding `{other}` is unknown; use base64"))),
        };
        let bytes = match text(&self.headers["compression"]).as_deref() {
            None => bytes,
            // What this name stands for at kombu is zlib's format, not gzip's.
            Some("application/x-gzip" | "zlib" | "gzip") => inflate(&bytes)?,
            Some(other) => {
                let reason = format!(
                    "the body is compressed as {other}; set task_compression = \"zlib\" at the client"
                );
                return Err(unreadable(reason));
            }
        };
        serde_json::from_slice(&bytes).map_err(|error| unreadable(format!("the body is no JSON: {error}")))
    }
}

fn inflate(bytes: &[u8]) -> Result<Vec<u8>, Fault> {
    let mut inflated = Vec::new();
    let limit = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX);
    let read = flate2::read::ZlibDecoder::new(bytes).take(limit + 1).read_to_end(&mut inflated);
    read.map_err(|error| unreadable(format!("the body is no zlib stream: {error}")))?;
    if inflated.len() > MAX_BYTES {
        return Err(unreadable(format!("the body inflates to more than {MAX_BYTES} bytes")));
    }
    Ok(inflated)
}

/// What both versions of the protocol come down to.
struct Call {
    args: Value,
    kwargs: Value,
    /// What follows: `callbacks`, `errbacks`, `chain`, `chord`.
    embed: Value,
    /// Everything that describes the task: the headers of version 2, the body of version 1.
    fields: Value,
}

impl Call {
    fn new(envelope: &Envelope, body: Value) -> Result<Self, Fault> {
        let headers = envelope.headers.as_object().cloned().unwrap_or_default();
        match body {
            Value::Array(parts) if headers.contains_key("task") && (2..=3).contains(&parts.len()) => {
                let mut parts = parts.into_iter();
                let mut part = || parts.next().unwrap_or_default();
                Ok(Self { args: part(), kwargs: part(), embed: part(), fields: Value::Object(headers) })
            }
            Value::Object(mut body) => {
                let mut part = |name| body.remove(name).unwrap_or_default();
                let (args, kwargs) = (part("args"), part("kwargs"));
                let embed = Value::Object(body.clone());
                body.extend(headers);
                Ok(Self { args, kwargs, embed, fields: Value::Object(body) })
            }
            _ => Err(invalid("the message is neither of protocol 2 nor of 1".to_owned())),
        }
    }

    fn message(self, properties: &Value) -> Result<Message, Fault> {
        let fields = &self.fields;
        let id = text(&fields["id"]).ok_or_else(|| invalid("the message has no id".to_owned()))?;
        if !is_id(&id) {
            return Err(invalid(format!("an id of {} bytes; 1 to {MAX_ID_BYTES} are allowed", id.len())));
        }
        let task = text(&fields["task"]).ok_or_else(|| invalid("the message names no task".to_owned()))?;
        let wrong = |what| move |reason| invalid(format!("{what}: {reason}"));
        let args = match value::plain(self.args).map_err(wrong("args"))? {
            Value::Null => Vec::new(),
            Value::Array(args) => args,
            other => return Err(invalid(format!("args: `{other}` is no list"))),
        };
        let kwargs = match value::plain(self.kwargs).map_err(wrong("kwargs"))? {
            Value::Null => Map::new(),
            Value::Object(kwargs) => kwargs,
            other => return Err(invalid(format!("kwargs: `{other}` is no mapping"))),
        };
        let retries = fields["retries"].as_u64().unwrap_or_default();
        let expires_in =
            text(&properties["expiration"]).and_then(|ms| ms.parse().ok()).map(Duration::from_millis);
        let traceparent = text(&fields["traceparent"]).filter(|text| text.len() <= MAX_ID_BYTES);
        Ok(Message {
            reply_fields: ReplyFields {
                task_id: id.clone(),
                group_id: text(&fields["group"]).or_else(|| text(&fields["taskset"])),
                parent_id: text(&fields["parent_id"]),
                root_id: text(&fields["root_id"]),
            },
            follow_up: follow_up(&self.embed, properties, traceparent.clone())?,
            id,
            task,
            args,
            kwargs,
            eta: time(fields, "eta")?,
            expires: time(fields, "expires")?,
            expires_in,
            // The other way round than Celery's manual has it, but this is what its code writes and reads.
            hard_limit: limit(&fields["timelimit"][0])?,
            soft_limit: limit(&fields["timelimit"][1])?,
            priority: properties["priority"].as_u64().map(|n| u8::try_from(n).unwrap_or(u8::MAX)),
            ignore_result: fields["ignore_result"].as_bool().unwrap_or_default(),
            retries: u32::try_from(retries).unwrap_or(u32::MAX),
            traceparent,
        })
    }
}

fn follow_up(embed: &Value, properties: &Value, traceparent: Option<String>) -> Result<FollowUp, Fault> {
    let unsupported = |what| {
        let reason = format!("{what} is not supported; send the tasks one by one and collect their results");
        Err(Fault("NotImplementedError", "builtins", reason))
    };
    if embed["chord"].as_object().is_some_and(|chord| !chord.is_empty()) {
        return unsupported("a chord");
    }
    let signatures = |part| match &embed[part] {
        one @ Value::Object(_) => read(part, std::slice::from_ref(one)),
        Value::Array(many) => read(part, many),
        _ => Ok(Vec::new()),
    };
    let follow_up = FollowUp {
        chain: signatures("chain")?,
        callbacks: signatures("callbacks")?,
        errbacks: signatures("errbacks")?,
        queue: text(&properties["delivery_info"]["routing_key"]),
        traceparent,
    };
    // What stands further behind in a chain is for the worker that runs the task before it.
    let to_publish =
        follow_up.chain.last().into_iter().chain(&follow_up.callbacks).chain(&follow_up.errbacks);
    if to_publish.into_iter().any(Signature::is_composed) {
        return unsupported("a group, chain or chord inside a chain or as a link");
    }
    Ok(follow_up)
}

fn read(part: &str, signatures: &[Value]) -> Result<Vec<Signature>, Fault> {
    let each = signatures.iter().map(Signature::deserialize);
    each.collect::<Result<_, _>>().map_err(|error| invalid(format!("{part}: {error}")))
}

fn time(fields: &Value, name: &str) -> Result<Option<DateTime<Utc>>, Fault> {
    match &fields[name] {
        Value::Null => Ok(None),
        Value::String(text) if value::time(text).is_some() => Ok(value::time(text)),
        other => Err(invalid(format!("{name}: `{other}` is no ISO 8601 time"))),
    }
}

fn limit(seconds: &Value) -> Result<Option<Duration>, Fault> {
    if seconds.is_null() {
        return Ok(None);
    }
    let limit = seconds.as_f64().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let limit = limit.ok_or_else(|| invalid(format!("timelimit: `{seconds}` is no number of seconds")))?;
    // Celery takes 0 for no limit.
    Ok(Some(limit).filter(|limit| !limit.is_zero()))
}

/// A string with something in it; a number, which Python lets pass as an id, as a string.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

pub(super) fn is_id(id: &str) -> bool {
    (1..=MAX_ID_BYTES).contains(&id.len())
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::follow_up::{Origin, error_follow_ups, follow_ups};
    use super::super::reply;
    use super::super::revoke::revocation;
    use super::*;
    use base64::engine::general_purpose::STANDARD;
    use serde_json::json;

    /// Messages that a Celery 5.6 client wrote: name of the case, and the message.
    pub(crate) fn golden() -> impl Iterator<Item = (String, Vec<u8>)> {
        include_str!("../../tests/celery/golden.jsonl").lines().map(|line| {
            let case: Value = serde_json::from_str(line).unwrap();
            (text(&case["case"]).unwrap(), text(&case["raw"]).unwrap().into_bytes())
        })
    }

    pub(crate) fn case(name: &str) -> Vec<u8> {
        golden().find(|(case, _)| case == name).unwrap().1
    }

    /// A message of protocol 2 with this body; `change` may change anything else.
    pub(crate) fn message(body: &Value, change: impl FnOnce(&mut Value)) -> Vec<u8> {
        let mut envelope: Value = serde_json::from_slice(&case("plain_kwargs")).unwrap();
        envelope["body"] = json!(STANDARD.encode(body.to_string()));
        change(&mut envelope);
        envelope.to_string().into_bytes()
    }

    /// All that a message says beyond its id, without what is absent.
    fn summary(message: &Message) -> Value {
        let tasks = |signatures: &[Signature]| {
            signatures.iter().map(|signature| json!(signature)["task"].clone()).collect::<Value>()
        };
        let ms = |time: Option<Duration>| time.map(|time| time.as_millis());
        let Message { follow_up: follow, reply_fields: reply, .. } = message;
        assert_eq!((&reply.task_id, &follow.traceparent), (&message.id, &message.traceparent));
        assert_eq!(reply.root_id.as_ref().unwrap_or(&message.id), &message.id);
        let mut summary = json!({
            "task": message.task, "args": message.args, "kwargs": message.kwargs, "eta": message.eta,
            "expires": message.expires, "expires_in": ms(message.expires_in), "hard": ms(message.hard_limit),
            "soft": ms(message.soft_limit), "priority": message.priority.filter(|n| *n != 0),
            "ignore": message.ignore_result, "retries": message.retries, "trace": message.traceparent,
            "queue": follow.queue, "chain": tasks(&follow.chain), "callbacks": tasks(&follow.callbacks),
            "errbacks": tasks(&follow.errbacks), "group": reply.group_id, "parent": reply.parent_id,
        });
        let absent = [json!(null), json!([]), json!({}), json!(false), json!(0), json!("celery"), json!("x")];
        summary.as_object_mut().unwrap().retain(|_, value| !absent.contains(value));
        summary
    }

    #[test]
    fn every_golden_message_is_read_as_it_was_meant() {
        let check = "threshold_check";
        let mut read = 0;
        for (case, raw) in golden() {
            let envelope: Value = serde_json::from_slice(&raw).unwrap();
            let id = text(&envelope["properties"]["correlation_id"]);
            let expected = match case.as_str() {
                "plain_kwargs" => json!({"task": check, "kwargs": {"host": "db1", "limit": 0.9}}),
                "args" => json!({"task": check, "args": ["db1", 3]}),
                "countdown_30" => {
                    json!({"task": check, "kwargs": {"h": 1}, "eta": "2026-11-23T04:48:26.758431Z"})
                }
                "eta" => json!({"task": check, "eta": "2030-01-01T00:00:00Z"}),
                "expires_120" => {
                    json!({"task": check, "expires": "2026-11-23T04:49:56.760976Z", "expires_in": 120_000})
                }
                "time_limit60_soft50" => json!({"task": check, "hard": 60_000, "soft": 50_000}),
                "queue_alerts" => json!({"queue": "alerts"}),
                "ignore_result" => json!({"ignore": true}),
                "typed_json" => {
                    let uuid = "00000000-0000-0000-0000-000000000001";
                    json!({"kwargs": {"u": uuid, "t": "2026-01-02T03:04:05+00:00", "b": "/wA="}})
                }
                "headers_traceparent" => {
                    json!({"trace": "00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb-01"})
                }
                "link_linkerror_shadow" => json!({"callbacks": ["cb"], "errbacks": ["eb"]}),
                "chain" => json!({"task": "a", "args": [1], "chain": ["b"]}),
                "compression_zlib" | "protocol_v1" => json!({"kwargs": {"z": 1}}),
                "global_keyprefix" | "priority_0" => json!({}),
                "chord" => json!({"dependents": ["c48428cc-b88a-4d59-9d05-b1b4f67c4ad6"],
                    "exception": "builtins.NotImplementedError", "task": "a",
                    "reason": "a chord is not supported; send the tasks one by one and collect their results"}),
                "pickle_must_be_rejected" => json!({"dependents": [],
                    "exception": "kombu.exceptions.ContentDisallowed", "task": "x",
                    "reason": "the body is pickled Python; set task_serializer = \"json\" at the client"}),
                other => json!({"priority": other.strip_prefix("priority_").unwrap().parse::<u8>().unwrap()}),
            };
            let (its_id, found) = match decode(&raw) {
                Ok(message) => (Some(message.id.clone()), summary(&message)),
                Err(refusal) => {
                    let exception = format!("{}.{}", refusal.exc_module, refusal.exc_type);
                    let found = json!({"task": refusal.task, "reason": refusal.reason, "exception": exception,
                        "dependents": refusal.dependents});
                    (refusal.id, found)
                }
            };
            assert_eq!((its_id, found), (id, expected), "{case}");
            read += 1;
        }
        assert_eq!(read, 30);
    }

    #[test]
    fn what_cannot_be_run_is_refused_with_its_id_and_a_reason() {
        let id = Some("7a7954e4-c0ad-4947-b1af-a750727563d6");
        let group = json!({"task": "celery.group", "subtask_type": "group", "options": {"task_id": "g"},
            "kwargs": {"tasks": [{"task": "b", "options": {"task_id": "b1"}}]}});
        let set = |pointer, value| {
            message(&json!([[], {}, {}]), |envelope| *envelope.pointer_mut(pointer).unwrap() = value)
        };
        let header =
            |name, value| message(&json!([[], {}, {}]), |envelope| envelope["headers"][name] = value);
        let body = |body| message(&body, |_| {});
        for (raw, exc_type, reason) in [
            (
                set("/content-type", json!("application/x-yaml")),
                "ContentDisallowed",
                "application/x-yaml; set",
            ),
            (set("/content-type", json!("application/x-msgpack")), "ContentDisallowed", "task_serializer"),
            (header("compression", json!("application/x-bz2")), "DecodeError", "task_compression = \"zlib\""),
            (header("compression", json!("zlib")), "DecodeError", "no zlib stream"),
            (set("/properties/body_encoding", json!("rot13")), "DecodeError", "`rot13` is unknown"),
            (set("/body", json!("*")), "DecodeError", "no base64"),
            (set("/body", json!(5)), "DecodeError", "no string"),
            (set("/body", json!("W05hTl0=")), "DecodeError", "no JSON"),
            (header("eta", json!("soon")), "InvalidTaskError", "eta: `\"soon\"` is no ISO 8601 time"),
            (header("expires", json!(5)), "InvalidTaskError", "expires: `5`"),
            (header("timelimit", json!([-1, null])), "InvalidTaskError", "timelimit: `-1`"),
            (body(json!([[], [], {}])), "InvalidTaskError", "kwargs: `[]` is no mapping"),
            (body(json!([5, {}, {}])), "InvalidTaskError", "args: `5` is no list"),
            (
                body(json!([[{"__type__": "x", "__value__": 1}], {}])),
                "InvalidTaskError",
                "args: a value of type",
            ),
            (body(json!([[]])), "InvalidTaskError", "neither of protocol 2 nor of 1"),
            (body(json!([[], {}, {"callbacks": [5]}])), "InvalidTaskError", "callbacks: "),
            (
                body(json!([[], {}, {"chain": [group]}])),
                "NotImplementedError",
                "a group, chain or chord inside",
            ),
        ] {
            let refusal = decode(&raw).unwrap_err();
            assert_eq!((refusal.id.as_deref(), refusal.exc_type), (id, exc_type), "{reason}");
            assert!(refusal.reason.contains(reason), "{}", refusal.reason);
            let expected: &[&str] = if exc_type == "NotImplementedError" { &["g", "b1"] } else { &[] };
            assert_eq!(*refusal.dependents, *expected);
        }
        assert_eq!(decode(b"PING").unwrap_err().id, None);
        assert_eq!(decode(&header("id", json!("x".repeat(201)))).unwrap_err().id, None);
    }

    #[test]
    fn a_body_may_be_plain_and_a_message_may_mix_both_versions() {
        let raw = message(&Value::Null, |envelope| {
            envelope["body"] = json!(r#"{"args": [1], "kwargs": null, "eta": "2030-01-01"}"#);
            envelope["properties"]["body_encoding"] = json!(null);
            envelope["headers"] = json!({"id": 5, "task": "t", "retries": 2, "taskset": "g"});
        });
        let message = decode(&raw).unwrap();
        assert_eq!(message.id, "5");
        let expected =
            json!({"task": "t", "args": [1], "eta": "2030-01-01T00:00:00Z", "retries": 2, "group": "g"});
        assert_eq!(summary(&message), expected);
    }

    #[test]
    fn no_message_costs_more_than_its_bound() {
        let bomb = vec![b' '; 64 * 1024 * 1024];
        let mut compressed = Vec::new();
        let mut zlib = flate2::read::ZlibEncoder::new(&bomb[..], flate2::Compression::fast());
        zlib.read_to_end(&mut compressed).unwrap();
        let raw = message(&Value::Null, |envelope| {
            envelope["headers"]["compression"] = json!("application/x-gzip");
            envelope["body"] = json!(STANDARD.encode(&compressed));
        });
        assert_eq!(decode(&raw).unwrap_err().reason, "the body inflates to more than 4194304 bytes");
        let refusal = decode(&message(&json!("x".repeat(MAX_BYTES)), |_| {})).unwrap_err();
        assert!(refusal.reason.ends_with("bytes are too many; 4194304 are allowed"), "{}", refusal.reason);
        assert_eq!((refusal.id.is_some(), refusal.task.as_deref()), (true, Some("threshold_check")));
        let deep = json!(STANDARD.encode("[".repeat(100_000)));
        let deep = decode(&message(&Value::Null, |envelope| envelope["body"] = deep)).unwrap_err();
        assert!(deep.reason.contains("recursion limit"), "{}", deep.reason);
    }

    /// Reads it, and answers what can be read: nothing of all that may panic.
    fn survive(raw: &[u8]) {
        let now = DateTime::UNIX_EPOCH;
        drop(revocation(raw));
        if let Ok(message) = decode(raw) {
            let origin = Origin { task: &message.reply_fields, list: "celery\x06\x163", now };
            let children = follow_ups(&message.follow_up, origin, &json!(1), || "new".to_owned());
            reply::success(&message.reply_fields, &json!(1), &children, now);
            error_follow_ups(&message.follow_up, origin, || "new".to_owned());
            message.follow_up.rest_of_chain().iter().for_each(|id| assert!(is_id(id)));
        }
    }

    #[test]
    fn whatever_bytes_come_nothing_panics() {
        let mut seed = 88_172_645_463_325_252_u64;
        let mut random = |below: usize| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            usize::try_from(seed % u64::try_from(below).unwrap()).unwrap()
        };
        for (_, raw) in golden() {
            (0..raw.len()).step_by(7).for_each(|end| survive(&raw[..end]));
            let mut envelope: Value = serde_json::from_slice(&raw).unwrap();
            let body = STANDARD.decode(envelope["body"].as_str().unwrap()).unwrap();
            for _ in 0..200 {
                let (mut outer, mut inner) = (raw.clone(), body.clone());
                for _ in 0..=random(3) {
                    let byte = u8::try_from(random(256)).unwrap();
                    let (at, within) = (random(outer.len()), random(inner.len()));
                    (outer[at], inner[within]) = (byte, byte);
                }
                inner.truncate(inner.len() - random(2) * random(inner.len()));
                survive(&outer);
                envelope["body"] = json!(STANDARD.encode(&inner));
                survive(envelope.to_string().as_bytes());
            }
        }
    }

    #[test]
    fn whatever_value_stands_anywhere_nothing_panics() {
        /// What becomes of a JSON when one value of it is another.
        fn replaced(value: &Value, odd: &Value) -> Vec<Value> {
            let mut all = vec![odd.clone()];
            let keys: Vec<String> = match value {
                Value::Object(map) => map.keys().cloned().collect(),
                Value::Array(list) => (0..list.len()).map(|index| index.to_string()).collect(),
                _ => Vec::new(),
            };
            for pointer in keys.iter().map(|key| format!("/{key}")) {
                for part in replaced(value.pointer(&pointer).unwrap(), odd) {
                    let mut changed = value.clone();
                    *changed.pointer_mut(&pointer).unwrap() = part;
                    all.push(changed);
                }
            }
            all
        }
        let options = json!({"task_id": "t", "queue": "q", "priority": 5, "countdown": 1, "eta": null, "expires": 1,
            "time_limit": 1, "headers": {"a": 1}, "stamped_headers": ["s"], "s": 1, "link": [], "chain": []});
        let signature =
            json!({"task": "b", "args": [1], "kwargs": {}, "options": options, "immutable": false});
        let links =
            json!({"callbacks": [signature, signature], "errbacks": [signature], "chain": [signature]});
        let (long, typed) = ("x".repeat(300), json!({"__type__": "datetime", "__value__": "+262142-12-31"}));
        let numbers = [json!(-1), json!(1e300), json!(u64::MAX)];
        let others =
            [json!(null), json!(true), json!(""), json!(long), json!([[[]]]), json!({"task": 5}), typed];
        for odd in numbers.iter().chain(&others) {
            let mut all: Vec<_> = replaced(&json!([[1], {}, links]), odd);
            for body in &mut all {
                *body = serde_json::from_slice(&message(body, |_| {})).unwrap();
            }
            for raw in ["chain", "protocol_v1", "expires_120"].map(case) {
                all.extend(replaced(&serde_json::from_slice(&raw).unwrap(), odd));
            }
            all.iter().map(Value::to_string).for_each(|message| survive(message.as_bytes()));
        }
    }
}
