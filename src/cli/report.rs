//! `dogwatch report`: what happened in the last hours, beside the hours before.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use chrono::TimeDelta;
use clap::Args;
use dogwatch_jobs::ReportQuestion;
use dogwatch_queue::{Clock, Enqueued};
use serde_json::{Value, json};

use super::enqueue::DEFAULT_QUEUE;
use super::jobs::in_queue;
use super::remote::Remote;
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
        if let Some(remote) = global.remote()? {
            return self.run_elsewhere(&remote).await;
        }
        let store = wiring::store(&global.client_settings()?)?;
        let until = Clock::system().now();
        let since = until - TimeDelta::hours(self.hours.into());
        let question = ReportQuestion { since, until, tenant: self.tenant, service: self.service };
        let report = dogwatch_jobs::Report::build(&store, &question).await?;
        if let Some(file) = self.html {
            write(&file, &report.html()?)?;
        } else if self.json {
            output::json(&report)?;
        } else {
            output::line(report.text().trim_end());
        }
        Ok(ExitCode::SUCCESS)
    }

    /// It is made and kept there, and read here.
    async fn run_elsewhere(self, remote: &Remote) -> anyhow::Result<ExitCode> {
        let args = json!({ "hours": self.hours, "service": self.service, "tenant": self.tenant });
        let asked = json!({ "job": "generate_performance_report", "args": args });
        let enqueued: Enqueued = remote.post(&["jobs"], &asked).await?;
        let look = async |id: &str| remote.get(&["jobs", id], &in_queue(Some(DEFAULT_QUEUE))).await;
        let job = super::enqueue::wait(&enqueued.id, look).await?;
        let id = job.result.as_ref().and_then(|result| result["report_id"].as_str());
        let id = id.with_context(|| {
            format!("no report was made: job {} is {}: {}", job.id, job.state, job.error.unwrap_or_default())
        })?;
        let form = match (&self.html, self.json) {
            (Some(_), _) => "html",
            (None, true) => "json",
            (None, false) => "text",
        };
        let path = ["performance", "reports", id];
        let text = remote.text(&path, &[("format", form)]).await?;
        match self.html {
            Some(file) => write(&file, &text)?,
            None if self.json => output::json(&serde_json::from_str::<Value>(&text)?)?,
            None => output::line(text.trim_end()),
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn write(file: &Path, page: &str) -> anyhow::Result<()> {
    std::fs::write(file, page).with_context(|| format!("cannot write {}", file.display()))?;
    output::note(&format!("written: {}", file.display()));
    Ok(())
}
