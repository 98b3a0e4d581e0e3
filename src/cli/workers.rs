//! `dogwatch workers`: who works, and on what.

use std::process::ExitCode;

use clap::Subcommand;
use dogwatch_queue::{Clock, WorkerInfo};

use super::{Global, output};
use crate::metrics::Page;
use crate::wiring;

#[derive(Debug, Subcommand)]
pub(super) enum Workers {
    /// List workers, and what they run since when
    #[command(after_help = "Example: dogwatch workers list --json")]
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

impl Workers {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let Self::List { json } = self;
        let workers = match global.remote()? {
            Some(remote) => remote.get::<Page<_>>(&["workers"], &()).await?.items,
            None => wiring::inspector(&wiring::queue(&global.client_settings()?)?).workers().await?,
        };
        if json {
            output::json_list(&workers)?;
        } else {
            list(&workers);
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn list(workers: &[WorkerInfo]) {
    let now = Clock::system().now();
    let mut rows = Vec::new();
    for worker in workers {
        let state = if worker.draining { "draining" } else { "" };
        rows.push(vec![
            worker.host.clone(),
            worker.pid.to_string(),
            worker.version.clone(),
            worker.queues.join(","),
            format!("{}/{}", worker.running.len(), worker.concurrency),
            output::duration_ms((now - worker.started_at).num_milliseconds()),
            state.to_owned(),
        ]);
        for job in &worker.running {
            let mut row = vec![String::new(); 3];
            row.extend([
                job.queue.clone(),
                job.job.clone(),
                output::duration_ms((now - job.since).num_milliseconds()),
                job.id.clone(),
            ]);
            rows.push(row);
        }
    }
    let header = ["host", "pid", "version", "queues", "running", "since", ""];
    output::table(&header, rows, "no worker runs; `dogwatch worker` starts one");
}
