//! `dogwatch audit`: who did what, when and from where.

use std::process::ExitCode;

use clap::Args;
use dogwatch_store::{AuditAction, AuditEvent, AuditFilter};
use serde::Serialize;

use super::{Global, output};
use crate::audit::Actor;
use crate::metrics::Page;
use crate::wiring;

/// Options of `audit`.
#[derive(Debug, Args, Serialize)]
#[command(
    after_help = "Examples:\n  dogwatch audit --limit 20\n  dogwatch audit --action key_refused --json"
)]
pub(super) struct Audit {
    /// Only what was done in this way, such as `queue_purged`
    #[arg(long, value_parser = action)]
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<AuditAction>,
    /// Only what this key or user did
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
    limit: u32,
    /// Print JSON
    #[arg(long)]
    #[serde(skip)]
    json: bool,
}

impl Audit {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let events = if let Some(remote) = global.remote()? {
            remote.get::<Page<_>>(&["audit"], &self).await?.items
        } else {
            let filter =
                AuditFilter { action: self.action, actor: self.actor, limit: self.limit, behind: None };
            wiring::store(&global.client_settings()?)?.audit_events(&filter).await?
        };
        if self.json {
            output::json_list(&events)?;
        } else {
            print(&events);
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn action(word: &str) -> Result<AuditAction, String> {
    AuditAction::try_from(word.to_owned()).map_err(|_| {
        let all: Vec<&str> = AuditAction::ALL.iter().map(|action| action.as_str()).collect();
        format!("write one of {}", all.join(", "))
    })
}

fn print(events: &[AuditEvent]) {
    let row = |event: &AuditEvent| {
        vec![
            output::time(Some(event.occurred_at)),
            event.action.to_string(),
            output::short(&event.actor, 30),
            output::short(event.address.as_deref().unwrap_or_default(), 40),
            output::short(event.target.as_deref().unwrap_or_default(), 60),
        ]
    };
    let header = ["at", "action", "by", "from", "target"];
    output::table(&header, events.iter().map(row).collect(), "nothing is in the audit log yet");
}

impl Global {
    /// Adds to the audit log what the command line did on this machine.
    pub(super) async fn audit(&self, action: AuditAction, target: impl Into<Option<String>>) {
        let actor = Actor::of_command_line();
        match self.client_settings().and_then(|settings| wiring::store(&settings)) {
            Ok(store) => actor.did(&store, action, target).await,
            Err(error) => {
                tracing::error!(action = action.as_str(), %error, "this is missing from the audit log");
            }
        }
    }
}
