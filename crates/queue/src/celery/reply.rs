//! What a Celery client that waits for a task is told.
//!
//! `AsyncResult.get()` waits for a message on a channel whose name is also the key of the result, so each text of this
//! module has to be stored under [`result_key`] and published there.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::follow_up::Outgoing;

/// What of a message stands in its result.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_field_names, reason = "Celery's names")]
pub(crate) struct ReplyFields {
    pub(crate) task_id: String,
    pub(crate) group_id: Option<String>,
    pub(crate) parent_id: Option<String>,
    pub(crate) root_id: Option<String>,
}

/// What `AsyncResult.get()` raises. The client takes the class from the module where it knows both, and makes up one of
/// that name where it does not; so a class must never name anything else that exists in its module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exception<'a> {
    pub(crate) exc_type: &'a str,
    pub(crate) exc_module: &'a str,
    pub(crate) message: &'a str,
}

impl<'a> Exception<'a> {
    /// A job that failed: the base class of all of Celery's errors of tasks, which every client has.
    pub(crate) fn job(message: &'a str) -> Self {
        Self { exc_type: "TaskError", exc_module: "celery.exceptions", message }
    }

    /// No job of this name.
    pub(crate) fn not_registered(task: &'a str) -> Self {
        Self { exc_type: "NotRegistered", exc_module: "celery.exceptions", message: task }
    }

    /// Arguments that do not fit, as Python has it.
    pub(crate) fn arguments(message: &'a str) -> Self {
        Self { exc_type: "TypeError", exc_module: "builtins", message }
    }

    /// A result that cannot be returned.
    pub(crate) fn encode(reason: &'a str) -> Self {
        Self { exc_type: "EncodeError", exc_module: "kombu.exceptions", message: reason }
    }

    /// A job that took too long.
    pub(crate) fn time_limit(message: &'a str) -> Self {
        Self { exc_type: "TimeLimitExceeded", exc_module: "billiard.exceptions", message }
    }

    /// A job that took longer than the soft limit, where that is the smaller one.
    pub(crate) fn soft_time_limit(message: &'a str) -> Self {
        Self { exc_type: "SoftTimeLimitExceeded", exc_module: "billiard.exceptions", message }
    }

    pub(crate) fn is_time_limit(self) -> bool {
        self.exc_type == "TimeLimitExceeded"
    }

    fn json(self) -> Value {
        json!({"exc_type": self.exc_type, "exc_message": [self.message], "exc_module": self.exc_module})
    }
}

/// The key of a result, and the channel on which it is announced.
pub(crate) fn result_key(id: &str) -> String {
    format!("celery-task-meta-{id}")
}

/// The result of a task that ended well; `children` are the tasks that follow it.
pub(crate) fn success(to: &ReplyFields, result: &Value, children: &[Outgoing], now: DateTime<Utc>) -> String {
    let single = |child: &Outgoing| json!([[child.id, null], null]);
    let mut list: Vec<Value> = children.iter().filter(|child| child.group.is_none()).map(single).collect();
    let members = |child: &&Outgoing| child.group.is_some();
    if let Some(group) = children.iter().find_map(|child| child.group.as_deref()) {
        let members: Vec<Value> = children.iter().filter(members).map(single).collect();
        list.insert(0, json!([[group, null], members]));
    }
    reply(to, "SUCCESS", result, None, &Value::Array(list), Some(now))
}

/// The result of a task that failed for good.
pub(crate) fn failure(
    to: &ReplyFields,
    exception: Exception<'_>,
    traceback: Option<&str>,
    now: DateTime<Utc>,
) -> String {
    reply(to, "FAILURE", &exception.json(), traceback, &json!([]), Some(now))
}

/// The result of a task that was stopped or not run; `reason` is a word of Celery: `expired`, `revoked`, `terminated`.
pub(crate) fn revoked(to: &ReplyFields, reason: &str, now: DateTime<Utc>) -> String {
    let exception =
        Exception { exc_type: "TaskRevokedError", exc_module: "celery.exceptions", message: reason };
    reply(to, "REVOKED", &exception.json(), None, &json!([]), Some(now))
}

/// What a client sees between two attempts.
pub(crate) fn retry(to: &ReplyFields, exception: Exception<'_>, traceback: Option<&str>) -> String {
    reply(to, "RETRY", &exception.json(), traceback, &json!([]), None)
}

fn reply(
    to: &ReplyFields,
    status: &str,
    result: &Value,
    traceback: Option<&str>,
    children: &Value,
    done: Option<DateTime<Utc>>,
) -> String {
    let mut reply = json!({
        "status": status, "result": result, "traceback": traceback, "children": children,
        "date_done": done.map(iso), "task_id": to.task_id,
    });
    for (name, id) in [("group_id", &to.group_id), ("parent_id", &to.parent_id)] {
        if let Some(id) = id {
            reply[name] = json!(id);
        }
    }
    reply.to_string()
}

/// As Python's `isoformat` writes a time of UTC.
pub(super) fn iso(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a Celery 5.7 worker stored it; compared as JSON.
    fn assert_json(reply: &str, expected: &str) {
        let [reply, expected] = [reply, expected].map(|json| serde_json::from_str::<Value>(json).unwrap());
        assert_eq!(reply, expected);
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn fields(id: &str) -> ReplyFields {
        ReplyFields { task_id: id.to_owned(), ..ReplyFields::default() }
    }

    #[test]
    fn results_are_those_of_a_celery_worker() {
        let to = fields("fdda4419");
        let grouped = ReplyFields { group_id: Some("4ca6a44e".to_owned()), ..to.clone() };
        assert_eq!(result_key("fdda4419"), "celery-task-meta-fdda4419");
        assert_json(
            &success(&grouped, &json!({"x": 1}), &[], at("2026-11-23T10:38:57.908439Z")),
            r#"{"status": "SUCCESS", "result": {"x": 1}, "traceback": null, "children": [],
                "date_done": "2026-11-23T10:38:57.908439+00:00", "group_id": "4ca6a44e", "task_id": "fdda4419"}"#,
        );
        let child = ReplyFields { parent_id: Some("p".to_owned()), ..to.clone() };
        assert_json(
            &failure(&child, Exception::job("no"), Some("text"), at("2026-11-23T10:38:52Z")),
            r#"{"status": "FAILURE", "result": {"exc_type": "TaskError", "exc_message": ["no"],
                "exc_module": "celery.exceptions"}, "traceback": "text", "children": [],
                "date_done": "2026-11-23T10:38:52.000000+00:00", "parent_id": "p", "task_id": "fdda4419"}"#,
        );
        assert_json(
            &failure(&to, Exception::not_registered("nosuch"), None, at("2026-11-23T10:39:01.228231Z")),
            r#"{"status": "FAILURE", "result": {"exc_type": "NotRegistered", "exc_message": ["nosuch"],
                "exc_module": "celery.exceptions"}, "traceback": null, "children": [],
                "date_done": "2026-11-23T10:39:01.228231+00:00", "task_id": "fdda4419"}"#,
        );
        assert_json(
            &revoked(&to, "expired", at("2026-11-23T10:38:58.911822Z")),
            r#"{"status": "REVOKED", "result": {"exc_type": "TaskRevokedError", "exc_message": ["expired"],
                "exc_module": "celery.exceptions"}, "traceback": null, "children": [],
                "date_done": "2026-11-23T10:38:58.911822+00:00", "task_id": "fdda4419"}"#,
        );
        assert_json(
            &retry(&to, Exception::time_limit("after 2s"), None),
            r#"{"status": "RETRY", "result": {"exc_type": "TimeLimitExceeded", "exc_message": ["after 2s"],
                "exc_module": "billiard.exceptions"}, "traceback": null, "children": [], "date_done": null,
                "task_id": "fdda4419"}"#,
        );
    }
}
