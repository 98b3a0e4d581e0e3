//! `dogwatch enqueue`: a one-off job, from a shell, a script or cron.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use chrono::{DateTime, Utc};
use clap::Args;
use dogwatch_queue::{
    Enqueued, Inspector, JobRecord, JobRef, JobState, NewJob, Pause, QueueError, TraceContext, Unique,
    UniqueUntil, error_chain,
};
use dogwatch_runtime::duration;
use serde_json::{Value, json};

use super::remote::{Remote, Unavailable};
use super::{Global, jobs, output, point_in_time, usage};
use crate::wiring;

/// How often a waiting command looks: often at first, then twice a second.
const FIRST_LOOK: Duration = Duration::from_millis(20);
const LAST_LOOK: Duration = Duration::from_millis(500);
/// Where jobs go that name no queue.
pub(super) const DEFAULT_QUEUE: &str = "default";
/// How long it waits on while the job cannot be seen.
const LONGEST_UNSEEN: Duration = Duration::from_mins(10);

/// Enqueue a job
#[derive(Debug, Args)]
#[command(
    after_help = "Example: dogwatch enqueue generate_performance_report --args '{\"hours\": 48}' --wait"
)]
pub(super) struct Enqueue {
    /// Name of the job
    job: String,
    /// Its arguments, a JSON object
    #[arg(long, value_name = "JSON", default_value = "{}")]
    args: String,
    /// Where to
    #[arg(long, value_name = "NAME", default_value = DEFAULT_QUEUE)]
    queue: String,
    /// Run it after this time, such as 10m
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, conflicts_with = "at")]
    delay: Option<Duration>,
    /// Run it at this time, such as 2026-12-24T18:00:00Z
    #[arg(long, value_name = "TIME", value_parser = point_in_time)]
    at: Option<DateTime<Utc>>,
    /// Identity of the job within its queue; an id that the queue has already is not enqueued again
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Attempts allowed
    #[arg(long, value_name = "N")]
    max_attempts: Option<u32>,
    /// How long it waits after a failure: exponential:10s:10m or fixed:30s
    #[arg(long, value_name = "POLICY")]
    backoff: Option<Pause>,
    /// Do not try again when it is older than this
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    max_age: Option<Duration>,
    /// When an attempt is stopped
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    timeout: Option<Duration>,
    /// Do not run it at all after this time
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    expires: Option<Duration>,
    /// 0 (first) to 9 (last) within its queue
    #[arg(long, value_name = "N")]
    priority: Option<u8>,
    /// Enqueue it only when no other job of its queue holds this key
    #[arg(long, value_name = "KEY")]
    unique_key: Option<String>,
    /// Until when the key is held: started, done, or a time such as 1h
    #[arg(long, value_name = "WHEN", requires = "unique_key", default_value = "done")]
    unique_until: UniqueUntil,
    /// The trace that it continues, as W3C Trace Context writes it
    #[arg(long, value_name = "TRACEPARENT", env = "TRACEPARENT")]
    traceparent: Option<TraceContext>,
    /// Wait until it has ended; exit code 1 when it did not succeed
    #[arg(long)]
    wait: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Enqueue {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let args: Value = serde_json::from_str(&self.args).map_err(|error| {
            usage(format!(
                "--args `{}` is no JSON: {error}; write an object, such as '{{\"hours\": 48}}'",
                self.args
            ))
        })?;
        if let Some(remote) = global.remote()? {
            let remote = remote.traced(self.traceparent);
            return self.run_elsewhere(&remote, args).await;
        }
        let client = wiring::queue(&global.client_settings()?)?;
        let request = self.request();
        let new = NewJob::new(self.job, args);
        let job = NewJob {
            queue: self.queue,
            id: self.id,
            delay: self.delay.unwrap_or_default(),
            run_at: self.at,
            priority: self.priority.unwrap_or(new.priority),
            unique: self.unique_key.map(|key| Unique { key, until: self.unique_until }),
            expires: self.expires,
            max_attempts: self.max_attempts,
            backoff: self.backoff,
            max_age: self.max_age,
            timeout: self.timeout,
            trace: self.traceparent,
            ..new
        };
        let enqueued = wiring::producer(&client).enqueue(job).await.map_err(jobs::explained)?;
        let inspector = wiring::inspector(&client);
        let look = async |id: &str| find(&inspector, id, &request.queue).await;
        request.report(&enqueued, look).await
    }

    fn request(&self) -> Request {
        Request {
            queue: self.queue.clone(),
            id: self.id.clone(),
            unique_key: self.unique_key.clone(),
            waits: self.wait,
            json: self.json,
        }
    }

    async fn run_elsewhere(self, remote: &Remote, args: Value) -> anyhow::Result<ExitCode> {
        let request = self.request();
        let text = |duration: Duration| format!("{}ms", duration.as_millis());
        let until = match self.unique_until {
            UniqueUntil::Started => "started".to_owned(),
            UniqueUntil::Done => "done".to_owned(),
            UniqueUntil::Window(window) => text(window),
        };
        let job = json!({
            "job": self.job, "args": args, "queue": self.queue, "id": self.id, "run_at": self.at, "priority": self.priority,
            "delay": self.delay.map(text), "expires": self.expires.map(text), "max_age": self.max_age.map(text),
            "timeout": self.timeout.map(text), "max_attempts": self.max_attempts, "backoff": self.backoff,
            "unique_until": self.unique_key.as_ref().map(|_| until), "unique_key": self.unique_key,
        });
        let enqueued: Enqueued = remote.post(&["jobs"], &job).await?;
        let look = async |id: &str| remote.get(&["jobs", id], &jobs::in_queue(Some(&request.queue))).await;
        request.report(&enqueued, look).await
    }
}

/// What was requested beside the job itself, and how the outcome is printed.
struct Request {
    queue: String,
    id: Option<String>,
    unique_key: Option<String>,
    waits: bool,
    json: bool,
}

impl Request {
    fn of_default_queue(json: bool) -> Self {
        Self { queue: DEFAULT_QUEUE.to_owned(), id: None, unique_key: None, waits: true, json }
    }

    /// Prints which job it is, or waits for its end and prints its outcome.
    async fn report(
        &self,
        enqueued: &Enqueued,
        look: impl AsyncFn(&str) -> anyhow::Result<JobRecord>,
    ) -> anyhow::Result<ExitCode> {
        if !enqueued.is_new {
            // Without the state where it cannot be read: the job may be removed by now.
            let state = look(&enqueued.id).await.ok().map(|job| job.state);
            output::note(&self.not_enqueued(&enqueued.id, state));
        }
        if !self.waits {
            if self.json {
                output::json(enqueued)?;
            } else {
                output::line(&enqueued.id);
            }
            return Ok(ExitCode::SUCCESS);
        }
        let job = wait(&enqueued.id, look).await?;
        if self.json {
            output::json(&job)?;
        } else {
            jobs::print(&job);
        }
        Ok(if job.state == JobState::Succeeded { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// The sentence for a job that was there before.
    fn not_enqueued(&self, existing: &str, state: Option<JobState>) -> String {
        let state = state.map(|state| format!(" ({state})")).unwrap_or_default();
        let queue = &self.queue;
        let result = if self.waits { "; --wait shows the outcome of that job" } else { "" };
        match &self.unique_key {
            Some(key) if self.id.as_deref() != Some(existing) => format!(
                "job `{existing}` in queue `{queue}`{state} holds the unique key `{key}`; nothing was enqueued{result}"
            ),
            _ => format!(
                "job `{existing}` exists already in queue `{queue}`{state}; nothing was enqueued{result}"
            ),
        }
    }
}

/// The job in its queue; an error says why its outcome may be unknown.
async fn find(inspector: &Inspector, id: &str, queue: &str) -> anyhow::Result<JobRecord> {
    let job = inspector.job(JobRef::new(id, Some(queue))).await?;
    job.with_context(|| {
        format!(
            "job `{id}` does not exist any more, so its outcome is unknown: it was discarded, or its worker keeps ended jobs too short (`keep_succeeded`, `keep_dead` in [queue])"
        )
    })
}

/// Run a job now, and wait for its end
#[derive(Debug, clap::Args)]
pub(super) struct RunNow {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl RunNow {
    pub(super) async fn run(self, global: &Global, job: &str) -> anyhow::Result<ExitCode> {
        if let Some(remote) = global.remote()? {
            let enqueued: Enqueued = remote.post(&["jobs"], &json!({ "job": job })).await?;
            let look = async |id: &str| remote.get(&["jobs", id], &jobs::in_queue(Some(DEFAULT_QUEUE))).await;
            return Request::of_default_queue(self.json).report(&enqueued, look).await;
        }
        let client = wiring::queue(&global.client_settings()?)?;
        let enqueued = wiring::producer(&client).enqueue(NewJob::new(job, json!({}))).await?;
        let inspector = wiring::inspector(&client);
        let look = async |id: &str| find(&inspector, id, DEFAULT_QUEUE).await;
        Request::of_default_queue(self.json).report(&enqueued, look).await
    }
}

/// Waits for the end of a job.
///
/// The job ends whether it can be seen or not: while Redis or the API is unavailable, this waits on, and says
/// so.
pub(super) async fn wait(
    id: &str,
    look: impl AsyncFn(&str) -> anyhow::Result<JobRecord>,
) -> anyhow::Result<JobRecord> {
    let (mut pause, mut unseen_since) = (FIRST_LOOK, None::<Instant>);
    loop {
        match look(id).await {
            Ok(job) if job.state.has_ended() => return Ok(job),
            Ok(_) => unseen_since = None,
            Err(error) if is_temporary(&error) => {
                let since = *unseen_since.get_or_insert_with(|| {
                    let reason = error_chain(&*error);
                    output::note(&format!("cannot see job {id} for now, waiting on: {reason}"));
                    Instant::now()
                });
                if since.elapsed() > LONGEST_UNSEEN {
                    let minutes = LONGEST_UNSEEN.as_secs() / 60;
                    return Err(error.context(format!(
                        "job {id} was enqueued, and could not be seen for {minutes} minutes"
                    )));
                }
            }
            Err(error) => return Err(error),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LAST_LOOK);
    }
}

/// Whether the same question may be answered later.
fn is_temporary(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref().is_some_and(QueueError::is_unavailable) || cause.is::<Unavailable>()
    })
}
