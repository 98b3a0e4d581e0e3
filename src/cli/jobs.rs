//! `dogwatch jobs`: what is in the queues and what became of it.

use std::process::ExitCode;

use anstyle::AnsiColor;
use anyhow::bail;
use clap::Subcommand;
use dogwatch_queue::{JobFilter, JobRecord, JobState};

use super::{Global, output};
use crate::wiring;

#[derive(Debug, Subcommand)]
pub(super) enum Jobs {
    /// List jobs, the newest first
    #[command(after_help = "Example: dogwatch jobs list --state dead --json")]
    List {
        /// Only in this state: scheduled, ready, running, retrying, succeeded, dead, cancelled, expired
        #[arg(long)]
        state: Option<JobState>,
        /// Only of this queue
        #[arg(long)]
        queue: Option<String>,
        /// Only of this name
        #[arg(long)]
        job: Option<String>,
        /// At most so many, up to 1000
        #[arg(long, default_value_t = 50)]
        limit: usize,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show one job: arguments, attempts, errors, result
    Show {
        /// Its id
        id: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

impl Jobs {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let client = wiring::queue(&global.client_settings()?)?;
        let inspector = wiring::inspector(&client);
        match self {
            Self::List { state, queue, job, limit, json } => {
                let jobs = inspector.jobs(&JobFilter { queue, state, job, limit }).await?;
                if json {
                    output::json_list(&jobs)?;
                } else {
                    list(&jobs);
                }
            }
            Self::Show { id, json } => {
                let Some(job) = inspector.job(&id).await? else {
                    bail!(
                        "no job has the id `{id}`; ended jobs are kept for a time only, `dogwatch jobs list` shows what is there"
                    );
                };
                if json {
                    output::json(&job)?;
                } else {
                    print(&job);
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn list(jobs: &[JobRecord]) {
    let row = |job: &JobRecord| {
        let outcome = match (&job.error, &job.result) {
            (Some(error), _) => error.clone(),
            (None, Some(result)) => result.to_string(),
            (None, None) => String::new(),
        };
        vec![
            output::time(job.enqueued_at),
            job.job.clone(),
            coloured(job.state),
            attempts(job),
            took(job),
            output::short(&outcome, 60),
            job.id.clone(),
        ]
    };
    let rows = jobs.iter().map(row).collect();
    output::table(&["enqueued", "job", "state", "attempt", "took", "outcome", "id"], rows, "no jobs");
}

/// One job in full.
pub(super) fn print(job: &JobRecord) {
    let optional = |text: &Option<String>| text.clone().unwrap_or_default();
    let fields = [
        ("id", job.id.clone()),
        ("job", job.job.clone()),
        ("args", job.args.to_string()),
        ("queue", job.queue.clone()),
        ("state", coloured(job.state)),
        ("attempt", attempts(job)),
        ("schedule", optional(&job.schedule)),
        ("enqueued at", output::time(job.enqueued_at)),
        ("run at", output::time(job.run_at)),
        ("started at", output::time(job.started_at)),
        ("finished at", output::time(job.finished_at)),
        ("took", took(job)),
        ("worker", optional(&job.worker)),
        ("result", job.result.as_ref().map(ToString::to_string).unwrap_or_default()),
        ("error", optional(&job.error)),
    ];
    for (name, value) in fields.iter().filter(|(_, value)| !value.is_empty()) {
        output::line(&format!("{name:<12} {value}"));
    }
    for failed in &job.errors {
        output::line(&format!(
            "attempt {:<4} {} {}",
            failed.attempt,
            output::time(Some(failed.at)),
            failed.error
        ));
    }
}

fn attempts(job: &JobRecord) -> String {
    job.max_attempts.map_or_else(|| job.attempt.to_string(), |max| format!("{}/{max}", job.attempt))
}

fn took(job: &JobRecord) -> String {
    let (Some(started), Some(finished)) = (job.started_at, job.finished_at) else {
        return String::new();
    };
    format!("{} ms", (finished - started).num_milliseconds())
}

fn coloured(state: JobState) -> String {
    let colour = match state {
        JobState::Succeeded => AnsiColor::Green,
        JobState::Dead | JobState::Expired => AnsiColor::Red,
        JobState::Retrying | JobState::Cancelled => AnsiColor::Yellow,
        JobState::Running => AnsiColor::Cyan,
        JobState::Scheduled | JobState::Ready => AnsiColor::White,
    };
    output::coloured(colour, state.as_str())
}
