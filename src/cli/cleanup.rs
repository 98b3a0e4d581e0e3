//! `dogwatch cleanup`: removes what is older than it is to be kept, here and now.

use std::process::ExitCode;

use clap::Args;
use dogwatch_jobs::{Cleaned, CleanupOldPerformanceData};
use dogwatch_queue::Clock;
use dogwatch_store::AuditAction;

use super::{Global, output, usage};
use crate::wiring;

/// Remove what is older than it is to be kept
#[derive(Debug, Args)]
#[command(after_help = "Example: dogwatch cleanup --days 30 --days-of database_spans=1 --dry-run")]
pub(super) struct Cleanup {
    /// Days to keep; default: `jobs.retention_days`
    #[arg(long)]
    days: Option<u32>,
    /// Days to keep of a table; default: `jobs.retention_days_of`. Can be repeated
    #[arg(long, value_name = "TABLE=DAYS", value_parser = days_of)]
    days_of: Vec<(String, u32)>,
    /// Tell what would go, and remove nothing
    #[arg(long)]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Cleanup {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let job = CleanupOldPerformanceData {
            days: self.days,
            days_of: self.days_of.into_iter().collect(),
            dry_run: self.dry_run,
        };
        job.check().map_err(usage)?;
        let (store, config) = wiring::store_with_changes(global.client_settings()?).await?;
        let is_dry_run = job.dry_run;
        let cleaned = job.clean(&store, &config.jobs, Clock::system().now()).await?;
        if !is_dry_run {
            global.audit(AuditAction::DataRemoved, None).await;
        }
        if self.json {
            output::json(&cleaned)?;
        } else {
            print(&cleaned);
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn print(cleaned: &Cleaned) {
    let row = |table: &dogwatch_jobs::CleanedTable| {
        vec![
            table.table.to_owned(),
            table.kept_days.to_string(),
            table.expired.partitions.len().to_string(),
            table.expired.rows.to_string(),
            indicatif::BinaryBytes(table.expired.bytes.unsigned_abs()).to_string(),
        ]
    };
    let header = ["table", "days kept", "partitions", "rows", "size"];
    output::table(&header, cleaned.tables.iter().map(row).collect(), "nothing is old enough to go");
    if cleaned.dry_run && !cleaned.tables.is_empty() {
        output::note("nothing was removed: this was a dry run");
    }
}

fn days_of(text: &str) -> Result<(String, u32), String> {
    let parts = text.split_once('=').and_then(|(table, days)| Some((table.to_owned(), days.parse().ok()?)));
    parts.ok_or_else(|| "write a table and days, such as database_spans=1".to_owned())
}
