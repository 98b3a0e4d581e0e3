//! `dogwatch report`: what happened in the last hours.

use std::process::ExitCode;

use chrono::TimeDelta;
use clap::Args;
use dogwatch_queue::Clock;

use super::{Global, output};
use crate::wiring;

/// Report what happened in the last hours
#[derive(Debug, Args)]
#[command(after_help = "Example: dogwatch report --hours 24")]
pub(super) struct Report {
    /// Hours to report on
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=2160))]
    hours: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Report {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let store = wiring::store(&global.client_settings()?)?;
        let now = Clock::system().now();
        let report =
            dogwatch_jobs::Report::build(&store, now - TimeDelta::hours(self.hours.into()), now).await?;
        if self.json {
            output::json(&report)?;
        } else {
            output::line(report.text().trim_end());
        }
        Ok(ExitCode::SUCCESS)
    }
}
