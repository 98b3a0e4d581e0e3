//! Tasks that a client revokes.
//!
//! `app.control.revoke` broadcasts a command to all workers.

use serde_json::Value;

use super::inspect::Command;
use super::message::{is_id, text};

/// Ids in one command; the others are ignored.
const MAX_IDS: usize = 10_000;

/// What to revoke.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Revocation {
    pub(crate) ids: Vec<String>,
    /// Whether those that run already are stopped too.
    pub(crate) terminate: bool,
}

/// Reads a command; nothing where it revokes nothing.
pub(crate) fn revocation(command: &Command) -> Revocation {
    let arguments = &command.arguments;
    let terminate = match command.method.as_str() {
        "revoke" => arguments["terminate"].as_bool().unwrap_or_default(),
        "terminate" => true,
        _ => return Revocation::default(),
    };
    let ids = match &arguments["task_id"] {
        Value::Array(ids) => ids.iter().take(MAX_IDS).filter_map(text).filter(|id| is_id(id)).collect(),
        id => text(id).into_iter().filter(|id| is_id(id)).collect(),
    };
    Revocation { ids, terminate }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn command(method: &str, arguments: &Value) -> Command {
        Command { method: method.to_owned(), arguments: arguments.clone(), ..Command::default() }
    }

    #[test]
    fn one_task_or_many_are_revoked() {
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
            assert_eq!(revocation(&command(method, &arguments)), expected);
        }
    }

    #[test]
    fn everything_else_revokes_nothing() {
        for other in [
            command("ping", &json!({})),
            command("shutdown", &json!({})),
            command("revoke", &json!({})),
            command("revoke", &Value::Null),
            command("revoke_by_stamped_headers", &json!({"headers": {"a": ["b"]}, "terminate": false})),
        ] {
            assert_eq!(revocation(&other), Revocation::default(), "{other:?}");
        }
    }
}
