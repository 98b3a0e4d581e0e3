//! `dogwatch report`: what happened in the last hours, beside the hours before.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use chrono::TimeDelta;
use clap::Args;
use dogwatch_jobs::ReportQuestion;
use dogwatch_queue::Clock;

use super::{Global, output};
use crate::wiring;

/// Report what happened in the last hours
#[derive(Debug, Args)]
#[command(after_help = "Example: dogwatch report --hours 168 --service shop --html report.html")]
pub(super) struct Report {
    /// Hours to report on
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=9600))]
    hours: u32,
    /// Of this service alone
    #[arg(long)]
    service: Option<String>,
    /// Of this tenant alone
    #[arg(long)]
    tenant: Option<String>,
    /// Write a page that stands alone into this file
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    html: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Report {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let store = wiring::store(&global.client_settings()?)?;
        let until = Clock::system().now();
        let since = until - TimeDelta::hours(self.hours.into());
        let question = ReportQuestion { since, until, tenant: self.tenant, service: self.service };
        let report = dogwatch_jobs::Report::build(&store, &question).await?;
        if let Some(file) = self.html {
            std::fs::write(&file, report.html()?)
                .with_context(|| format!("cannot write {}", file.display()))?;
            output::note(&format!("written: {}", file.display()));
        } else if self.json {
            output::json(&report)?;
        } else {
            output::line(report.text().trim_end());
        }
        Ok(ExitCode::SUCCESS)
    }
}
