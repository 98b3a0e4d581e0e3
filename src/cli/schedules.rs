//! `dogwatch schedules`: what runs when.

use std::process::ExitCode;

use chrono::{DateTime, Utc};
use clap::Subcommand;
use dogwatch_queue::Clock;
use dogwatch_queue::scheduler::{Schedule, Schedules as File};

use super::{Global, output, unknown, usage};
use crate::schedules::{self, ScheduleInfo, next};
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
        #[arg(long, default_value_t = 3)]
        count: usize,
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
        let file = read(global)?;
        match self {
            Self::Run { name } => {
                let Some(schedule) = file.all().find(|schedule| schedule.name == name) else {
                    return Err(unknown(
                        "schedule",
                        &name,
                        file.all().map(|schedule| schedule.name.as_str()),
                    ));
                };
                let client = wiring::queue(&global.client_settings()?)?;
                let enqueued = wiring::producer(&client).enqueue(schedule.job_now()).await?;
                output::line(&enqueued.id);
            }
            Self::Validate => {
                let (all, enabled) = (file.all().count(), file.enabled().count());
                output::line(&format!(
                    "{} is valid: {all} schedules, {enabled} enabled",
                    global.schedules.display()
                ));
            }
            Self::List { json: true } => {
                let all = file.all().map(|it| ScheduleInfo::of(it, 1, now()));
                output::json_list(&all.collect::<Vec<_>>())?;
            }
            Self::List { json: false } => {
                let row = |it: &Schedule| {
                    let enabled = if it.enabled { "yes" } else { "no" };
                    let args = serde_json::Value::Object(it.args.clone()).to_string();
                    let next = times(it, 1).concat();
                    vec![
                        it.name.clone(),
                        it.cadence.to_string(),
                        it.job.clone(),
                        it.queue.clone(),
                        args,
                        enabled.to_owned(),
                        next,
                    ]
                };
                let header = ["schedule", "when", "job", "queue", "args", "enabled", "next"];
                output::table(&header, file.all().map(row).collect(), "no schedules");
            }
            Self::Next { count, json: true } => {
                let enabled = file.enabled().map(|it| ScheduleInfo::of(it, count, now()));
                output::json_list(&enabled.collect::<Vec<_>>())?;
            }
            Self::Next { count, json: false } => print_next(global, count)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The file; a mistake in it is wrong usage.
pub(super) fn read(global: &Global) -> anyhow::Result<File> {
    global.stay_here()?;
    schedules::read(&global.schedules).map_err(|error| usage(error.to_string()))
}

/// A table of what is due next, the first first.
pub(super) fn print_next(global: &Global, count: usize) -> anyhow::Result<()> {
    let file = read(global)?;
    let mut next: Vec<(String, &Schedule)> =
        file.enabled().flat_map(|it| times(it, count).into_iter().map(move |time| (time, it))).collect();
    next.sort_by(|(a, _), (b, _)| a.cmp(b));
    let rows =
        next.into_iter().map(|(time, it)| vec![time, it.name.clone(), it.cadence.to_string()]).collect();
    output::table(&["due", "schedule", "when"], rows, "nothing is scheduled");
    Ok(())
}

fn times(schedule: &Schedule, count: usize) -> Vec<String> {
    next(schedule, count, now()).into_iter().map(|time| output::time(Some(time))).collect()
}

fn now() -> DateTime<Utc> {
    Clock::system().now()
}
