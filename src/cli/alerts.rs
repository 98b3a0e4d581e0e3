//! `dogwatch alerts`: what is and was wrong.

use std::process::ExitCode;

use anstyle::AnsiColor;
use clap::Subcommand;
use dogwatch_store::{Alert, AlertFilter, AlertStatus, Severity};

use super::{Global, output};
use crate::wiring;

#[derive(Debug, Subcommand)]
pub(super) enum Alerts {
    /// List alerts, those seen last first
    #[command(after_help = "Example: dogwatch alerts list --status active")]
    List {
        /// Only with this status
        #[arg(long, value_parser = ["active", "acknowledged", "resolved"])]
        status: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

impl Alerts {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let Self::List { status, limit, json } = self;
        let status = status.map(AlertStatus::try_from).transpose()?;
        let alerts = wiring::store(&global.client_settings()?)?.alerts(AlertFilter { status, limit }).await?;
        if json {
            output::json_list(&alerts)?;
        } else {
            let header = ["seen", "severity", "status", "title", "times", "since"];
            output::table(&header, alerts.iter().map(row).collect(), "no alerts");
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn row(alert: &Alert) -> Vec<String> {
    let colour = match alert.severity {
        _ if alert.status == AlertStatus::Resolved => AnsiColor::Green,
        Severity::Critical | Severity::High => AnsiColor::Red,
        Severity::Medium | Severity::Low => AnsiColor::Yellow,
    };
    vec![
        output::time(Some(alert.last_seen_at)),
        alert.severity.to_string(),
        output::coloured(colour, alert.status.as_str()),
        alert.title.clone(),
        alert.occurrences.to_string(),
        output::time(Some(alert.first_seen_at)),
    ]
}
