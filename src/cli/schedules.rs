//! `dogwatch schedules`: what runs when.

use std::process::ExitCode;

use chrono::{DateTime, Utc};
use clap::Subcommand;
use dogwatch_queue::scheduler::Schedules as File;
use dogwatch_queue::{Clock, Enqueued};
use dogwatch_store::AuditAction;

use super::{Global, output, unknown, usage};
use crate::metrics::Page;
use crate::schedules::{self, ScheduleInfo};
use crate::wiring;

#[derive(Debug, Subcommand)]
pub(super) enum Schedules {
    /// List the schedules
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Check schedules.toml
    #[command(after_help = "Example: dogwatch schedules validate --schedules new.toml")]
    Validate,
    /// Show the next times each is due
    Next {
        /// How many of each
        #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
        count: u32,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Enqueue a schedule's job now, beside its times
    #[command(after_help = "Example: dogwatch schedules run generate_performance_report")]
    Run {
        /// Name of the schedule
        name: String,
    },
}

impl Schedules {
    pub(super) fn shows(&self) -> bool {
        matches!(self, Self::List { .. } | Self::Next { .. })
    }

    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        match self {
            Self::Run { name } => output::line(&run(global, &name).await?.id),
            Self::Validate => {
                let file = read(global)?;
                let (all, enabled) = (file.all().count(), file.enabled().count());
                output::line(&format!(
                    "{} is valid: {all} schedules, {enabled} enabled",
                    global.schedules.display()
                ));
                for schedule in file.all() {
                    if let Some(note) = schedule.cadence.note() {
                        output::line(&format!("note: schedule `{}` {note}", schedule.name));
                    }
                }
                if file.is_empty() {
                    output::note("warning: it defines no schedule, so nothing will be enqueued by it");
                }
            }
            Self::List { json: true } => output::json_list(&without_past(all(global, 1).await?))?,
            Self::List { json: false } => {
                let header = ["schedule", "when", "job", "queue", "args", "enabled", "next"];
                output::table(&header, all(global, 1).await?.iter().map(row).collect(), "no schedules");
            }
            Self::Next { count, json } => {
                let mut all = without_past(all(global, count).await?);
                if json {
                    all.retain(|it| it.enabled);
                    output::json_list(&all)?;
                } else {
                    print_next(&all);
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The file; a mistake in it is wrong usage.
pub(super) fn read(global: &Global) -> anyhow::Result<File> {
    global.stay_here()?;
    schedules::read(&global.schedules).map_err(|error| usage(error.to_string()))
}

/// All schedules with so many of their next times, of this machine or of the one that is asked.
async fn all(global: &Global, count: u32) -> anyhow::Result<Vec<ScheduleInfo>> {
    if let Some(remote) = global.remote()? {
        return Ok(remote.get::<Page<_>>(&["schedules"], &[("next", count)]).await?.items);
    }
    Ok(infos(&read(global)?, count))
}

/// The schedules of a file with so many of their next times.
pub(super) fn infos(file: &File, count: u32) -> Vec<ScheduleInfo> {
    let now = Clock::system().now();
    file.all().map(|it| ScheduleInfo::of(it, count as usize, now)).collect()
}

/// Here is told what the file says; how it fared is told by the API.
fn without_past(mut all: Vec<ScheduleInfo>) -> Vec<ScheduleInfo> {
    for it in &mut all {
        (it.last_success_at, it.last_run) = (None, None);
    }
    all
}

async fn run(global: &Global, name: &str) -> anyhow::Result<Enqueued> {
    if let Some(remote) = global.remote()? {
        return remote.post(&["schedules", name, "run"], &()).await;
    }
    let file = read(global)?;
    let Some(schedule) = file.all().find(|schedule| schedule.name == name) else {
        return Err(unknown("schedule", name, file.all().map(|schedule| schedule.name.as_str())));
    };
    let client = wiring::queue(&global.client_settings()?)?;
    let enqueued = wiring::producer(&client).enqueue(schedule.job_now()).await?;
    global.audit(AuditAction::ScheduleRun, name.to_owned()).await;
    Ok(enqueued)
}

fn row(it: &ScheduleInfo) -> Vec<String> {
    vec![
        it.name.clone(),
        it.when.clone(),
        it.job.clone(),
        it.queue.clone(),
        serde_json::Value::Object(it.args.clone()).to_string(),
        if it.enabled { "yes" } else { "no" }.to_owned(),
        output::time(it.next.first().copied()),
    ]
}

/// A table of what is due next, the first first.
pub(super) fn print_next(all: &[ScheduleInfo]) {
    let enabled = all.iter().filter(|it| it.enabled);
    let mut due: Vec<_> = enabled.flat_map(|it| it.next.iter().map(move |at| (*at, it))).collect();
    due.sort_by_key(|(at, _)| *at);
    let row = |(at, it): (DateTime<Utc>, &ScheduleInfo)| {
        vec![output::time(Some(at)), it.name.clone(), it.when.clone()]
    };
    output::table(&["due", "schedule", "when"], due.into_iter().map(row).collect(), "nothing is scheduled");
}
