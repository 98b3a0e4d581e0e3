//! The audit log: who did what, when and from where. The API and the command line add to it after something was done.
//!
//! What was done stays done when the log cannot be written; then the line is in the log of the process, as an error.

use dogwatch_jobs::host_name;
use dogwatch_queue::error_chain;
use dogwatch_store::{AuditAction, NewAuditEvent, Store};
use serde_json::Value;

/// Characters of a name, an address or a target.
const MAX_TEXT: usize = 300;

/// Who does something, and from where.
#[derive(Clone, Debug)]
pub struct Actor {
    /// The name of a key, or the user of the command line.
    pub name: String,
    /// The address of a client, or the host of the command line.
    pub address: Option<String>,
}

impl Actor {
    /// Who uses the command line on this machine. The name is what the environment says: whoever uses it has the rights to
    /// change the database as they like.
    pub fn of_command_line() -> Self {
        let name = std::env::var("USER").ok().filter(|name| !name.is_empty());
        Self {
            name: name.unwrap_or_else(|| "cli".to_owned()),
            address: Some(format!("command line on {}", host_name())),
        }
    }

    /// Notes what was done.
    pub async fn did(&self, store: &Store, action: AuditAction, target: impl Into<Option<String>>) {
        self.did_with(store, action, target, None).await;
    }

    /// Notes what was done, with more about it.
    pub async fn did_with(
        &self,
        store: &Store,
        action: AuditAction,
        target: impl Into<Option<String>>,
        details: Option<Value>,
    ) {
        let event = NewAuditEvent {
            action,
            actor: bounded(&self.name),
            address: self.address.as_deref().map(bounded),
            target: target.into().as_deref().map(bounded),
            details,
        };
        if let Err(error) = store.record_audit_event(&event).await {
            tracing::error!(
                action = action.as_str(),
                actor = event.actor,
                address = event.address,
                target = event.target,
                error = error_chain(&error),
                "this is missing from the audit log"
            );
        }
    }
}

/// What Postgres takes, and not too much of it.
fn bounded(text: &str) -> String {
    text.chars().filter(|char| *char != '\0').take(MAX_TEXT).collect()
}
