//! Commands that clients broadcast to workers, and the answers to them: kombu/pidbox.py,
//! celery/worker/control.py.
//!
//! `app.control.ping()` and `app.control.inspect()` publish a command on the channel `/DB.celery.pidbox` and
//! collect answers from a list of their own. Each worker answers for itself.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::message::{Envelope, text};

/// The only exchange that answers are sent to.
const REPLY_EXCHANGE: &str = "reply.celery.pidbox";
/// Separates the parts of a binding.
const SEPARATOR: &str = "\x06\x16";
/// A larger command is ignored.
const MAX_BYTES: usize = 1024 * 1024;
/// A longer pattern or routing key is ignored.
const MAX_NAME_BYTES: usize = 200;
/// Running jobs and names of jobs in one answer.
const MAX_ITEMS: usize = 1000;

/// A command to workers.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Command {
    pub(crate) method: String,
    pub(crate) arguments: Value,
    /// The workers that it is for; absent: all.
    pub(super) destination: Option<Vec<String>>,
    /// A pattern of their names, and its kind.
    pub(super) pattern: Option<(String, String)>,
    pub(super) ticket: Value,
    /// The routing key of answers; absent: nobody waits for one.
    pub(super) reply_to: Option<String>,
    /// Until when the client waits.
    pub(super) expires: Option<f64>,
}

/// What a worker knows of itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct WorkerState {
    /// Its name among Celery's workers.
    pub(crate) node: String,
    pub(crate) pid: u32,
    pub(crate) concurrency: usize,
    pub(crate) uptime_s: i64,
    /// Names of the tasks that it runs.
    pub(crate) tasks: Vec<String>,
    pub(crate) running: Vec<RunningTask>,
}

/// A job that runs.
#[derive(Clone, Debug, Default)]
pub(crate) struct RunningTask {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) since: DateTime<Utc>,
}

/// An answer to push onto a list, if the client has bound it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    /// The set of bindings and the member that has to be in it.
    pub(crate) bindings: String,
    pub(crate) binding: String,
    pub(crate) list: String,
    pub(crate) envelope: String,
}

/// Reads what was published on the channel; nothing where it is not a command.
pub(crate) fn command(published: &[u8]) -> Option<Command> {
    if published.len() > MAX_BYTES {
        return None;
    }
    let envelope: Envelope = serde_json::from_slice(published).ok()?;
    let mut body = envelope.json().ok()?;
    let method = text(&body["method"])?;
    let names = |field: &Value| match field {
        Value::Array(names) if !names.is_empty() => Some(names.iter().filter_map(text).collect()),
        Value::String(name) if !name.is_empty() => Some(vec![name.clone()]),
        _ => None,
    };
    let reply_to = &body["reply_to"];
    let is_ours = reply_to["exchange"] == REPLY_EXCHANGE;
    let fits = |text: &String| text.len() <= MAX_NAME_BYTES;
    Some(Command {
        method,
        destination: names(&body["destination"]),
        pattern: text(&body["pattern"]).zip(text(&body["matcher"])),
        reply_to: text(&reply_to["routing_key"]).filter(fits).filter(|_| is_ours),
        ticket: body["ticket"].take(),
        arguments: body["arguments"].take(),
        expires: envelope.header("expires").as_f64().filter(|expires| *expires > 0.0),
    })
}

impl Command {
    /// Whether it is for this worker. Regular expressions are not supported: a command with one is for no
    /// worker here.
    pub(crate) fn is_for(&self, node: &str) -> bool {
        match (&self.destination, &self.pattern) {
            (Some(destination), _) => destination.iter().any(|name| name == node),
            (None, Some((pattern, kind))) => {
                kind == "glob" && pattern.len() <= MAX_NAME_BYTES && glob(pattern.as_bytes(), node.as_bytes())
            }
            (None, None) => true,
        }
    }

    /// Whether a client waits for an answer.
    pub(crate) fn is_answered(&self) -> bool {
        self.reply_to.is_some()
    }

    /// What this worker answers; nothing where nobody waits, or to a command that it does not know.
    pub(crate) fn answer(&self, worker: &WorkerState, prefix: &str, now: DateTime<Utc>) -> Option<Answer> {
        let routing_key = self.reply_to.as_ref()?;
        #[expect(clippy::cast_precision_loss, reason = "seconds since 1970, as Celery compares them")]
        let is_late = self.expires.is_some_and(|expires| expires < now.timestamp_millis() as f64 / 1e3);
        if is_late {
            return None;
        }
        let reply = match self.method.as_str() {
            "ping" => json!({"ok": "pong"}),
            "active" | "dump_active" => worker.active(),
            "stats" => worker.stats(),
            "registered" | "dump_tasks" => worker.tasks.iter().take(MAX_ITEMS).cloned().collect(),
            _ => return None,
        };
        let body = Value::Object(Map::from_iter([(worker.node.clone(), reply)]));
        let queue = format!("{routing_key}.{REPLY_EXCHANGE}");
        let envelope = json!({
            "body": body.to_string(), "content-encoding": "utf-8", "content-type": "application/json",
            "headers": {"ticket": self.ticket, "clock": 0},
            "properties": {
                "delivery_mode": 1, "delivery_info": {"exchange": REPLY_EXCHANGE, "routing_key": routing_key},
                "priority": 0, "body_encoding": null, "delivery_tag": Uuid::now_v7(),
            },
        });
        Some(Answer {
            bindings: format!("{prefix}_kombu.binding.{REPLY_EXCHANGE}"),
            binding: format!("{routing_key}{SEPARATOR}{SEPARATOR}{queue}"),
            list: format!("{prefix}{queue}"),
            envelope: envelope.to_string(),
        })
    }
}

impl WorkerState {
    #[expect(clippy::cast_precision_loss, reason = "seconds since 1970, as Celery writes them")]
    fn active(&self) -> Value {
        let task = |task: &RunningTask| {
            json!({
                "id": task.id, "name": task.name, "type": task.name, "args": [], "kwargs": {},
                "hostname": self.node, "time_start": task.since.timestamp_millis() as f64 / 1e3,
                "acknowledged": true, "worker_pid": self.pid, "delivery_info": {},
            })
        };
        self.running.iter().take(MAX_ITEMS).map(task).collect()
    }

    fn stats(&self) -> Value {
        json!({
            "total": {}, "pid": self.pid, "clock": "0", "uptime": self.uptime_s, "prefetch_count": 0,
            "pool": {
                "implementation": "dogwatch", "max-concurrency": self.concurrency, "processes": [self.pid],
            },
            "broker": {"transport": "redis"}, "rusage": {},
        })
    }
}

/// Python's `fnmatch`: `*`, `?`, `[abc]`, `[!abc]`, `[a-z]`.
fn glob(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    // After the last `*`, and where its match ended.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        let next = match pattern.get(p) {
            Some(b'*') => {
                star = Some((p + 1, n));
                p += 1;
                continue;
            }
            Some(_) => one(&pattern[p..], name[n]),
            None => None,
        };
        match (next, star) {
            (Some(length), _) => (p, n) = (p + length, n + 1),
            (None, Some((after, end))) => {
                star = Some((after, end + 1));
                (p, n) = (after, end + 1);
            }
            (None, None) => return false,
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

/// How long the part of a pattern is that matches this byte.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern[0] {
        b'?' => Some(1),
        b'[' => {
            let is_negated = pattern.get(1) == Some(&b'!');
            let start = if is_negated { 2 } else { 1 };
            let set = pattern.get(start..)?;
            // A `]` that comes first is one of the set.
            let Some(end) = set.iter().skip(1).position(|c| *c == b']').map(|at| at + 1) else {
                return (byte == b'[').then_some(1);
            };
            let set = &set[..end];
            let is_range = set.len() == 3 && set[1] == b'-';
            let is_in = if is_range { (set[0]..=set[2]).contains(&byte) } else { set.contains(&byte) };
            (is_in != is_negated).then_some(start + end + 1)
        }
        literal => (literal == byte).then_some(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    /// As Celery 5.7 publishes it.
    fn published(command: &Value) -> Vec<u8> {
        let envelope = json!({
            "body": STANDARD.encode(command.to_string()), "content-encoding": "utf-8",
            "content-type": "application/json", "headers": {"clock": 1, "expires": 1_795_430_665.456_555},
            "properties": {
                "delivery_mode": 2, "delivery_info": {"exchange": "celery.pidbox", "routing_key": ""},
                "priority": 0, "body_encoding": "base64", "delivery_tag": "bcc7b971-cbb0-4e49-8e49-f666314888b2"
            },
        });
        envelope.to_string().into_bytes()
    }

    fn ping() -> Value {
        json!({
            "method": "ping", "arguments": {}, "destination": null, "pattern": null, "matcher": null,
            "ticket": "t", "reply_to": {"exchange": "reply.celery.pidbox", "routing_key": "oid"},
        })
    }

    fn with(name: &str, value: Value) -> Command {
        let mut body = ping();
        body[name] = value;
        command(&published(&body)).unwrap()
    }

    fn state() -> WorkerState {
        WorkerState {
            node: "dogwatch@h-1".to_owned(),
            tasks: vec!["add".to_owned()],
            ..WorkerState::default()
        }
    }

    #[test]
    fn a_command_is_for_the_workers_that_it_names() {
        for (is_for, command) in [
            (true, with("destination", Value::Null)),
            (true, with("destination", json!(["celery@w1", "dogwatch@h-1"]))),
            (false, with("destination", json!(["celery@w1"]))),
        ] {
            assert_eq!(command.is_for("dogwatch@h-1"), is_for, "{command:?}");
        }
        for (is_for, kind, pattern) in [
            (true, "glob", "dogwatch@*"),
            (true, "glob", "*-[0-9]"),
            (true, "glob", "dogwatch@?-1*"),
            (false, "glob", "celery@*"),
            (false, "glob", "dogwatch@h-[!1]"),
            (false, "glob", "dogwatch"),
            (false, "pcre", "dogwatch.*"),
        ] {
            let mut body = ping();
            (body["pattern"], body["matcher"]) = (json!(pattern), json!(kind));
            assert_eq!(command(&published(&body)).unwrap().is_for("dogwatch@h-1"), is_for, "{pattern}");
        }
    }

    #[test]
    fn answers_go_to_the_list_that_the_client_has_bound() {
        let early = DateTime::from_timestamp(1_795_430_000, 0).unwrap();
        let answer = with("ticket", json!("t")).answer(&state(), "myapp:", early).unwrap();
        assert_eq!(answer.bindings, "myapp:_kombu.binding.reply.celery.pidbox");
        assert_eq!(answer.binding, "oid\x06\x16\x06\x16oid.reply.celery.pidbox");
        assert_eq!(answer.list, "myapp:oid.reply.celery.pidbox");
        let envelope: Value = serde_json::from_str(&answer.envelope).unwrap();
        assert_eq!(envelope["headers"]["ticket"], "t");
        let body: Value = serde_json::from_str(envelope["body"].as_str().unwrap()).unwrap();
        assert_eq!(body, json!({"dogwatch@h-1": {"ok": "pong"}}));
    }

    #[test]
    fn what_is_late_or_not_for_us_is_not_answered() {
        let early = DateTime::from_timestamp(1_795_430_000, 0).unwrap();
        let late = DateTime::from_timestamp(1_795_431_000, 0).unwrap();
        assert_eq!(with("ticket", json!("t")).answer(&state(), "", late), None);
        for command in [
            with("method", json!("shutdown")),
            with("reply_to", Value::Null),
            with("reply_to", json!({"exchange": "orders", "routing_key": "x"})),
            with("reply_to", json!({"exchange": "reply.celery.pidbox", "routing_key": "x".repeat(201)})),
        ] {
            assert_eq!(command.answer(&state(), "", early), None, "{command:?}");
        }
        for other in [&b""[..], b"{}", b"\xff", b"{\"body\": 5}", b"[]"] {
            assert_eq!(command(other), None);
        }
    }
}
