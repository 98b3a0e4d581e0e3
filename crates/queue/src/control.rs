//! What people do to queues and jobs: pause, resume, cancel, run again, discard, purge.
//!
//! Every order is a fact in Redis, not a message: it holds for workers that start later, and survives them all.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::client::Client;
use crate::error::QueueError;
use crate::inspector::Inspector;
use crate::job_ref::JobRef;
use crate::record::{JobRecord, JobState, Options, Payload};
use crate::registry::Catalog;
use crate::script::Step;

/// Jobs in one step.
const BATCH: usize = 200;

/// Changes queues and jobs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Control {
    client: Client,
    inspector: Inspector,
    catalog: Catalog,
}

/// What became of an order to cancel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cancelled {
    /// It will not run.
    Cancelled,
    /// It runs; its worker is told within a second, and ends it.
    Told,
    /// It had ended before.
    Ended,
}

/// Which dead letters are meant: those that fit all that is told, so that `{}` means every one.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DeadFilter {
    /// Only of this queue.
    pub queue: Option<String>,
    /// Only of this name.
    pub job: Option<String>,
    /// Only those whose last error contains this text.
    pub error: Option<String>,
}

/// How many jobs an order was carried out on.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
pub struct JobCount {
    /// How many.
    pub jobs: usize,
}

impl Control {
    /// Acts on `client`'s Redis; arguments are checked by `catalog`.
    pub fn new(client: Client, catalog: Catalog) -> Self {
        Self { inspector: Inspector::new(client.clone()), client, catalog }
    }

    /// Whether Redis takes writes.
    ///
    /// # Errors
    /// What Redis said.
    pub async fn check_writes(&self) -> Result<(), QueueError> {
        self.client.check_writes().await
    }

    /// From now on no worker takes a job of this queue. What runs goes on; what is enqueued waits.
    pub async fn pause(&self, queue: &str) -> Result<(), QueueError> {
        self.client.announce(queue).await?;
        let control = self.client.queue(queue).family("control");
        let mut pause = redis::cmd("HSETNX");
        pause.arg(control).arg("paused").arg(self.client.time_ms().await?);
        pause.query_async(&mut self.client.connection()).await.map_err(QueueError::redis("pause a queue"))
    }

    /// Workers take jobs of this queue again, within their `poll`.
    pub async fn resume(&self, queue: &str) -> Result<(), QueueError> {
        let mut resume = redis::cmd("HDEL");
        resume.arg(self.client.queue(queue).family("control")).arg("paused");
        resume.query_async(&mut self.client.connection()).await.map_err(QueueError::redis("resume a queue"))
    }

    /// Calls a job off, whether it waits or runs. `None` when there is no such job.
    pub async fn cancel<'a>(&self, which: impl Into<JobRef<'a>>) -> Result<Option<Cancelled>, QueueError> {
        let Some(job) = self.inspector.job(which).await? else { return Ok(None) };
        let keys = self.client.queue(&job.queue);
        let mut call = self.client.step(Step::Cancel, &keys);
        let answer: String = call
            .arg(&job.id)
            .arg(1)
            .invoke_async(&mut self.client.connection())
            .await
            .map_err(QueueError::redis("cancel a job"))?;
        Ok(match answer.as_str() {
            "" => None,
            "cancelled" if job.state != JobState::Cancelled => Some(Cancelled::Cancelled),
            "running" => Some(Cancelled::Told),
            _ => Some(Cancelled::Ended),
        })
    }

    /// Runs a job again that died, was cancelled or has expired; or at once, when it waits for its time. With other
    /// arguments when some are given. `None` when there is no such job; `false` when it cannot: it runs, waits for a
    /// worker already, has succeeded, or another job holds its unique key.
    pub async fn retry<'a>(
        &self,
        which: impl Into<JobRef<'a>>,
        args: Option<Value>,
    ) -> Result<Option<bool>, QueueError> {
        let Some(job) = self.inspector.job(which).await? else { return Ok(None) };
        if let Some(args) = &args {
            self.catalog.check(&job.job, args)?;
        }
        Ok(Some(!self.take(&job.queue, &[&job.id], args.as_ref()).await?.is_empty()))
    }

    async fn take(&self, queue: &str, ids: &[&str], args: Option<&Value>) -> Result<Vec<String>, QueueError> {
        let payloads = self.inspector.payloads(queue, ids).await?;
        let now_ms = self.client.time_ms().await?;
        let keys = self.client.queue(queue);
        let mut call = self.client.step(Step::Retry, &keys);
        for (id, payload) in ids.iter().zip(payloads) {
            let again = payload.map(|payload| {
                // Its time begins anew: one that was too old would be too old again.
                let options = Options { enqueued_at: Some(now_ms), expires_at: None, ..payload.options };
                Payload { args: args.cloned().unwrap_or(payload.args), job: payload.job, options }
            });
            let text = again.and_then(|payload| serde_json::to_string(&payload).ok()).unwrap_or_default();
            call.arg(*id).arg(text);
        }
        call.invoke_async(&mut self.client.connection()).await.map_err(QueueError::redis("run jobs again"))
    }

    /// Runs all dead letters again that fit. Says how many.
    pub async fn replay(&self, filter: &DeadFilter) -> Result<usize, QueueError> {
        let mut replayed = 0;
        for (queue, ids) in self.dead(filter).await? {
            for group in ids.chunks(BATCH) {
                let ids: Vec<&str> = group.iter().map(String::as_str).collect();
                replayed += self.take(&queue, &ids, None).await?.len();
            }
        }
        Ok(replayed)
    }

    /// Forgets one dead letter. False when there is no such dead letter.
    pub async fn discard<'a>(&self, which: impl Into<JobRef<'a>>) -> Result<bool, QueueError> {
        let Some(job) = self.inspector.job(which).await? else { return Ok(false) };
        Ok(self.forget(&job.queue, &[&job.id]).await? == 1)
    }

    /// Forgets all dead letters that fit. Says how many.
    pub async fn discard_all(&self, filter: &DeadFilter) -> Result<usize, QueueError> {
        let mut discarded = 0;
        for (queue, ids) in self.dead(filter).await? {
            for group in ids.chunks(BATCH) {
                let ids: Vec<&str> = group.iter().map(String::as_str).collect();
                discarded += self.forget(&queue, &ids).await?;
            }
        }
        Ok(discarded)
    }

    async fn forget(&self, queue: &str, ids: &[&str]) -> Result<usize, QueueError> {
        let keys = self.client.queue(queue);
        let mut call = self.client.step(Step::Discard, &keys);
        call.arg(ids)
            .invoke_async(&mut self.client.connection())
            .await
            .map_err(QueueError::redis("discard jobs"))
    }

    /// Cancels everything in a queue that waits: ready, delayed and retrying. Says how many.
    pub async fn purge(&self, queue: &str) -> Result<usize, QueueError> {
        let keys = self.client.queue(queue);
        let (mut purged, mut cursor) = (0, 0_u64);
        loop {
            let mut call = self.client.step(Step::Purge, &keys);
            let (cancelled, taken_out, next): (usize, usize, u64) = call
                .arg(BATCH)
                .arg(cursor)
                .invoke_async(&mut self.client.connection())
                .await
                .map_err(QueueError::redis("purge a queue"))?;
            purged += cancelled;
            if taken_out == 0 && next == 0 {
                return Ok(purged);
            }
            cursor = next;
        }
    }

    /// The ids of the dead letters that fit, by queue.
    async fn dead(&self, filter: &DeadFilter) -> Result<Vec<(String, Vec<String>)>, QueueError> {
        let fits = |job: &JobRecord| {
            filter.job.as_ref().is_none_or(|name| job.job == *name)
                && filter
                    .error
                    .as_ref()
                    .is_none_or(|text| job.error.as_ref().is_some_and(|error| error.contains(text.as_str())))
        };
        let mut found = Vec::new();
        for queue in self.inspector.queues().await? {
            if filter.queue.as_ref().is_some_and(|wanted| *wanted != queue) {
                continue;
            }
            let dead = self.inspector.dead(&queue).await?;
            let ids = dead.into_iter().filter(&fits).map(|job| job.id).collect();
            found.push((queue, ids));
        }
        Ok(found)
    }
}
