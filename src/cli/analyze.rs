//! `dogwatch analyze`: looks for what has changed, here and now, and tells what is found.

use std::process::ExitCode;

use anstyle::AnsiColor;
use anyhow::bail;
use clap::Args;
use dogwatch_jobs::{Analysis, analyze};
use dogwatch_queue::{Clock, Enqueued, JobState};
use dogwatch_store::{FindingState, TrendDirection};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::enqueue::DEFAULT_QUEUE;
use super::jobs::in_queue;
use super::remote::Remote;
use super::{Global, output};
use crate::trends::{self, TrendItem, TrendQuestion};
use crate::wiring;

/// Find what has changed, what is unusual and what will be full, and tell what is known of it
#[derive(Debug, Args)]
#[command(after_help = "Example: dogwatch analyze --hours 24 --service shop")]
pub(super) struct Analyze {
    /// Tell also of what ended in the last hours
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=8784))]
    hours: u32,
    /// Tell of this service alone
    #[arg(long)]
    service: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Analyze {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        if let Some(remote) = global.remote()? {
            return self.run_elsewhere(&remote).await;
        }
        let (store, config) = wiring::store_with_changes(global.client_settings()?).await?;
        let now = Clock::system().now();
        store.roll_up().await?;
        // On a terminal only.
        let bar = ProgressBar::new(0);
        bar.set_style(ProgressStyle::with_template("{wide_bar} {pos} of {len} steps, {eta} left")?);
        let progress = |done: usize, all: usize| {
            bar.set_length(all as u64);
            bar.set_position(done as u64);
        };
        let analysis = analyze(&store, config.jobs.trend_min_change_percent, now, progress).await?;
        bar.finish_and_clear();
        match analysis {
            None => output::note("another process analyses at this moment; this is what is known so far"),
            Some(Analysis { left: 1.., .. }) => {
                output::note("not everything is analysed yet: run it again, or leave it to the schedule");
            }
            Some(_) => {}
        }
        let question = TrendQuestion {
            hours: Some(self.hours),
            service: self.service.clone(),
            ..TrendQuestion::default()
        };
        let items = trends::list(&store, now, &question).await?.items;
        self.print(&items)
    }

    async fn run_elsewhere(self, remote: &Remote) -> anyhow::Result<ExitCode> {
        let asked = json!({ "job": "analyze_performance_trends" });
        let enqueued: Enqueued = remote.post(&["jobs"], &asked).await?;
        let look = async |id: &str| remote.get(&["jobs", id], &in_queue(Some(DEFAULT_QUEUE))).await;
        let job = super::enqueue::wait(&enqueued.id, look).await?;
        if job.state != JobState::Succeeded {
            bail!("nothing was analysed: job {} is {}: {}", job.id, job.state, job.error.unwrap_or_default());
        }
        let hours = self.hours.to_string();
        let mut asked = vec![("hours", hours.as_str())];
        asked.extend(self.service.as_deref().map(|service| ("service", service)));
        self.print(&remote.all(&["performance", "trends"], asked).await?)
    }

    fn print(&self, items: &[TrendItem]) -> anyhow::Result<ExitCode> {
        if self.json {
            output::json_list(&items)?;
            return Ok(ExitCode::SUCCESS);
        }
        // What is told with another stands in its sentence.
        let rows: Vec<Vec<String>> = items.iter().filter(|item| item.stands_for_itself()).map(row).collect();
        output::table(&["", "", "finding"], rows, "nothing has changed for good, and nothing is unusual");
        Ok(ExitCode::SUCCESS)
    }
}

fn row(item: &TrendItem) -> Vec<String> {
    let colour = match (item.state, item.direction) {
        (FindingState::Open, TrendDirection::Worse) => AnsiColor::Red,
        (FindingState::Open, TrendDirection::Better) => AnsiColor::Green,
        _ => AnsiColor::BrightBlack,
    };
    vec![output::coloured(colour, item.direction.as_str()), item.state.to_string(), item.sentence.clone()]
}
