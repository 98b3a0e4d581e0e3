//! `dogwatch services`: how the checked services are, and how long they were up.

use std::process::ExitCode;

use anstyle::AnsiColor;
use clap::Args;
use dogwatch_queue::Clock;
use dogwatch_store::HealthState;

use super::{Global, output};
use crate::metrics::Page;
use crate::services::{Service, services};
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
        let services = if let Some(remote) = global.remote()? {
            remote.get::<Page<_>>(&["performance", "services", "health"], &()).await?.items
        } else {
            let config = global.client_settings()?;
            services(&wiring::store(&config)?, &config.needs(), Clock::system().now()).await?
        };
        if self.json {
            output::json_list(&services)?;
        } else {
            let header = ["service", "state", "since", "took", "24 h", "7 d", "30 d", "target", "error"];
            output::table(&header, services.iter().map(row).collect(), "no service was checked yet");
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn row(Service { health, uptime_24h, uptime_7d, uptime_30d, .. }: &Service) -> Vec<String> {
    let colour = match health.state {
        HealthState::Healthy => AnsiColor::Green,
        HealthState::Unhealthy => AnsiColor::Red,
        HealthState::Degraded | HealthState::Unknown => AnsiColor::Yellow,
    };
    let percent = |part: &Option<f64>| part.map(|part| format!("{:.2} %", part * 100.0)).unwrap_or_default();
    vec![
        health.service.clone(),
        output::coloured(colour, health.state.as_str()),
        output::time(Some(health.state_since)),
        health.response_time_ms.map(|ms| format!("{ms:.1} ms")).unwrap_or_default(),
        percent(uptime_24h),
        percent(uptime_7d),
        percent(uptime_30d),
        health.target.clone(),
        output::short(health.error.as_deref().unwrap_or_default(), 60),
    ]
}
