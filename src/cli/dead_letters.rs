//! `dogwatch jobs dead`, `replay`, `discard`: what to do with jobs that have died.

use std::fmt;

use anyhow::bail;
use clap::Args;
use dogwatch_queue::{Control, DeadFilter, Inspector, JobCount, JobRecord, JobRef};
use serde_json::{Value, json};

use super::jobs::{explained, in_queue};
use super::remote::Remote;
use super::{output, usage};

/// Which dead letters are meant.
#[derive(Debug, Args)]
pub(super) struct Selection {
    /// Their ids
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// All of them, or all that fit the other flags
    #[arg(long, conflicts_with = "ids")]
    all: bool,
    /// Only of this queue; with ids, the queue that they are in
    #[arg(long, value_name = "NAME")]
    queue: Option<String>,
    /// Only of this name
    #[arg(long, requires = "all")]
    job: Option<String>,
    /// Only those whose error contains this text
    #[arg(long, requires = "all", value_name = "TEXT")]
    error: Option<String>,
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.all {
            return f.write_str(&self.ids.join(", "));
        }
        f.write_str("all")?;
        for (flag, value) in [("queue", &self.queue), ("job", &self.job), ("error", &self.error)] {
            if let Some(value) = value {
                write!(f, " --{flag} {value}")?;
            }
        }
        Ok(())
    }
}

impl Selection {
    fn filter(&self) -> anyhow::Result<Option<DeadFilter>> {
        if !self.all && self.ids.is_empty() {
            return Err(usage("name ids, or add --all; `dogwatch jobs dead` lists them"));
        }
        let filter =
            DeadFilter { queue: self.queue.clone(), job: self.job.clone(), error: self.error.clone() };
        Ok(self.all.then_some(filter))
    }

    fn job<'a>(&'a self, id: &'a str) -> JobRef<'a> {
        JobRef::new(id, self.queue.as_deref())
    }

    /// Runs them again.
    pub(super) async fn replay(&self, control: &Control) -> anyhow::Result<()> {
        if let Some(filter) = self.filter()? {
            output::line(&format!("replayed: {}", control.replay(&filter).await?));
            return Ok(());
        }
        for id in &self.ids {
            retry(control, self.job(id), None).await?;
        }
        Ok(())
    }

    /// Forgets them.
    pub(super) async fn discard(&self, control: &Control) -> anyhow::Result<()> {
        if let Some(filter) = self.filter()? {
            output::line(&format!("discarded: {}", control.discard_all(&filter).await?));
            return Ok(());
        }
        for id in &self.ids {
            if !control.discard(self.job(id)).await.map_err(explained)? {
                bail!("no dead letter has the id `{id}`; `dogwatch jobs dead` lists them");
            }
            output::line(&format!("discarded: {id}"));
        }
        Ok(())
    }
}

impl Selection {
    /// Runs them again, elsewhere.
    pub(super) async fn replay_elsewhere(&self, remote: &Remote) -> anyhow::Result<()> {
        if let Some(filter) = self.filter()? {
            output::line(&format!("replayed: {}", many_elsewhere(remote, "replay", &filter).await?));
            return Ok(());
        }
        for id in &self.ids {
            retry_elsewhere(remote, self.job(id), None).await?;
        }
        Ok(())
    }

    /// Forgets them, elsewhere.
    pub(super) async fn discard_elsewhere(&self, remote: &Remote) -> anyhow::Result<()> {
        if let Some(filter) = self.filter()? {
            output::line(&format!("discarded: {}", many_elsewhere(remote, "discard", &filter).await?));
            return Ok(());
        }
        for id in &self.ids {
            remote.delete(&["jobs", id], &in_queue(self.queue.as_deref())).await?;
            output::line(&format!("discarded: {id}"));
        }
        Ok(())
    }
}

async fn many_elsewhere(remote: &Remote, what: &str, filter: &DeadFilter) -> anyhow::Result<usize> {
    Ok(remote.post::<JobCount>(&["jobs", "dead", what], filter).await?.jobs)
}

/// Runs one job again or at once, elsewhere, with other arguments where some are given.
pub(super) async fn retry_elsewhere(
    remote: &Remote,
    which: JobRef<'_>,
    args: Option<Value>,
) -> anyhow::Result<()> {
    let path = ["jobs", which.id, "retry"];
    let job: JobRecord = remote.post_to(&path, &in_queue(which.queue), &json!({ "args": args })).await?;
    output::line(&format!("{}: {}", job.state, job.id));
    Ok(())
}

/// Runs one job again or at once, with other arguments where some are given.
pub(super) async fn retry(control: &Control, which: JobRef<'_>, args: Option<Value>) -> anyhow::Result<()> {
    let id = which.id;
    match control.retry(which, args).await.map_err(explained)? {
        None => bail!(which.not_found()),
        Some(false) => {
            let queue = which.queue.map(|queue| format!(" --queue {queue}")).unwrap_or_default();
            bail!(
                "job `{id}` cannot run again now: it runs, waits for a worker, has succeeded, or another job holds its unique key; `dogwatch jobs show {id}{queue}` shows its state"
            )
        }
        Some(true) => output::line(&format!("ready: {id}")),
    }
    Ok(())
}

/// Dead letters, the oldest first.
pub(super) async fn all(inspector: &Inspector, queue: Option<String>) -> anyhow::Result<Vec<JobRecord>> {
    let mut all = Vec::new();
    for name in inspector.queues().await? {
        if queue.as_ref().is_some_and(|wanted| *wanted != name) {
            continue;
        }
        all.extend(inspector.dead(&name).await?);
    }
    Ok(all)
}

pub(super) fn print(dead: &[JobRecord], json: bool) -> anyhow::Result<()> {
    if json {
        return output::json_list(&dead);
    }
    let row = |job: &JobRecord| {
        vec![
            output::time(job.finished_at),
            job.job.clone(),
            job.queue.clone(),
            job.attempt.to_string(),
            output::short(job.error.as_deref().unwrap_or_default(), 70),
            job.id.clone(),
        ]
    };
    let header = ["died", "job", "queue", "attempts", "error", "id"];
    output::table(&header, dead.iter().map(row).collect(), "no dead letters");
    Ok(())
}
