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

use super::reply::{FollowUp, ReplyFields, Signature, waiting};
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
    /// From its arrival on. Clients send it beside `expires`, and it does not suffer from a wrong clock.
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
    let refusal = |id, task, Fault(exc_type, exc_module, reason), dependents| {
        let id: Option<String> = id;
        let id = id.filter(|id| is_id(id));
        Refusal { id, task, reason, exc_type, exc_module, dependents }
    };
    if raw.len() > MAX_BYTES {
        let (id, task) = match serde_json::from_slice(raw) {
            Ok(Sender { headers: Named { id, task } }) => (Some(id), Some(task)),
            Err(_) => (None, None),
        };
        let reason = format!("{} bytes are too many; {MAX_BYTES} are allowed", raw.len());
        return Err(refusal(id, task, unreadable(reason), Box::default()));
    }
    let envelope: Envelope = serde_json::from_slice(raw).map_err(|error| {
        refusal(
            None,
            None,
            unreadable(format!("the message is no envelope of kombu: {error}")),
            Box::default(),
        )
    })?;
    // Clients write the id here as well, outside of a body that may be unreadable.
    let spare_id = || text(&envelope.properties["correlation_id"]);
    let (id, task) = (text(&envelope.headers["id"]).or_else(spare_id), text(&envelope.headers["task"]));
    let body = envelope.json().map_err(|fault| refusal(id.clone(), task.clone(), fault, Box::default()))?;
    let call =
        Call::new(&envelope, body).map_err(|fault| refusal(id.clone(), task, fault, Box::default()))?;
    let (id, task) = (text(&call.fields["id"]).or(id), text(&call.fields["task"]));
    let dependents =
        ["chain", "chord", "callbacks"].iter().flat_map(|part| waiting(&call.embed[part])).collect();
    call.message(&envelope.properties).map_err(|fault| refusal(id, task, fault, dependents))
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
    use super::super::reply::{self, Origin};
    use super::super::revoke::revocation;
    use super::*;
    use base64::engine::general_purpose::STANDARD;
    use serde_json::json;

    /// Messages that a Celery 5.6 client wrote: name of the case, list, message.
    pub(crate) fn golden() -> Vec<(String, String, Vec<u8>)> {
        let lines = include_str!("../../tests/celery_golden.jsonl").lines();
        let cases = lines.map(|line| {
            let case: Value = serde_json::from_str(line).unwrap();
            let part = |name: &str| case[name].as_str().unwrap().to_owned();
            (part("case"), part("list_key"), part("raw").into_bytes())
        });
        cases.collect()
    }

    pub(crate) fn case(name: &str) -> Vec<u8> {
        golden().into_iter().find(|(case, ..)| case == name).unwrap().2
    }

    /// A message of protocol 2 with this body; `change` may change anything else.
    pub(crate) fn message(body: &Value, change: impl FnOnce(&mut Value)) -> Vec<u8> {
        let mut envelope: Value = serde_json::from_slice(&case("plain_kwargs")).unwrap();
        envelope["body"] = json!(STANDARD.encode(body.to_string()));
        change(&mut envelope);
        envelope.to_string().into_bytes()
    }

    fn utc(text: &str) -> Option<DateTime<Utc>> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn every_golden_message_is_read_as_it_was_meant() {
        let cases = golden();
        assert_eq!(cases.len(), 30);
        for (case, list, raw) in cases {
            let envelope: Value = serde_json::from_slice(&raw).unwrap();
            let id = envelope["properties"]["correlation_id"].as_str().unwrap();
            let message = match (case.as_str(), decode(&raw)) {
                ("chord", Err(refusal)) => {
                    assert_eq!((refusal.id.as_deref(), refusal.task.as_deref()), (Some(id), Some("a")));
                    assert_eq!((refusal.exc_type, refusal.exc_module), ("NotImplementedError", "builtins"));
                    assert_eq!(*refusal.dependents, ["c48428cc-b88a-4d59-9d05-b1b4f67c4ad6"]);
                    continue;
                }
                ("pickle_must_be_rejected", Err(refusal)) => {
                    assert_eq!((refusal.id.as_deref(), refusal.task.as_deref()), (Some(id), Some("x")));
                    assert_eq!(
                        (refusal.exc_type, refusal.exc_module),
                        ("ContentDisallowed", "kombu.exceptions")
                    );
                    let reason = "the body is pickled Python; set task_serializer = \"json\" at the client";
                    assert_eq!(refusal.reason, reason);
                    continue;
                }
                (_, read) => read.unwrap(),
            };
            let plain = Message {
                id: id.to_owned(),
                task: "x".to_owned(),
                args: Vec::new(),
                kwargs: Map::new(),
                eta: None,
                expires: None,
                expires_in: None,
                hard_limit: None,
                soft_limit: None,
                priority: Some(0),
                ignore_result: false,
                retries: 0,
                follow_up: FollowUp { queue: Some("celery".to_owned()), ..FollowUp::default() },
                reply_fields: ReplyFields {
                    task_id: id.to_owned(),
                    root_id: Some(id.to_owned()),
                    ..ReplyFields::default()
                },
                traceparent: None,
            };
            let check = Message { task: "threshold_check".to_owned(), ..plain.clone() };
            let kwargs = |value: Value| value.as_object().cloned().unwrap();
            let mut expected = match case.as_str() {
                "plain_kwargs" => Message { kwargs: kwargs(json!({"host": "db1", "limit": 0.9})), ..check },
                "args" => Message { args: vec![json!("db1"), json!(3)], ..check },
                "countdown_30" => Message {
                    eta: utc("2026-11-23T04:48:26.758431Z"),
                    kwargs: kwargs(json!({"h": 1})),
                    ..check
                },
                "eta" => Message { eta: utc("2030-01-01T00:00:00Z"), ..check },
                "expires_120" => Message {
                    expires: utc("2026-11-23T04:49:56.760976Z"),
                    expires_in: Some(Duration::from_mins(2)),
                    ..check
                },
                "time_limit60_soft50" => Message {
                    hard_limit: Some(Duration::from_mins(1)),
                    soft_limit: Some(Duration::from_secs(50)),
                    ..check
                },
                "ignore_result" => Message { ignore_result: true, ..plain },
                "typed_json" => Message {
                    kwargs: kwargs(json!({
                        "u": "00000000-0000-0000-0000-000000000001", "t": "2026-01-02T03:04:05+00:00", "b": "/wA="
                    })),
                    ..plain
                },
                "headers_traceparent" => {
                    let trace = Some("00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb-01".to_owned());
                    let follow_up = FollowUp { traceparent: trace.clone(), ..plain.follow_up };
                    Message { traceparent: trace, follow_up, ..plain }
                }
                "chain" => Message { task: "a".to_owned(), args: vec![json!(1)], ..plain },
                "compression_zlib" | "protocol_v1" => Message { kwargs: kwargs(json!({"z": 1})), ..plain },
                "queue_alerts" | "global_keyprefix" | "link_linkerror_shadow" => plain,
                priority => {
                    let priority = priority.strip_prefix("priority_").unwrap().parse().unwrap();
                    Message { priority: Some(priority), ..plain }
                }
            };
            match case.as_str() {
                "chain" => expected.follow_up.chain.clone_from(&message.follow_up.chain),
                "link_linkerror_shadow" => {
                    expected.follow_up.callbacks.clone_from(&message.follow_up.callbacks);
                    expected.follow_up.errbacks.clone_from(&message.follow_up.errbacks);
                }
                // Version 1 has no field for it.
                "protocol_v1" => expected.reply_fields.root_id = None,
                "queue_alerts" => expected.follow_up.queue = Some(list),
                _ => {}
            }
            assert_eq!(message, expected, "{case}");
            let FollowUp { chain, callbacks, errbacks, .. } = &message.follow_up;
            let counts = match case.as_str() {
                "chain" => (1, 0, 0),
                "link_linkerror_shadow" => (0, 1, 1),
                _ => (0, 0, 0),
            };
            assert_eq!((chain.len(), callbacks.len(), errbacks.len()), counts, "{case}");
        }
    }

    #[test]
    fn what_cannot_be_run_is_refused_with_its_id_and_a_reason() {
        let id = Some("7a7954e4-c0ad-4947-b1af-a750727563d6");
        let body = json!([[], {}, {}]);
        let group = json!({"task": "celery.group", "subtask_type": "group", "options": {"task_id": "g"},
            "kwargs": {"tasks": [{"task": "b", "options": {"task_id": "b1"}}]}});
        let set = |pointer: &'static str, value: Value| {
            message(&body, |envelope| *envelope.pointer_mut(pointer).unwrap() = value)
        };
        let header =
            |name: &'static str, value: Value| message(&body, |envelope| envelope["headers"][name] = value);
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
            (message(&json!([[], [], {}]), |_| {}), "InvalidTaskError", "kwargs: `[]` is no mapping"),
            (message(&json!([5, {}, {}]), |_| {}), "InvalidTaskError", "args: `5` is no list"),
            (
                message(&json!([[], {"a": {"__type__": "x", "__value__": 1}}, {}]), |_| {}),
                "InvalidTaskError",
                "kwargs: ",
            ),
            (message(&json!([[]]), |_| {}), "InvalidTaskError", "neither of protocol 2 nor of 1"),
            (message(&json!([[], {}, {"callbacks": [5]}]), |_| {}), "InvalidTaskError", "callbacks: "),
            (
                message(&json!([[], {}, {"chain": [group]}]), |_| {}),
                "NotImplementedError",
                "a group, chain or chord",
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
    fn no_message_costs_more_than_its_bound() {
        let bomb = vec![b' '; 64 * 1024 * 1024];
        let mut zlib = flate2::read::ZlibEncoder::new(&bomb[..], flate2::Compression::best());
        let mut compressed = Vec::new();
        zlib.read_to_end(&mut compressed).unwrap();
        let raw = message(&Value::Null, |envelope| {
            envelope["headers"]["compression"] = json!("application/x-gzip");
            envelope["body"] = json!(STANDARD.encode(&compressed));
        });
        assert_eq!(decode(&raw).unwrap_err().reason, "the body inflates to more than 4194304 bytes");
        let refusal = decode(&message(&json!("x".repeat(MAX_BYTES)), |_| {})).unwrap_err();
        assert!(refusal.reason.ends_with("bytes are too many; 4194304 are allowed"), "{}", refusal.reason);
        assert_eq!(refusal.task.as_deref(), Some("threshold_check"));
        assert!(refusal.id.is_some());
        let deep =
            message(&Value::Null, |envelope| envelope["body"] = json!(STANDARD.encode("[".repeat(100_000))));
        assert!(decode(&deep).unwrap_err().reason.contains("recursion limit"));
    }

    /// Reads it, and answers what can be read: nothing of all that may panic.
    fn survive(raw: &[u8]) {
        let now = DateTime::UNIX_EPOCH;
        drop(revocation(raw));
        if let Ok(message) = decode(raw) {
            assert!(is_id(&message.id));
            let origin = Origin { task: &message.reply_fields, list: "celery\x06\x163", now };
            let children = reply::follow_ups(&message.follow_up, origin, &json!(1), || "new".to_owned());
            reply::success(&message.reply_fields, &json!(1), &children, now);
            reply::error_follow_ups(&message.follow_up, origin, || "new".to_owned());
            message.follow_up.rest_of_chain();
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
        for (_, _, raw) in golden() {
            (0..raw.len()).step_by(7).for_each(|end| survive(&raw[..end]));
            let envelope: Value = serde_json::from_slice(&raw).unwrap();
            let body = STANDARD.decode(envelope["body"].as_str().unwrap()).unwrap();
            for _ in 0..200 {
                let mut outer = raw.clone();
                let mut inner = body.clone();
                for _ in 0..=random(3) {
                    let (at, byte) = (random(outer.len()), u8::try_from(random(256)).unwrap());
                    outer[at] = byte;
                    let at = random(inner.len());
                    inner[at] = byte;
                }
                inner.truncate(inner.len() - random(2) * random(inner.len()));
                survive(&outer);
                let mut envelope = envelope.clone();
                envelope["body"] = json!(STANDARD.encode(&inner));
                survive(envelope.to_string().as_bytes());
            }
        }
    }

    /// All values in a JSON, by pointer.
    fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
        found.push(at.to_owned());
        match value {
            Value::Object(map) => {
                map.iter().for_each(|(key, value)| pointers(value, &format!("{at}/{key}"), found))
            }
            Value::Array(list) => {
                list.iter().enumerate().for_each(|(n, value)| pointers(value, &format!("{at}/{n}"), found))
            }
            _ => {}
        }
    }

    #[test]
    fn whatever_value_stands_anywhere_nothing_panics() {
        let odd = [
            json!(null),
            json!(true),
            json!(-1),
            json!(1e300),
            json!(u64::MAX),
            json!(""),
            json!("x".repeat(300)),
            json!("9999-12-31T23:59:59+00:00"),
            json!([]),
            json!([[[]]]),
            json!({}),
            json!({"task": 5}),
            json!({"__type__": "datetime", "__value__": "+262142-12-31"}),
        ];
        let options = json!({"task_id": "t", "queue": "q", "priority": 5, "countdown": 1, "eta": null, "expires": 1,
            "time_limit": 1, "headers": {"a": 1}, "stamped_headers": ["s"], "s": 1, "link": [], "chain": []});
        let signature =
            json!({"task": "b", "args": [1], "kwargs": {}, "options": options, "immutable": false});
        let rich = json!([[1], {}, {"callbacks": [signature, signature], "errbacks": [signature], "chain": [signature]}]);
        let mut raws: Vec<_> = golden().into_iter().map(|(.., raw)| raw).collect();
        raws.push(message(&rich, |_| {}));
        for raw in raws {
            let envelope: Value = serde_json::from_slice(&raw).unwrap();
            let body = STANDARD.decode(envelope["body"].as_str().unwrap()).unwrap();
            let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
            let (mut outer, mut inner) = (Vec::new(), Vec::new());
            pointers(&envelope, "", &mut outer);
            pointers(&body, "", &mut inner);
            for odd in &odd {
                for pointer in &outer {
                    let mut envelope = envelope.clone();
                    *envelope.pointer_mut(pointer).unwrap() = odd.clone();
                    survive(envelope.to_string().as_bytes());
                }
                for pointer in &inner {
                    let mut body = body.clone();
                    *body.pointer_mut(pointer).unwrap() = odd.clone();
                    survive(&message(&body, |_| {}));
                }
            }
        }
    }
}
