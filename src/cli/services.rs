//! `dogwatch services`: how the checked services are.

use std::process::ExitCode;

use anstyle::AnsiColor;
use clap::Args;
use dogwatch_store::{HealthState, ServiceHealth};

use super::{Global, output};
use crate::wiring;

/// Show how the checked services are
#[derive(Debug, Args)]
pub(super) struct Services {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Services {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let services = wiring::store(&global.client_settings()?)?.service_health().await?;
        if self.json {
            output::json_list(&services)?;
        } else {
            let header = ["service", "state", "since", "checked", "took", "target", "error"];
            output::table(&header, services.iter().map(row).collect(), "no service was checked yet");
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn row(health: &ServiceHealth) -> Vec<String> {
    let colour = match health.state {
        HealthState::Healthy => AnsiColor::Green,
        HealthState::Unhealthy => AnsiColor::Red,
        HealthState::Unknown => AnsiColor::Yellow,
    };
    vec![
        health.service.clone(),
        output::coloured(colour, health.state.as_str()),
        output::time(Some(health.state_since)),
        output::time(Some(health.last_checked_at)),
        health.response_time_ms.map(|ms| format!("{ms:.1} ms")).unwrap_or_default(),
        health.target.clone(),
        output::short(health.error.as_deref().unwrap_or_default(), 60),
    ]
}
