//! `dogwatch queues`: what each queue holds; pause, resume and purge them.

use std::process::ExitCode;

use anstyle::AnsiColor;
use clap::Subcommand;
use dogwatch_queue::{JobCount, QueueCounts};
use dogwatch_store::AuditAction;

use super::remote::Remote;
use super::{Global, output, unknown, usage};
use crate::metrics::Page;
use crate::wiring;

#[derive(Debug, Subcommand)]
pub(super) enum Queues {
    /// List queues and what they hold
    #[command(after_help = "Example: dogwatch queues list --json")]
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Let no worker take jobs from a queue; what runs goes on, what is enqueued waits
    #[command(after_help = "Example: dogwatch queues pause reports")]
    Pause {
        /// Its name
        name: String,
    },
    /// Let workers take jobs from a queue again
    Resume {
        /// Its name
        name: String,
    },
    /// Cancel everything in a queue that waits: ready, scheduled and retrying jobs
    #[command(after_help = "Example: dogwatch queues purge reports --yes")]
    Purge {
        /// Its name
        name: String,
        /// Do it: it cannot be undone
        #[arg(long)]
        yes: bool,
    },
}

impl Queues {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        if let Some(remote) = global.remote()? {
            return self.run_elsewhere(&remote).await;
        }
        let client = wiring::queue(&global.client_settings()?)?;
        let (inspector, control) = (wiring::inspector(&client), wiring::control(&client));
        let known = async |name: &str| {
            let queues = inspector.queues().await?;
            if !queues.contains(name) {
                return Err(unknown("queue", name, queues.iter().map(String::as_str)));
            }
            Ok(())
        };
        match self {
            Self::List { json } => {
                print(&inspector.counts().await?, json)?;
            }
            Self::Pause { name } => {
                known(&name).await?;
                control.pause(&name).await?;
                global.audit(AuditAction::QueuePaused, name.clone()).await;
                output::line(&paused(&name));
            }
            Self::Resume { name } => {
                known(&name).await?;
                control.resume(&name).await?;
                global.audit(AuditAction::QueueResumed, name.clone()).await;
                output::line(&resumed(&name));
            }
            Self::Purge { name, yes } => {
                known(&name).await?;
                is_meant(&name, yes)?;
                let jobs = control.purge(&name).await?;
                global.audit(AuditAction::QueuePurged, name).await;
                output::line(&cancelled(jobs));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Queues {
    async fn run_elsewhere(self, remote: &Remote) -> anyhow::Result<ExitCode> {
        let change = async |name: &str, what: &str| -> anyhow::Result<QueueCounts> {
            remote.post(&["queues", name, what], &()).await
        };
        match self {
            Self::List { json } => print(&remote.get::<Page<_>>(&["queues"], &()).await?.items, json)?,
            Self::Pause { name } => output::line(&paused(&change(&name, "pause").await?.name)),
            Self::Resume { name } => output::line(&resumed(&change(&name, "resume").await?.name)),
            Self::Purge { name, yes } => {
                is_meant(&name, yes)?;
                output::line(&cancelled(
                    remote.post::<JobCount>(&["queues", &name, "purge"], &()).await?.jobs,
                ));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// It cannot be undone.
fn is_meant(name: &str, yes: bool) -> anyhow::Result<()> {
    if yes {
        return Ok(());
    }
    Err(usage(format!("all that waits in `{name}` would be cancelled; add --yes to do it")))
}

fn cancelled(jobs: usize) -> String {
    format!("cancelled: {jobs}")
}

fn paused(name: &str) -> String {
    format!("`{name}` is paused; `dogwatch queues resume {name}` lets it go on")
}

fn resumed(name: &str) -> String {
    format!("`{name}` goes on")
}

fn print(counts: &[QueueCounts], json: bool) -> anyhow::Result<()> {
    if json {
        return output::json_list(&counts);
    }
    list(counts);
    Ok(())
}

fn list(counts: &[QueueCounts]) {
    let row = |queue: &QueueCounts| {
        let state = if queue.paused { output::coloured(AnsiColor::Yellow, "paused") } else { String::new() };
        let numbers = [queue.ready, queue.running, queue.scheduled, queue.retrying, queue.dead];
        let mut row = vec![queue.name.clone()];
        row.extend(numbers.iter().map(ToString::to_string));
        row.push(queue.oldest_ready_ms.map(output::duration_ms).unwrap_or_default());
        row.push(state);
        row
    };
    let header = ["queue", "ready", "running", "scheduled", "retrying", "dead", "waits since", ""];
    output::table(&header, counts.iter().map(row).collect(), "no queues yet");
}
