//! `dogwatch rollups`: what windows are read from, made anew.

use std::process::ExitCode;

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use dogwatch_queue::Clock;
use indicatif::{ProgressBar, ProgressStyle};

use dogwatch_store::RolledUp;

use super::{Global, Usage, output};
use crate::wiring;

/// Minutes between two steps of the progress bar.
const STEP: i64 = 50;

#[derive(Debug, Subcommand)]
pub(super) enum Rollups {
    /// Make rollups anew from the raw rows that are still there
    Rebuild(Rebuild),
}

#[derive(Debug, Args)]
#[command(after_help = "Example: dogwatch rollups rebuild --from 2026-11-20 --to 2026-11-23T12:00:00Z")]
pub(super) struct Rebuild {
    /// From when: a date or a time in RFC 3339
    #[arg(long, value_name = "TIME", value_parser = super::point_in_time)]
    from: DateTime<Utc>,
    /// To when; default: now
    #[arg(long, value_name = "TIME", value_parser = super::point_in_time)]
    to: Option<DateTime<Utc>>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Rollups {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        match self {
            Self::Rebuild(rebuild) => rebuild.run(global).await,
        }
    }
}

impl Rebuild {
    async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let to = self.to.unwrap_or_else(|| Clock::system().now());
        if self.from >= to {
            let reason = format!("--from {} is not before --to {}", self.from.to_rfc3339(), to.to_rfc3339());
            return Err(Usage(reason).into());
        }
        let store = wiring::store(&global.client_settings()?)?;
        let minutes = store.doubt_rollups(self.from, to).await?;
        // On a terminal only.
        let bar = ProgressBar::new(minutes);
        bar.set_style(ProgressStyle::with_template("{wide_bar} {pos} of {len} minutes, {eta} left")?);
        let mut skipped = 0;
        loop {
            let done = store.roll_up_some(STEP).await?;
            if done == RolledUp::default() {
                break;
            }
            skipped += done.skipped;
            bar.inc((done.made + done.skipped).min(STEP.unsigned_abs()));
        }
        bar.finish_and_clear();
        let failed = store.failed_rollups().await?;
        if self.json {
            output::json(&serde_json::json!({ "minutes": minutes, "failed": failed.count }))?;
        } else {
            output::line(&format!("{minutes} minutes were made anew, with their hours and days"));
        }
        if skipped > 0 {
            output::note(&format!(
                "{skipped} of the rollups were left as they are: their rows are not all kept"
            ));
        }
        if failed.count > 0 {
            let reason = failed.error.unwrap_or_default();
            output::error(&format!("{} rollups cannot be made, and are set aside: {reason}", failed.count));
            return Ok(ExitCode::FAILURE);
        }
        Ok(ExitCode::SUCCESS)
    }
}
