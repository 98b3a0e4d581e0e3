//! `dogwatch jobs`: what is in the queues and what became of it.

use std::process::ExitCode;
use std::time::Duration;

use anstyle::AnsiColor;
use anyhow::{Context, bail};
use clap::Subcommand;
use dogwatch_queue::{
    Cancelled, Control, JobFilter, JobHistory, JobRecord, JobRef, JobState, NORMAL_PRIORITY, QueueError,
};
use dogwatch_runtime::duration;
use dogwatch_store::AuditAction;
use serde_json::Value;

use super::dead_letters::{self, Selection};
use super::remote::Remote;
use super::{Global, output, usage};
use crate::metrics::Page;
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
    #[command(after_help = "Example: dogwatch jobs show order-8 --queue reports")]
    Show {
        /// Its id
        id: String,
        /// The queue that it is in; needed when several queues have a job with this id
        #[arg(long, value_name = "NAME")]
        queue: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Run a job again, or at once when it waits for its time
    #[command(after_help = "Example: dogwatch jobs retry 0199… --args '{\"days\": 30}'")]
    Retry {
        /// Its id
        id: String,
        /// The queue that it is in; needed when several queues have a job with this id
        #[arg(long, value_name = "NAME")]
        queue: Option<String>,
        /// With other arguments, a JSON object
        #[arg(long, value_name = "JSON", value_parser = json_object)]
        args: Option<Value>,
    },
    /// Call a job off, whether it waits or runs
    Cancel {
        /// Its id
        id: String,
        /// The queue that it is in; needed when several queues have a job with this id
        #[arg(long, value_name = "NAME")]
        queue: Option<String>,
    },
    /// List dead letters: jobs that have failed for good
    #[command(after_help = "Example: dogwatch jobs dead --queue reports")]
    Dead {
        /// Only of this queue
        #[arg(long)]
        queue: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Run dead letters again
    #[command(after_help = "Example: dogwatch jobs replay --all --error 'connection refused'")]
    Replay(Selection),
    /// Forget dead letters
    #[command(after_help = "Example: dogwatch jobs discard --all --job send_performance_alerts")]
    Discard(Selection),
    /// Tell what ran lately, how long it took and what failed
    #[command(after_help = "Example: dogwatch jobs history --hours 6")]
    History {
        /// So many hours back, at most 24
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=24))]
        hours: u64,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn json_object(text: &str) -> Result<Value, String> {
    match serde_json::from_str(text) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err("write a JSON object, such as '{\"hours\": 48}'".to_owned()),
        Err(error) => Err(format!("this is no JSON: {error}; write an object, such as '{{\"hours\": 48}}'")),
    }
}

impl Jobs {
    pub(super) fn shows(&self) -> bool {
        matches!(self, Self::List { .. } | Self::Show { .. })
    }

    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        if let Some(remote) = global.remote()? {
            return self.run_elsewhere(&remote).await;
        }
        let client = wiring::queue(&global.client_settings()?)?;
        let (inspector, control) = (wiring::inspector(&client), wiring::control(&client));
        match self {
            Self::List { state, queue, job, limit, json } => {
                let jobs = inspector.jobs(&JobFilter { queue, state, job, limit, behind: None }).await?;
                if json {
                    output::json_list(&jobs)?;
                } else {
                    list(&jobs);
                }
            }
            Self::Show { id, queue, json } => {
                let which = JobRef::new(&id, queue.as_deref());
                let job = inspector.job(which).await.map_err(explained)?;
                let job = job.with_context(|| {
                    format!("{}, `dogwatch jobs list` shows what there is", which.not_found())
                })?;
                if json {
                    output::json(&job)?;
                } else {
                    print(&job);
                }
            }
            Self::Retry { id, queue, args } => {
                let which = JobRef::new(&id, queue.as_deref());
                dead_letters::retry(&control, which, args).await?;
                global.audit(AuditAction::JobRetried, which.to_string()).await;
            }
            Self::Cancel { id, queue } => {
                let which = JobRef::new(&id, queue.as_deref());
                cancel(&control, which).await?;
                global.audit(AuditAction::JobCancelled, which.to_string()).await;
            }
            Self::Dead { queue, json } => {
                dead_letters::print(&dead_letters::all(&inspector, queue).await?, json)?;
            }
            Self::Replay(selection) => {
                selection.replay(&control).await?;
                global.audit(AuditAction::JobsReplayed, selection.to_string()).await;
            }
            Self::Discard(selection) => {
                selection.discard(&control).await?;
                global.audit(AuditAction::JobsDiscarded, selection.to_string()).await;
            }
            Self::History { hours, json } => {
                let history = inspector.history(Duration::from_hours(hours)).await?;
                if json { output::json_list(&history)? } else { print_history(&history) }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Jobs {
    async fn run_elsewhere(self, remote: &Remote) -> anyhow::Result<ExitCode> {
        match self {
            Self::List { state, queue, job, limit, json } => {
                let state = state.map(JobState::as_str);
                let limit = limit.to_string();
                let asked = [
                    ("state", state),
                    ("queue", queue.as_deref()),
                    ("job", job.as_deref()),
                    ("limit", Some(&limit)),
                ];
                let asked: Vec<_> = asked.into_iter().filter(|(_, value)| value.is_some()).collect();
                let jobs = remote.get::<Page<JobRecord>>(&["jobs"], &asked).await?.items;
                if json { output::json_list(&jobs)? } else { list(&jobs) }
            }
            Self::Show { id, queue, json } => {
                let job: JobRecord = remote.get(&["jobs", &id], &in_queue(queue.as_deref())).await?;
                if json { output::json(&job)? } else { print(&job) }
            }
            Self::Retry { id, queue, args } => {
                dead_letters::retry_elsewhere(remote, JobRef::new(&id, queue.as_deref()), args).await?;
            }
            Self::Cancel { id, queue } => {
                let path = ["jobs", &id, "cancel"];
                let job: JobRecord = remote.post_to(&path, &in_queue(queue.as_deref()), &()).await?;
                output::line(&match job.state {
                    JobState::Cancelled => format!("cancelled: {id}"),
                    _ => format!("{id} runs; its worker was told to end it"),
                });
            }
            Self::History { hours, json } => {
                let history = remote.get::<Page<_>>(&["jobs", "history"], &[("hours", hours)]).await?.items;
                if json { output::json_list(&history)? } else { print_history(&history) }
            }
            Self::Dead { queue, json } => {
                let mut asked = vec![("state", "dead"), ("limit", "1000")];
                asked.extend(queue.as_deref().map(|queue| ("queue", queue)));
                let mut jobs: Vec<JobRecord> = remote.all(&["jobs"], asked).await?;
                jobs.reverse();
                dead_letters::print(&jobs, json)?;
            }
            Self::Replay(selection) => selection.replay_elsewhere(remote).await?,
            Self::Discard(selection) => selection.discard_elsewhere(remote).await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn cancel(control: &Control, which: JobRef<'_>) -> anyhow::Result<()> {
    let id = which.id;
    match control.cancel(which).await.map_err(explained)? {
        None => bail!(which.not_found()),
        Some(Cancelled::Cancelled) => output::line(&format!("cancelled: {id}")),
        Some(Cancelled::Told) => output::line(&format!("{id} runs; its worker was told to end it")),
        Some(Cancelled::Ended) => bail!("job `{id}` has ended already"),
    }
    Ok(())
}

/// The query that names the queue of a job, where one is given.
pub(super) fn in_queue(queue: Option<&str>) -> Vec<(&'static str, &str)> {
    queue.map(|queue| ("queue", queue)).into_iter().collect()
}

/// An error of the queue with what to write instead. Wrong values are wrong usage.
pub(super) fn explained(error: QueueError) -> anyhow::Error {
    match &error {
        QueueError::Redis { .. } => error.into(),
        QueueError::Ambiguous { queues, .. } => {
            let example = queues.first().map(|queue| format!(", such as --queue {queue}"));
            anyhow::anyhow!("{error}{}", example.unwrap_or_default())
        }
        _ => usage(error.to_string()),
    }
}

fn list(jobs: &[JobRecord]) {
    let row = |job: &JobRecord| {
        let outcome = match (&job.error, &job.result) {
            (Some(error), _) => error.clone(),
            (None, Some(result)) => result.to_string(),
            (None, None) => job.result_error.as_ref().map(ToString::to_string).unwrap_or_default(),
        };
        vec![
            output::time(job.enqueued_at),
            job.job.clone(),
            job.queue.clone(),
            coloured(job.state),
            attempts(job),
            took(job),
            output::short(&outcome, 60),
            job.id.clone(),
        ]
    };
    let rows = jobs.iter().map(row).collect();
    let header = ["enqueued", "job", "queue", "state", "attempt", "took", "outcome", "id"];
    output::table(&header, rows, "no jobs");
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
        ("priority", shown(Some(job.priority).filter(|priority| *priority != NORMAL_PRIORITY))),
        ("expires at", output::time(job.expires_at)),
        ("timeout", shown(job.timeout_ms.map(of_ms))),
        ("max age", shown(job.max_age_ms.map(of_ms))),
        ("backoff", shown(job.backoff)),
        ("unique key", optional(&job.unique_key)),
        ("progress", job.progress.as_ref().map(ToString::to_string).unwrap_or_default()),
        ("result", job.result.as_ref().map(ToString::to_string).unwrap_or_default()),
        ("result", job.result_error.as_ref().map(|error| format!("not kept: {error}")).unwrap_or_default()),
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

fn shown<T: ToString>(value: Option<T>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

fn of_ms(ms: u64) -> String {
    duration::format(Duration::from_millis(ms))
}

fn print_history(history: &[JobHistory]) {
    let ms = |value: f64| if value < 10.0 { format!("{value:.2}") } else { format!("{value:.0}") };
    let row = |line: &JobHistory| {
        let red =
            |n: u64| if n == 0 { n.to_string() } else { output::coloured(AnsiColor::Red, &n.to_string()) };
        vec![
            line.queue.clone(),
            line.job.clone(),
            line.succeeded.to_string(),
            line.retried.to_string(),
            red(line.dead),
            line.cancelled.to_string(),
            ms(line.mean_ms),
            ms(line.p50_ms),
            ms(line.p95_ms),
            ms(line.p99_ms),
        ]
    };
    let header =
        ["queue", "job", "succeeded", "retried", "dead", "cancelled", "mean ms", "p50", "p95", "p99"];
    output::table(&header, history.iter().map(row).collect(), "nothing has run");
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
