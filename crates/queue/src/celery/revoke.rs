//! Tasks that a client calls off.
//!
//! `app.control.revoke` publishes a command to all workers on the channel `/<db>.celery.pidbox`. Of the commands there
//! only this one is heeded; the others ask Celery's own workers for things that ours do not have, such as a pool to
//! grow, and get no answer from us.

use serde_json::Value;

use super::message::{Envelope, is_id, text};

/// What to call off.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Revocation {
    pub(crate) ids: Vec<String>,
    /// Whether those that run already are stopped too.
    pub(crate) terminate: bool,
}

/// Reads what was published on the channel; nothing where it is no revocation, or one for certain other workers.
pub(crate) fn revocation(published: &[u8]) -> Revocation {
    let command = serde_json::from_slice(published).ok().and_then(|envelope: Envelope| envelope.json().ok());
    let command = command.unwrap_or_default();
    let arguments = &command["arguments"];
    let terminate = match command["method"].as_str() {
        Some("revoke") => arguments["terminate"].as_bool().unwrap_or_default(),
        Some("terminate") => true,
        _ => return Revocation::default(),
    };
    let for_some =
        |field: &Value| field.as_array().is_some_and(|workers| !workers.is_empty()) || field.is_string();
    if for_some(&command["destination"]) || for_some(&command["pattern"]) {
        return Revocation::default();
    }
    let ids = match &arguments["task_id"] {
        Value::Array(ids) => ids.iter().filter_map(text).filter(|id| is_id(id)).collect(),
        id => text(id).into_iter().filter(|id| is_id(id)).collect(),
    };
    Revocation { ids, terminate }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use serde_json::json;

    /// As `app.control.revoke` of Celery 5.7 publishes it.
    fn published(command: &Value) -> Vec<u8> {
        let envelope = json!({
            "body": STANDARD.encode(command.to_string()), "content-encoding": "utf-8",
            "content-type": "application/json", "headers": {"clock": 1, "expires": 1_795_430_665.456_555},
            "properties": {
                "delivery_mode": 2, "delivery_info": {"exchange": "celery.pidbox", "routing_key": ""}, "priority": 0,
                "body_encoding": "base64", "delivery_tag": "bcc7b971-cbb0-4e49-8e49-f666314888b2"
            },
        });
        envelope.to_string().into_bytes()
    }

    fn command(method: &str, arguments: &Value) -> Value {
        json!({"method": method, "arguments": arguments, "destination": null, "pattern": null, "matcher": null})
    }

    #[test]
    fn one_task_or_many_are_called_off() {
        let of = |ids: &[&str], terminate| Revocation {
            ids: ids.iter().map(|id| (*id).to_owned()).collect(),
            terminate,
        };
        for (method, arguments, expected) in [
            ("revoke", json!({"task_id": "1", "terminate": false, "signal": "SIGTERM"}), of(&["1"], false)),
            (
                "revoke",
                json!({"task_id": ["1", "2"], "terminate": true, "signal": "SIGKILL"}),
                of(&["1", "2"], true),
            ),
            ("revoke", json!({"task_id": "1", "terminate": true, "signal": null}), of(&["1"], true)),
            ("terminate", json!({"signal": "SIGTERM", "task_id": ["1"]}), of(&["1"], true)),
            ("revoke", json!({"task_id": ["1", "", {}, "x".repeat(201)]}), of(&["1"], false)),
        ] {
            assert_eq!(revocation(&published(&command(method, &arguments))), expected);
        }
    }

    #[test]
    fn everything_else_is_ignored() {
        let revoke = command("revoke", &json!({"task_id": "1"}));
        let with = |name: &str, value: Value| {
            let mut revoke = revoke.clone();
            revoke[name] = value;
            revoke
        };
        for other in [
            command("ping", &json!({})),
            command("shutdown", &json!({})),
            command("revoke", &json!({})),
            command("revoke_by_stamped_headers", &json!({"headers": {"a": ["b"]}, "terminate": false})),
            with("destination", json!(["celery@w1"])),
            with("pattern", json!("celery@*")),
            json!([]),
        ] {
            assert_eq!(revocation(&published(&other)), Revocation::default(), "{other}");
        }
        for other in [&b""[..], b"{}", b"\xff", b"{\"body\": 5}"] {
            assert_eq!(revocation(other), Revocation::default());
        }
    }
}
