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
use crate::new_job::check_id;

/// A larger message is not looked into, nor a body that inflates to more: a kilobyte of zlib can become a megabyte.
const MAX_BYTES: usize = 4 * 1024 * 1024;
/// As for any other job.
const MAX_ID_BYTES: usize = 200;
/// An id that is too long for a job is answered all the same, up to here.
const MAX_ANSWERED_ID_BYTES: usize = 1024;
/// As much of a value is read where a message cannot be.
const MAX_SEARCHED_BYTES: usize = 2048;
/// A longer time limit is none.
const LONGEST_LIMIT: Duration = Duration::from_hours(87_600);
/// A shorter one is this.
const SHORTEST_LIMIT: Duration = Duration::from_millis(1);

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

/// Reads a message as it stood in the list.
pub(crate) fn decode(raw: &[u8]) -> Result<Message, Refusal> {
    // The id is searched for in the text where the message cannot be read: its sender waits for an answer.
    let searched = |fault: Fault| {
        let id = search(raw, "correlation_id").or_else(|| search(raw, "id"));
        fault.answering(id, search(raw, "task"))
    };
    if raw.len() > MAX_BYTES {
        let reason = format!("{} bytes are too many; {MAX_BYTES} are allowed", raw.len());
        return Err(searched(unreadable(reason)));
    }
    let envelope: Envelope = serde_json::from_slice(raw)
        .map_err(|error| searched(unreadable(format!("the message is not an envelope of kombu: {error}"))))?;
    // Clients write the id here as well, outside of a body that may be unreadable.
    let spare_id = || text(&envelope.properties["correlation_id"]);
    let id = text(&envelope.headers["id"]).or_else(spare_id).or_else(|| search(raw, "correlation_id"));
    let task = text(&envelope.headers["task"]);
    let body = envelope.json().map_err(|fault| fault.answering(id.clone(), task.clone()))?;
    let call = Call::new(&envelope, body).map_err(|fault| fault.answering(id.clone(), task))?;
    let (id, task) = (text(&call.fields["id"]).or(id), text(&call.fields["task"]));
    let parts = ["chain", "chord", "callbacks"].map(|part| waiting(&call.embed[part]));
    let message = call.message(&envelope.properties);
    message.map_err(|fault| Refusal { dependents: parts.concat().into(), ..fault.answering(id, task) })
}

/// The first value of this key in a JSON text that may be cut off or malformed; a string or a number. Quotes within
/// strings are escaped, so what a message carries as its body is not searched.
fn search(raw: &[u8], key: &str) -> Option<String> {
    let key = format!("\"{key}\"");
    let mut rest = raw;
    while let Some(at) = rest.windows(key.len()).position(|window| window == key.as_bytes()) {
        rest = &rest[at + key.len()..];
        let value = rest.trim_ascii_start().strip_prefix(b":").map(<[u8]>::trim_ascii_start);
        let found = value.and_then(|value| {
            let value = &value[..value.len().min(MAX_SEARCHED_BYTES)];
            serde_json::Deserializer::from_slice(value).into_iter::<Value>().next()?.ok()
        });
        if let Some(found) = found.as_ref().and_then(text) {
            return Some(found);
        }
    }
    None
}

impl Fault {
    fn answering(self, id: Option<String>, task: Option<String>) -> Refusal {
        let Self(exc_type, exc_module, reason) = self;
        Refusal {
            id: id.filter(|id| id.len() <= MAX_ANSWERED_ID_BYTES),
            task,
            reason,
            exc_type,
            exc_module,
            dependents: Box::default(),
        }
    }
}

impl Envelope {
    pub(super) fn header(&self, name: &str) -> &Value {
        &self.headers[name]
    }

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
        if let Err(reason) = check_id(&id) {
            return Err(invalid(format!("the id of the message: {reason}")));
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
    let longest = LONGEST_LIMIT.as_secs_f64() + 1.0;
    let limit = seconds.as_f64().and_then(|seconds| Duration::try_from_secs_f64(seconds.min(longest)).ok());
    let limit = limit.ok_or_else(|| invalid(format!("timelimit: `{seconds}` is no number of seconds")))?;
    // Celery takes 0 for no limit.
    let limit = Some(limit).filter(|limit| !limit.is_zero() && *limit <= LONGEST_LIMIT);
    Ok(limit.map(|limit| limit.max(SHORTEST_LIMIT)))
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
    check_id(id).is_ok()
}

#[cfg(test)]
pub(super) mod tests;
